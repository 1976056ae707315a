"""Which entries a report is of: what was known of them, and the part that is of an entity and a currency."""

from __future__ import annotations

from datetime import date

import msgspec

from ledger_service.domain.finance.booked import BookedEntry
from ledger_service.projections.events.wallet_events import utc_day


def known(booked: BookedEntry, known_before: date | None) -> bool:
    """Return whether an entry was recorded before a day; of a wallet, none that follow one that was not are."""
    return known_before is None or utc_day(booked.entry.record_time) < known_before


def narrowed(booked: BookedEntry, *, entity: str, currency_code: str) -> BookedEntry | None:
    """Return an entry as far as it is of an entity and a currency; empty texts mean all."""
    entry = booked.entry
    if entity and entry.entity != entity:
        return None
    if not currency_code:
        return booked
    lines = tuple(line for line in entry.lines if line.currency_code == currency_code)
    lots = tuple(change for change in booked.lots if change.after.currency_code == currency_code)
    ahead = tuple(change for change in booked.ahead if change.currency_code == currency_code)
    entry = msgspec.structs.replace(entry, lines=lines)
    return msgspec.structs.replace(booked, entry=entry, lots=lots, ahead=ahead)
