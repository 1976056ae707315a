"""Adjust: putting right what usage of a cycle was charged, once a phase was accepted that prices it otherwise.

What was charged too little is a debit of its own, delivered like the usage that it is for. What was charged too
much comes back to the lots that paid, debit by debit; the part of it below one unit, and what debits no longer have
left, is carried by the wallet below 0, as prices that fall with the total are, and the charges after it use it up.
So, for every cycle,

    debits - what was taken back + carried fraction = exact sum of the charges under the accepted phases.

The meters of the cycle are set to where its usage leaves them under those phases, if they stand elsewhere. All of it
is one commit under one key: an adjustment is there whole, or not at all.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from ledger_service.domain.agreement.rate_card import RateCard
from ledger_service.domain.commands import RecordAdjustment
from ledger_service.domain.drafts import Draft
from ledger_service.domain.events import Adjustment, Charge, CreditsDebited
from ledger_service.domain.exact import EXACT, exact, is_exact_text
from ledger_service.domain.names import check_range
from ledger_service.domain.refusals import (
    AmountNotPositive,
    ChargeInconsistent,
    FieldMalformed,
    FieldTooLong,
    PhaseNotFound,
    TimesOutOfOrder,
)
from ledger_service.domain.values import UNITS_MAX
from ledger_service.domain.wallet.debit import check_not_ahead, cover_units, units_of
from ledger_service.domain.wallet.meter_moves import check_moves
from ledger_service.domain.wallet.reverse import take_back
from ledger_service.domain.wallet.settle import begin, repay
from ledger_service.domain.wallet.state import Wallet

PARTS_MAX: Final = 500
"""Debits of which one adjustment takes something back; more of them take several adjustments."""
FIGURES: Final = ("charged_units", "rated_units", "left_units")


def record_adjustment(
    wallet: Wallet, card: RateCard, command: RecordAdjustment, now: datetime
) -> list[Draft]:
    """Return what fell due, what is taken back and the debit that explains it.

    Raises PhaseNotFound, ChargeInconsistent, ChargeContractMismatch, ReversalExceedsDebit, TotalsStale, TotalsNotKept
    and what the checks of its fields raise.
    """
    charge = command.charge
    assert charge.adjustment is not None, "an adjustment says what it adjusts"
    effective_time = command.effective_time or now
    check_not_ahead(effective_time, now)
    _check_phase(card, charge)
    _check_figures(charge, charge.adjustment)
    tape = begin(command.wallet, wallet, now)
    check_moves(tape.wallet.totals, charge.contract, charge.adjustment, now=now)
    for part in command.parts:
        if part.amount_units <= 0:
            raise AmountNotPositive("adjustment.taken_back must be above 0", field="adjustment.taken_back")
        take_back(tape, part.recorded, part.amount_units, now)
    amount_units = units_of(tape.wallet, charge)
    cover = cover_units(
        tape.wallet, amount_units, effective_time=effective_time, feature="", delivered=True, now=now
    )
    event = CreditsDebited(
        amount_units=amount_units,
        draws=cover.draws,
        burn_down_order=wallet.burn_down_order,
        overage_units=cover.overage_units,
        delivered=True,
        charge=charge,
        debt_units=cover.debt_units,
        late_grants=cover.late_grants,
    )
    tape.add(event, effective_time, answers=True)
    if cover.debt_units:
        repay(tape, now)
    return tape.drafts


def _check_phase(card: RateCard, charge: Charge) -> None:
    """Refuse a phase that was not accepted for the past, and a hash that is not its own."""
    number = charge.rate_card_phase.rpartition("/")[2]
    accepted = next((each for each in card.phases if str(each.phase) == number), None)
    if accepted is None or accepted.phase not in card.accepted:
        raise PhaseNotFound(
            f"{charge.rate_card_phase[:200]} was not accepted for the past", field="charge.rate_card_phase"
        )
    if accepted.phase_hash != charge.phase_hash:
        raise ChargeInconsistent(
            f"phase_hash is not that of {charge.rate_card_phase}", field="charge.phase_hash"
        )


def _check_figures(charge: Charge, adjustment: Adjustment) -> None:
    check_range(adjustment.number, low=1, high=UNITS_MAX, field="adjustment.number")
    check_range(adjustment.watermark_position, low=1, high=UNITS_MAX, field="adjustment.watermark_position")
    if adjustment.cycle_start_time >= adjustment.cycle_end_time:
        raise TimesOutOfOrder("the cycle ends before it begins", field="adjustment.cycle_end_time")
    if len(adjustment.taken_back) > PARTS_MAX:
        raise FieldTooLong(f"adjustment.taken_back exceeds {PARTS_MAX} debits", field="adjustment.taken_back")
    if len({each.debit_version for each in adjustment.taken_back}) < len(adjustment.taken_back):
        raise FieldMalformed("adjustment.taken_back names a debit twice", field="adjustment.taken_back")
    for name in FIGURES:
        _check_figure(getattr(adjustment, name), field=f"adjustment.{name}")
    _check_figure(charge.exact_units, field="charge.exact_units")
    if not adjustment_adds_up(charge, adjustment):
        raise ChargeInconsistent(
            "charged_units + exact_units - taken_back + left_units is not rated_units",
            field="adjustment.rated_units",
        )


def adjustment_adds_up(charge: Charge, adjustment: Adjustment) -> bool:
    """Say whether what was charged, what is charged or taken back now and what is left make what it costs."""
    total = EXACT.add(exact(adjustment.charged_units), exact(charge.exact_units))
    total = EXACT.add(total, exact(adjustment.left_units))
    total = EXACT.subtract(total, sum(each.amount_units for each in adjustment.taken_back))
    return total == exact(adjustment.rated_units)


def _check_figure(text: str, *, field: str) -> None:
    if not is_exact_text(text.removeprefix("-")):
        raise FieldMalformed(f"{field} {text[:80]!r} is not a plain decimal", field=field)
