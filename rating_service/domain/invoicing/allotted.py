"""What was done about included credit: allotments on their way into the ledger, and out of it when they are wrong.

Each allotment that is wanted gets a number within its cycle, for ever, and its number makes the idempotency keys of
its grant and its withdrawal. So whatever breaks, and however many services work on it at once, it is granted once.
A contract that changes makes some allotments unwanted and others wanted; those that stay the same are left alone.

The law of a replacement: what was used of withdrawn allotments is taken off those that come in their place, the
earliest first and never below nothing. So a cycle's credit, used and unused, is what its phases include, or what was
used already if that is more. That holds too for what comes back later of what was used or held by then: it goes back
to its own grant, of which only the rest was withdrawn, as long as something in its place lasts as long as it does.
Hence an amount is known only after everything unwanted was withdrawn; it is stored
before it is asked of the ledger, and does not change any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import Enum

import msgspec

from rating_service.domain.agreements.agreement import Record
from rating_service.domain.invoicing.included import Allotment

TIME_FORMAT = "%Y%m%dT%H%M%S.%fZ"


class AllotmentState(Enum):
    """How far an allotment is."""

    WANTED = "WANTED"
    GRANTED = "GRANTED"
    UNWANTED = "UNWANTED"
    WITHDRAWN = "WITHDRAWN"


OPEN_STATES = (AllotmentState.WANTED, AllotmentState.UNWANTED)


class Allotted(Record, frozen=True):
    """An allotment and what became of it; `amount_units` are what its grant has, None until that is known.

    An amount of 0 needs no grant, and `grant` stays empty. If it `goes_on`, only the rest is withdrawn of it.
    """

    number: int
    allotment: Allotment
    state: AllotmentState = AllotmentState.WANTED
    amount_units: int | None = None
    grant: str = ""
    withdrawn_units: int = 0
    goes_on: bool = False

    @property
    def is_open(self) -> bool:
        """Whether the ledger has yet to be asked for something."""
        return self.state in OPEN_STATES


def key_of(contract: str, allotted: Allotted) -> str:
    """Return the idempotency key of an allotment's grant in the contract's wallet."""
    start = allotted.allotment.cycle.start_time.astimezone(UTC).strftime(TIME_FORMAT)
    return f"included/{contract.removeprefix('contracts/')}/{start}/{allotted.number}"


def replanned(cycle: Sequence[Allotted], wanted: Sequence[Allotment]) -> tuple[Allotted, ...]:
    """Return a cycle's allotments after it became known what is wanted; again changes nothing."""
    missing = list(wanted)
    lasting = {each.expire_time for each in wanted}
    after: list[Allotted] = []
    for each in cycle:
        if each.state in (AllotmentState.WANTED, AllotmentState.GRANTED):
            if each.allotment in missing:
                missing.remove(each.allotment)
            else:
                # It must not outlast what comes in its place: where a contract ends, nothing lasts as long.
                goes_on = each.allotment.expire_time in lasting
                each = msgspec.structs.replace(each, state=AllotmentState.UNWANTED, goes_on=goes_on)
        after.append(each)
    numbers = range(len(cycle) + 1, len(cycle) + len(missing) + 1)
    after += [Allotted(number, each) for number, each in zip(numbers, missing, strict=True)]
    return with_amounts(after)


def with_amounts(cycle: Sequence[Allotted]) -> tuple[Allotted, ...]:
    """Return a cycle's allotments with the amounts that are known now; what needs nothing of the ledger is closed."""
    closed = [_without_need(each) for each in cycle]
    if any(each.state is AllotmentState.UNWANTED for each in closed):
        return tuple(closed)
    used = sum(_used_units(each) for each in closed)
    taken_off = sum(_taken_off_units(each) for each in closed)
    after = []
    for each in closed:
        if each.amount_units is None:
            off = min(each.allotment.entitled_units, max(used - taken_off, 0))
            taken_off += off
            each = msgspec.structs.replace(each, amount_units=each.allotment.entitled_units - off)
        after.append(_without_need(each))
    return tuple(after)


def note_grant(cycle: Sequence[Allotted], number: int, grant: str) -> tuple[Allotted, ...]:
    """Return a cycle's allotments after the ledger made a grant; one that became unwanted meanwhile stays so."""
    return tuple(_with_grant(each, grant) if each.number == number else each for each in cycle)


def note_withdrawal(cycle: Sequence[Allotted], number: int, units: int) -> tuple[Allotted, ...]:
    """Return a cycle's allotments after the ledger withdrew what was left of a grant."""
    return tuple(
        msgspec.structs.replace(each, state=AllotmentState.WITHDRAWN, withdrawn_units=units)
        if each.number == number and each.state is AllotmentState.UNWANTED
        else each
        for each in cycle
    )


def ended(allotted: Allotted, now: datetime) -> bool:
    """Say whether nothing can come of an allotment any more: it is done, and its cycle over."""
    return not allotted.is_open and allotted.allotment.cycle.end_time <= now


def _with_grant(allotted: Allotted, grant: str) -> Allotted:
    state = AllotmentState.GRANTED if allotted.state is AllotmentState.WANTED else allotted.state
    return msgspec.structs.replace(allotted, state=state, grant=grant)


def _used_units(allotted: Allotted) -> int:
    """Return what was used of an allotment by the time it was withdrawn; of one that stands, nothing yet."""
    if allotted.state is not AllotmentState.WITHDRAWN or allotted.amount_units is None:
        return 0
    return allotted.amount_units - allotted.withdrawn_units


def _taken_off_units(allotted: Allotted) -> int:
    """Return what one that stands has less than it is entitled to, for it was used of withdrawn ones."""
    if allotted.state is AllotmentState.WITHDRAWN or allotted.amount_units is None:
        return 0
    return allotted.allotment.entitled_units - allotted.amount_units


def _without_need(allotted: Allotted) -> Allotted:
    """Close what the ledger needs not to hear of: grants of nothing, and what was never asked for."""
    if allotted.state is AllotmentState.WANTED and allotted.amount_units == 0:
        return msgspec.structs.replace(allotted, state=AllotmentState.GRANTED)
    if allotted.state is AllotmentState.UNWANTED and not allotted.amount_units:
        return msgspec.structs.replace(allotted, state=AllotmentState.WITHDRAWN, amount_units=0)
    return allotted
