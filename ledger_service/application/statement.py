"""A wallet's statement: one line an event, with the running posted balance, in the order of the stream."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec

from ledger_service.application.ports import LogReader, StoredEvent
from ledger_service.domain.events import (
    CreditsDebited,
    CreditsExpired,
    CreditsGranted,
    Event,
    Fact,
    WalletOpened,
    WalletPolicyChanged,
)
from ledger_service.domain.topics import decode_fact

EVENTS_PER_READ = 1_000


class StatementLine(msgspec.Struct, frozen=True):
    """One line. `posted_units` is the sum of all changes up to it."""

    version: int
    topic: str
    effective_time: datetime
    record_time: datetime
    change_units: int
    posted_units: int
    overage_units: int
    description: str


class StatementPage(msgspec.Struct, frozen=True):
    """Lines, and where the next page begins: after this version, with this balance; None at the end."""

    lines: tuple[StatementLine, ...]
    next_after: tuple[int, int] | None


async def read_statement(
    reader: LogReader,
    wallet: str,
    *,
    after: tuple[int, int],
    limit: int,
    from_time: datetime | None,
    to_time: datetime | None,
) -> StatementPage:
    """Return up to `limit` lines after a version and its posted balance; the span [from_time, to_time) only selects."""
    version, posted_units = next_after = after
    lines: list[StatementLine] = []
    while True:
        events = await reader.read_stream(wallet, after=version, limit=EVENTS_PER_READ)
        for stored in events:
            line = _line(stored, posted_units)
            version, posted_units = line.version, line.posted_units
            if not _within(line.effective_time, from_time, to_time):
                continue
            if len(lines) == limit:
                return StatementPage(tuple(lines), next_after)
            lines.append(line)
            next_after = version, posted_units
        if len(events) < EVENTS_PER_READ:
            return StatementPage(tuple(lines), None)


def _within(instant: datetime, from_time: datetime | None, to_time: datetime | None) -> bool:
    return (from_time is None or from_time <= instant) and (to_time is None or instant < to_time)


def _line(stored: StoredEvent, posted_units: int) -> StatementLine:
    fact = decode_fact(stored.topic, stored.state)
    change_units, overage_units, description = _describe(fact)
    return StatementLine(
        version=stored.version,
        topic=stored.topic,
        effective_time=fact.effective_time,
        record_time=fact.record_time,
        change_units=change_units,
        posted_units=posted_units + change_units,
        overage_units=overage_units,
        description=description,
    )


def _describe(fact: Fact[Event]) -> tuple[int, int, str]:
    match fact.event:
        case WalletOpened(asset=asset, shortfall_mode=mode):
            return 0, 0, f"Opened in {asset.code}/{asset.scale}, shortfall {mode.value}"
        case WalletPolicyChanged(contract=contract, contract_phase=phase, shortfall_mode=mode):
            return 0, 0, f"Phase {phase} of {contract}, shortfall {mode.value}"
        case CreditsGranted() as granted:
            return granted.amount_units, 0, _describe_grant(granted)
        case CreditsDebited() as debited:
            drawn_units = debited.amount_units - debited.overage_units
            return -drawn_units, debited.overage_units, _describe_debit(debited)
        case CreditsExpired(grant_version=grant, amount_units=units):
            return -units, 0, f"Grant {grant} expired"
        case event:
            raise AssertionError(f"{type(event).__name__} is not an event of a wallet")


def _describe_grant(granted: CreditsGranted) -> str:
    words = [granted.category.value.capitalize(), "credit granted"]
    if granted.consideration is not None:
        amount = Decimal(granted.consideration.nanos).scaleb(-9).normalize()
        words.append(f"for {granted.consideration.currency_code} {amount:f}")
    if granted.expire_time is not None:
        words.append(f"until {granted.expire_time.isoformat()}")
    if granted.reference:
        words.append(f"({granted.reference})")
    return " ".join(words)


def _describe_debit(debited: CreditsDebited) -> str:
    charge = debited.charge
    if charge is None:
        return f"Debit for {debited.feature}" if debited.feature else "Debit"
    usage = ", ".join(f"{line.quantity} {line.dimension}" for line in charge.lines if line.quantity)
    model = charge.properties.get("model", "")
    return f"Usage{' of ' + model if model else ''}: {usage or 'none'} ({charge.rate_card_phase})"
