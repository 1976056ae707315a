"""A rate card phase for the past: proposed, then accepted or rejected; and the adjustments that follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from ledger_service.domain.agreement.adjust import PARTS_MAX
from ledger_service.domain.agreement.rate_card import RateCard
from ledger_service.domain.commands import (
    AcceptRateCardPhase,
    DebitPart,
    DebitRecord,
    RecordAdjustment,
    RejectRateCardPhase,
)
from ledger_service.domain.events import (
    Adjustment,
    Charge,
    CreditsDebited,
    DebitReversed,
    LotTerms,
    MeterMoved,
    Rate,
    RateCardPhaseAccepted,
    RateCardPhaseProposed,
    TakenBack,
)
from ledger_service.domain.refusals import (
    AmountNotPositive,
    ChargeContractMismatch,
    ChargeInconsistent,
    FieldMalformed,
    FieldNotAllowed,
    FieldTooLong,
    NumberOutOfRange,
    PhaseNotFound,
    PhaseOverlaps,
    ProposalNotOpen,
    RatesAmbiguous,
    Refusal,
    ReversalExceedsDebit,
    TimesOutOfOrder,
    TotalsNotKept,
    TotalsStale,
)
from ledger_service.domain.values import Counters
from ledger_service.domain.wallet.lots import find, terms_of
from ledger_service.domain.wallet.state import Wallet
from ledger_service.domain.wallet.totals import LATENESS_MAX, CycleTotals, MeterTotal
from tests.builders import (
    CONTRACT,
    MICROSECOND,
    NOW,
    RATE_CARD,
    WALLET,
    Book,
    after,
    agreed,
    charge,
    debit,
    events_of,
    grant,
    publish_phase,
    sign_contract,
)

replace = msgspec.structs.replace
CHEAP = (Rate("input_tokens", "0.25"),)
CYCLE_END = after(days=30)


def card_of(ledger: Book) -> RateCard:
    """Return the rate card."""
    card = ledger.states[RATE_CARD]
    assert isinstance(card, RateCard)
    return card


def wallet_of(ledger: Book) -> Wallet:
    """Return the wallet."""
    wallet = ledger.states[WALLET]
    assert isinstance(wallet, Wallet)
    return wallet


def proposed() -> Book:
    """Return a ledger with a phase from NOW, a later one ahead, and one proposed from an hour after NOW."""
    ledger = agreed()
    ledger.run(sign_contract())
    ledger.run(publish_phase(from_time=after(days=9)))
    ledger.run(publish_phase(*CHEAP, from_time=after(hours=1), retroactive=True), after(hours=2))
    return ledger


def accepted() -> Book:
    """Return a ledger whose wallet has 100 units, a debit of 10, and the phase accepted."""
    ledger = proposed()
    ledger.run(AcceptRateCardPhase(RATE_CARD, 3), after(hours=2))
    ledger.run(grant(100))
    ledger.run(debit(charge=charge("10")))
    return ledger


def refused(ledger: Book, command: object, refusal: type[Refusal]) -> Refusal:
    """Return the refusal of a command two hours after NOW."""
    with pytest.raises(refusal) as caught:
        ledger.run(command, after(hours=2))  # type: ignore[arg-type]
    return caught.value


def test_a_phase_for_the_past_is_proposed_and_is_not_in_force() -> None:
    ledger = proposed()

    event = ledger.log[-1].fact.event
    assert isinstance(event, RateCardPhaseProposed)
    assert event.proposed.phase == 3
    assert [phase.phase for phase in card_of(ledger).phases] == [1, 2]


def test_an_accepted_phase_stands_in_its_time_and_another_from_its_instant_replaces_it() -> None:
    ledger = proposed()
    ledger.run(AcceptRateCardPhase(RATE_CARD, 3, 7, "hash"), after(hours=3))
    ledger.run(publish_phase(from_time=after(hours=1), retroactive=True), after(hours=4))
    ledger.run(AcceptRateCardPhase(RATE_CARD, 4), after(hours=4))

    card = card_of(ledger)
    assert [phase.phase for phase in card.phases] == [1, 3, 4, 2]
    assert (card.accepted, card.proposal) == ((3, 4), None)
    accepting = [each.fact for each in ledger.log if isinstance(each.fact.event, RateCardPhaseAccepted)]
    assert [fact.effective_time for fact in accepting] == [after(hours=1)] * 2


def test_a_phase_now_is_published_and_one_a_microsecond_earlier_is_proposed() -> None:
    now = after(hours=2)
    for from_time, is_proposed in ((now, False), (now - MICROSECOND, True)):
        ledger = agreed()
        recorded = ledger.run(publish_phase(*CHEAP, from_time=from_time, retroactive=True), now)
        assert isinstance(recorded[0].fact.event, RateCardPhaseProposed) == is_proposed


def test_what_cannot_be_proposed_is_refused() -> None:
    ledger = proposed()
    past = after(hours=1)

    second = refused(ledger, publish_phase(from_time=past, retroactive=True), PhaseOverlaps)
    assert second.field == "phase.from_time"
    ledger.run(RejectRateCardPhase(RATE_CARD, 3), after(hours=2))
    anew = replace(publish_phase(from_time=past, retroactive=True), counters=Counters.RESTART)
    assert refused(ledger, anew, FieldNotAllowed).field == "phase.counters"
    tied = publish_phase(Rate("a", "1"), Rate("a", "2"), from_time=past, retroactive=True)
    refused(ledger, tied, RatesAmbiguous)


@pytest.mark.parametrize("decide", [AcceptRateCardPhase, RejectRateCardPhase])
def test_only_what_is_proposed_is_decided_about(
    decide: type[AcceptRateCardPhase] | type[RejectRateCardPhase],
) -> None:
    ledger = proposed()

    refused(ledger, decide(RATE_CARD, 2), ProposalNotOpen)
    refused(ledger, decide(RATE_CARD, 4), PhaseNotFound)
    ledger.run(decide(RATE_CARD, 3), after(hours=2))
    refused(ledger, decide(RATE_CARD, 3), ProposalNotOpen)


# Adjustments


def adjusting(
    ledger: Book,
    exact: str,
    *,
    takes: Mapping[int, int] | None = None,
    changes: Mapping[str, Any] | None = None,
) -> RecordAdjustment:
    """Return an adjustment of what was charged 10 units, with the evidence of what it takes back."""
    parts = tuple(TakenBack(version, units) for version, units in (takes or {}).items())
    rated = 10 + Decimal(exact) - sum(part.amount_units for part in parts)
    adjustment = Adjustment(NOW, CYCLE_END, "10", str(rated), taken_back=parts, watermark_position=7)
    named = card_of(ledger).phases[1]
    wanted = Charge(
        CONTRACT,
        "standard",
        f"{RATE_CARD}/phases/{named.phase}",
        named.phase_hash,
        (),
        exact,
        adjustment=replace(adjustment, **(changes or {})),
    )
    return RecordAdjustment(WALLET, RATE_CARD, wanted, tuple(_part(ledger, part) for part in parts))


def _part(ledger: Book, part: TakenBack) -> DebitPart:
    [event] = [
        each.fact.event for each in ledger.log if (each.stream, each.version) == (WALLET, part.debit_version)
    ]
    assert isinstance(event, CreditsDebited)
    lots = {lot.grant_version: _terms(ledger, lot.grant_version) for lot in wallet_of(ledger).lots}
    record = DebitRecord(part.debit_version, event.draws, event.overage_units, lots)
    return DebitPart(record, part.amount_units)


def _terms(ledger: Book, version: int) -> LotTerms:
    lot = find(wallet_of(ledger).lots, version)
    assert lot is not None
    return terms_of(lot)


def debit_version(ledger: Book) -> int:
    """Return the version of the debit of 10 units."""
    return wallet_of(ledger).version


def test_what_was_charged_too_little_is_a_delivered_debit_of_now() -> None:
    ledger = accepted()

    [recorded] = ledger.run(adjusting(ledger, "2.5"), after(hours=3))

    event = recorded.fact.event
    assert isinstance(event, CreditsDebited)
    assert (event.amount_units, event.delivered) == (2, True)
    assert recorded.fact.effective_time == after(hours=3)
    assert wallet_of(ledger).carried_fraction == Decimal("0.5")


def test_what_was_charged_too_much_goes_back_to_its_lots_and_its_fraction_is_carried() -> None:
    ledger = accepted()
    version = debit_version(ledger)

    recorded = ledger.run(adjusting(ledger, "-0.5", takes={version: 3}), after(hours=3))

    reversal, event = events_of(recorded)
    assert isinstance(reversal, DebitReversed)
    assert isinstance(event, CreditsDebited)
    assert (reversal.debit_version, reversal.amount_units, event.amount_units) == (version, 3, 0)
    assert wallet_of(ledger).lots[0].remaining_units == 93
    assert wallet_of(ledger).carried_fraction == Decimal("-0.5")


def test_what_is_taken_back_and_what_follows_is_one_commit_or_nothing() -> None:
    ledger = accepted()
    before = ledger.states[WALLET]

    for command, refusal in (
        (adjusting(ledger, "0", takes={debit_version(ledger): 11}), ReversalExceedsDebit),
        (adjusting(ledger, "0", takes={debit_version(ledger): 0}), AmountNotPositive),
    ):
        refused(ledger, command, refusal)

    assert ledger.states[WALLET] is before
    ledger.run(adjusting(ledger, "0", takes={debit_version(ledger): 10}), after(hours=2))
    assert wallet_of(ledger).lots[0].remaining_units == 100


@pytest.mark.parametrize(
    ("changes", "refusal", "field"),
    [
        ({"rated_units": "13"}, ChargeInconsistent, "adjustment.rated_units"),
        ({"left_units": "0.5"}, ChargeInconsistent, "adjustment.rated_units"),
        ({"charged_units": "ten"}, FieldMalformed, "adjustment.charged_units"),
        ({"number": 0}, NumberOutOfRange, "adjustment.number"),
        ({"watermark_position": 0}, NumberOutOfRange, "adjustment.watermark_position"),
        ({"cycle_end_time": NOW}, TimesOutOfOrder, "adjustment.cycle_end_time"),
        (
            {"taken_back": tuple(TakenBack(n, 1) for n in range(1, PARTS_MAX + 2))},
            FieldTooLong,
            "adjustment.taken_back",
        ),
        ({"taken_back": (TakenBack(3, 1), TakenBack(3, 1))}, FieldMalformed, "adjustment.taken_back"),
        ({"meters": (MeterMoved("m", usages=1), MeterMoved("m"))}, FieldMalformed, "adjustment.meters"),
        ({"meters": (MeterMoved("m", quantity=1),)}, FieldMalformed, "adjustment.meters.usages"),
        ({"meters": (MeterMoved("m", quantity=-1),)}, NumberOutOfRange, "adjustment.meters.quantity"),
        ({"meters": (MeterMoved("m", usages_before=1),)}, TotalsStale, "adjustment.meters"),
    ],
)
def test_an_adjustment_that_does_not_hold_is_refused(
    changes: dict[str, object], refusal: type[Refusal], field: str
) -> None:
    ledger = accepted()

    assert refused(ledger, adjusting(ledger, "2", changes=changes), refusal).field == field


def test_an_adjustment_names_a_phase_that_was_accepted_its_hash_and_the_wallets_contract() -> None:
    ledger = accepted()
    command = adjusting(ledger, "2")
    for changes, refusal in (
        ({"rate_card_phase": f"{RATE_CARD}/phases/1"}, PhaseNotFound),
        ({"rate_card_phase": f"{RATE_CARD}/phases/9"}, PhaseNotFound),
        ({"phase_hash": "other"}, ChargeInconsistent),
        ({"exact_units": "x"}, FieldMalformed),
        ({"contract": "contracts/other"}, ChargeContractMismatch),
    ):
        refused(ledger, replace(command, charge=replace(command.charge, **changes)), refusal)


def test_meters_move_while_the_cycles_totals_are_kept_and_forget_what_counts_nothing() -> None:
    moves = (MeterMoved("a", quantity=5, usages=2), MeterMoved("b"))
    kept_until = CYCLE_END + LATENESS_MAX
    ledger = accepted()
    with pytest.raises(TotalsNotKept):
        ledger.run(adjusting(ledger, "0", changes={"meters": moves}), kept_until)

    ledger.run(adjusting(ledger, "0", changes={"meters": moves}), kept_until - MICROSECOND)

    counted = CycleTotals(CONTRACT, NOW, CYCLE_END, {"a": MeterTotal(5, 2)})
    assert wallet_of(ledger).totals == (counted,)
    back = (MeterMoved("a", 5, 2),)
    ledger.run(adjusting(ledger, "0", changes={"meters": back, "number": 2}), kept_until - MICROSECOND)
    assert wallet_of(ledger).totals == ()
