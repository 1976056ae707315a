"""Laws of adjustments, over random charges and figures that they are to come to.

Debits, less what was taken back, and the carried fraction are the exact sum of what was due last; nothing is lost or
made; no debit gives back more than it took; and the log folds into the same wallet again.
"""

from __future__ import annotations

from decimal import Decimal
from math import floor

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger_service.domain.agreement.rate_card import RateCard
from ledger_service.domain.commands import AcceptRateCardPhase, DebitPart, DebitRecord, RecordAdjustment
from ledger_service.domain.events import (
    Adjustment,
    Charge,
    CreditsDebited,
    CreditsGranted,
    DebitReversed,
    LotTerms,
    TakenBack,
)
from ledger_service.domain.invariants import broken_invariants
from ledger_service.domain.streams import evolve_stream
from ledger_service.domain.values import ShortfallMode
from ledger_service.domain.wallet.lots import from_grant, terms_of
from ledger_service.domain.wallet.reversed import reversed_units
from ledger_service.domain.wallet.state import Wallet
from tests.builders import (
    CONTRACT,
    NOW,
    RATE_CARD,
    WALLET,
    Book,
    after,
    agreed,
    charge,
    debit,
    grant,
    publish_phase,
    sign_contract,
)

AMOUNTS = st.integers(0, 2_000).map(lambda hundredths: Decimal(hundredths) / 100)


def accepted(granted_units: int) -> Book:
    """Return a book with a SOFT wallet, its contract, and a phase accepted for the past."""
    ledger = agreed(mode=ShortfallMode.SOFT)
    ledger.run(sign_contract())
    ledger.run(publish_phase(from_time=after(days=-1), retroactive=True))
    ledger.run(AcceptRateCardPhase(RATE_CARD, 2))
    ledger.run(grant(granted_units))
    return ledger


def wallet_of(ledger: Book) -> Wallet:
    wallet = ledger.states[WALLET]
    assert isinstance(wallet, Wallet)
    return wallet


def adjust(ledger: Book, charged: Decimal, due: Decimal, number: int) -> None:
    """Bring what was charged to what is due, as rating would."""
    parts = list(taken(ledger, max(floor(charged - due), 0)))
    exact = due - charged + sum(part.amount_units for part in parts)
    card = ledger.states[RATE_CARD]
    assert isinstance(card, RateCard)
    phase = card.phases[0]
    adjustment = Adjustment(
        NOW,
        after(days=30),
        str(charged),
        str(due),
        number,
        taken_back=tuple(part_of(p) for p in parts),
        watermark_position=1,
    )
    text = f"{exact.normalize():f}" if exact else "0"
    wanted = Charge(
        CONTRACT, "standard", f"{RATE_CARD}/phases/2", phase.phase_hash, (), text, adjustment=adjustment
    )
    ledger.run(RecordAdjustment(WALLET, RATE_CARD, wanted, tuple(parts)))


def part_of(part: DebitPart) -> TakenBack:
    return TakenBack(part.recorded.debit_version, part.amount_units)


def taken(ledger: Book, units: int) -> list[DebitPart]:
    """Return parts of debits, the oldest first, that make up so many units, or all that is left."""
    found: list[DebitPart] = []
    terms = lot_terms(ledger)
    for each in ledger.log:
        event = each.fact.event
        if isinstance(event, CreditsDebited) and units:
            left = event.amount_units - reversed_units(wallet_of(ledger).reversed, each.version)
            part = min(left, units)
            units -= part
            if part:
                record = DebitRecord(each.version, event.draws, event.overage_units, terms)
                found.append(DebitPart(record, part))
    return found


def lot_terms(ledger: Book) -> dict[int, LotTerms]:
    """Return the terms of the grants."""
    return {
        each.version: terms_of(from_grant(each.version, each.fact.event, each.fact.effective_time))
        for each in ledger.log
        if isinstance(each.fact.event, CreditsGranted)
    }


@given(
    st.lists(AMOUNTS, min_size=1, max_size=5),
    st.lists(AMOUNTS, min_size=1, max_size=4),
    st.integers(1, 60),
)
@settings(max_examples=80)
def test_a_wallet_is_charged_exactly_what_was_due_last(
    amounts: list[Decimal], dues: list[Decimal], granted_units: int
) -> None:
    ledger = accepted(granted_units)
    for amount in amounts:
        ledger.run(debit(charge=charge(f"{amount.normalize():f}"), delivered=True))
    charged = sum(amounts, Decimal(0))
    for number, due in enumerate(dues, start=1):
        adjust(ledger, charged, due, number)
        charged = due

    events = [each.fact.event for each in ledger.log if each.stream == WALLET]
    debited = sum(event.amount_units for event in events if isinstance(event, CreditsDebited))
    returned = sum(event.amount_units for event in events if isinstance(event, DebitReversed))
    assert debited - returned + wallet_of(ledger).carried_fraction == charged
    assert wallet_of(ledger).carried_fraction < 1
    _folds_again(ledger)


def _folds_again(ledger: Book) -> None:
    state = None
    for each in ledger.log:
        if each.stream == WALLET:
            state = evolve_stream(WALLET, state, each.fact, each.version)
            assert list(broken_invariants(state, each.fact)) == []
    assert state == ledger.states[WALLET]
