"""What is wrong about recorded adjustments, by what history says of their cycle. Pure.

An adjustment brings what was charged of a cycle to what its usage costs under the accepted phases:
rate(all) - rate(billed), both of history up to the position that the adjustment names. So an audit prices the cycle
again from that history, plans what puts it right, and compares figure by figure: what was charged, what it costs,
what is charged now, what each debit gives back, the meters that move, and the terms under which it is invoiced.
Several adjustments that were decided on the same history are one plan, posted in parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from rating_service.domain.agreements.agreement import Contract
from rating_service.domain.corrections.rerating_plan import AdjustmentOrder
from rating_service.domain.debits import DebitFact
from rating_service.domain.usage import Adjustment, Charge

FOLLOWING_MAX: Final = timedelta(minutes=10)
"""How long after a contract changed an adjustment may name the terms before: rating follows the log."""
FIGURES: Final = ("cycle_end_time", "charged_units", "rated_units", "left_units", "taken_back", "meters")


class RecordedAdjustment(msgspec.Struct, frozen=True):
    """An adjustment as the ledger has it."""

    debit: DebitFact
    record_time: datetime

    @property
    def charge(self) -> Charge:
        """Its charge."""
        assert self.debit.charge is not None, "an adjustment is a debit with a charge"
        return self.debit.charge

    @property
    def adjustment(self) -> Adjustment:
        """What it adjusts."""
        assert self.charge.adjustment is not None, "an adjustment says what it adjusts"
        return self.charge.adjustment


def batches(recorded: Iterable[RecordedAdjustment]) -> list[list[RecordedAdjustment]]:
    """Return adjustments by the plan that they are parts of, in the order of the log."""
    found: dict[tuple[str, datetime, str, int], list[RecordedAdjustment]] = {}
    for each in recorded:
        adjustment = each.adjustment
        plan = (
            each.charge.contract,
            adjustment.cycle_start_time,
            each.charge.rate_card_phase,
            adjustment.watermark_position,
        )
        found.setdefault(plan, []).append(each)
    return list(found.values())


def knows_all_before(batch: Sequence[RecordedAdjustment], earlier: Iterable[DebitFact]) -> str:
    """Return what is wrong about the position that a plan names; "" if nothing is.

    `earlier` are the adjustments of the same card and cycle. One that a plan did not know would be counted twice.
    """
    watermark, first = batch[0].adjustment.watermark_position, batch[0].debit.position
    if not 0 < watermark < first:
        return f"it names position {watermark} of the log, which is not before its own"
    own = {each.debit.version for each in batch}
    unknown = [each.name for each in earlier if watermark < each.position < first and each.version not in own]
    return f"it was decided before {unknown[0]}, and recorded after it" if unknown else ""


def differences(recorded: RecordedAdjustment, order: AdjustmentOrder | None) -> Iterator[str]:
    """Yield in what an adjustment differs from its part of the plan; None if the plan has no such part."""
    if order is None:
        yield "by history nothing was left to be put right"
        return
    planned = order.charge.adjustment
    assert planned is not None, "a plan is made of adjustments"
    if recorded.charge.exact_units != order.charge.exact_units:
        yield _differs("exact_units", recorded.charge.exact_units, order.charge.exact_units)
    for name in FIGURES:
        said, true = getattr(recorded.adjustment, name), getattr(planned, name)
        if said != true:
            yield _differs(name, said, true)


def terms_differ(recorded: RecordedAdjustment, contracts: Iterable[Contract]) -> str:
    """Return what is wrong about the terms that an adjustment is invoiced under; "" if nothing is.

    `contracts` are the contract as it was known when the adjustment was decided and when it was recorded.
    """
    charge, until = recorded.charge, recorded.debit.effective_time
    since = until - FOLLOWING_MAX
    known = {
        (phase.terms.key, phase.terms.overage_price)
        for contract in contracts
        for phase in contract.phases
        if phase.from_time <= until and (phase.to_time is None or phase.to_time > since)
    } or {
        (contract.phases[0].terms.key, contract.phases[0].terms.overage_price)
        for contract in contracts
        if contract.phases
    }
    if (charge.contract_phase, charge.overage_price) in known:
        return ""
    return f"phase {charge.contract_phase!r} at its overage price was not in force when it was posted"


def _differs(name: str, said: object, true: object) -> str:
    return f"{name} is {_text(said)}, by history {_text(true)}"


def _text(value: object) -> str:
    text = msgspec.json.encode(value).decode().strip('"')
    return text if len(text) <= 120 else f"{text[:120]}…"
