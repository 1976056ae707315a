"""Tracing a charge: the phase that priced it, the rate behind each line, and whether it comes to the same again."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from ledger_service.application.ports import LogReader
from ledger_service.domain.agreement.rate_card import RateCard, evolve, phase_of
from ledger_service.domain.agreement.repricing import Explained, explain, meter_root, prepare, reprice
from ledger_service.domain.agreement.repricing_match import NotPriceableError
from ledger_service.domain.events import Charge, ChargeLine, RateCardPhasePublished
from ledger_service.domain.names import check_name
from ledger_service.domain.refusals import Refusal
from ledger_service.domain.topics import decode_fact
from ledger_service.domain.values import Asset

EVENTS_PER_READ: Final = 500


class LineTrace(msgspec.Struct, frozen=True):
    """A line, and the rate that priced it if the phase was published."""

    line: ChargeLine
    explained: Explained | None = None
    agrees: bool = False


class ChargeTrace(msgspec.Struct, frozen=True):
    """A charge with its phase over [from_time, to_time) as the card has it now; None if it was never published."""

    charge: Charge
    phase: RateCardPhasePublished | None
    to_time: datetime | None
    lines: tuple[LineTrace, ...]
    difference: str = ""
    """Why it does not come to the same when it is priced again; empty if it does or cannot be."""


class _Card(msgspec.Struct, frozen=True):
    state: RateCard
    published: RateCardPhasePublished
    root: str


async def trace_charge(reader: LogReader, charge: Charge, asset: Asset) -> ChargeTrace:
    """Trace a recorded charge. `asset` is that of the wallet."""
    stream = charge.rate_card_phase.partition("/phases/")[0]
    card = await _read_card(reader, stream, charge.rate_card_phase)
    if card is None:
        return ChargeTrace(charge, None, None, tuple(map(LineTrace, charge.lines)))
    if charge.adjustment is not None:
        # Its line is no usage: what it puts right is said by the adjustment itself.
        return ChargeTrace(charge, card.published, None, tuple(map(LineTrace, charge.lines)))
    later = [each.from_time for each in card.state.phases if each.from_time > card.published.from_time]
    prices = prepare(card.published, scale=asset.scale, meter_root=card.root)
    try:
        explained = explain(prices, charge)
        again = {line.dimension: line for line in reprice(prices, charge).lines}
        differing = [line.dimension for line in charge.lines if again.get(line.dimension) != line]
        difference = f"{', '.join(differing)} come to something else" if differing else ""
    except NotPriceableError as error:
        explained, again, difference = {}, {}, str(error)
    lines = tuple(
        LineTrace(line, explained.get(line.dimension), again.get(line.dimension) == line)
        for line in charge.lines
    )
    return ChargeTrace(charge, card.published, min(later, default=None), lines, difference)


async def _read_card(reader: LogReader, stream: str, phase_name: str) -> _Card | None:
    """Return the card of a phase as it is now, and the phase as it was published, withdrawn or not."""
    try:
        check_name(stream, collection="rateCards", field="name")
    except Refusal:
        return None
    state: RateCard | None = None
    found: RateCardPhasePublished | None = None
    root, after = stream, 0
    while True:
        events = await reader.read_stream(stream, after=after, limit=EVENTS_PER_READ)
        for stored in events:
            after = stored.version
            fact = decode_fact(stored.topic, stored.state)
            state = evolve(state, fact, stored.version)
            phase = phase_of(fact.event)
            if phase is not None and f"{stream}/phases/{phase.phase}" == phase_name:
                found, root = phase, meter_root(stream, state.phases, phase)
        if len(events) < EVENTS_PER_READ:
            break
    return None if state is None or found is None else _Card(state, found, root)
