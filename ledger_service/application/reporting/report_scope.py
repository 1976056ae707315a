"""Which part of the journal a report is of, on both clocks."""

from __future__ import annotations

from datetime import date, datetime

import msgspec


class ReportScope(msgspec.Struct, frozen=True):
    """Which part of the journal: the posting days [from_day, to_day), and what was known when.

    Empty texts mean all. With `known_before` only what was recorded before that day (UTC) counts, and nothing that time
    did without a record; without it, what time has ended by `now` counts, recorded or not.
    """

    from_day: date
    to_day: date
    now: datetime
    entity: str = ""
    currency_code: str = ""
    known_before: date | None = None
