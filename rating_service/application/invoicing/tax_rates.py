"""Tax rates that a caller gives with an invoice: the forms that the ledger asks of those in a plan."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.domain.agreements.agreement import TaxRate
from rating_service.domain.exact import parse_exact

RATES_MAX: Final = 20
"""Most taxes on one invoice, as in a plan phase."""
TEXT_LENGTH_MAX: Final = 200
"""Characters in a name or a jurisdiction."""
_PERCENT: Final = re.compile(r"(?:0|[1-9][0-9]{0,2})(?:\.[0-9]{1,9})?", re.ASCII)
_PERCENT_MAX: Final = 100


def checked_tax_rates(rates: Sequence[TaxRate], *, field: str) -> tuple[TaxRate, ...]:
    """Return the rates. Refuses FIELD_REQUIRED, FIELD_MALFORMED, FIELD_TOO_LONG, NUMBER_OUT_OF_RANGE by field."""
    if len(rates) > RATES_MAX:
        raise RequestRefused(
            RequestReason.FIELD_TOO_LONG, f"{field} holds more than {RATES_MAX} taxes", field=field
        )
    for place, rate in enumerate(rates):
        where = f"{field}[{place}]"
        _check(rate, field=where)
        if rate in rates[:place]:
            raise RequestRefused(RequestReason.FIELD_MALFORMED, f"{where} stands there twice", field=where)
    return tuple(rates)


def _check(rate: TaxRate, *, field: str) -> None:
    if not rate.name:
        raise RequestRefused(RequestReason.FIELD_REQUIRED, f"{field}.name is required", field=f"{field}.name")
    for member, text in (("name", rate.name), ("jurisdiction", rate.jurisdiction)):
        if len(text) > TEXT_LENGTH_MAX:
            raise RequestRefused(
                RequestReason.FIELD_TOO_LONG,
                f"{field}.{member} has more than {TEXT_LENGTH_MAX} characters",
                field=f"{field}.{member}",
            )
    if _PERCENT.fullmatch(rate.percent) is None:
        raise RequestRefused(
            RequestReason.FIELD_MALFORMED,
            f"{field}.percent {rate.percent[:40]!r} is not decimal text with at most 9 decimals",
            field=f"{field}.percent",
        )
    if parse_exact(rate.percent) > _PERCENT_MAX:
        raise RequestRefused(
            RequestReason.NUMBER_OUT_OF_RANGE,
            f"{field}.percent is above {_PERCENT_MAX}",
            field=f"{field}.percent",
        )
