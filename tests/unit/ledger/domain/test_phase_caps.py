"""Spend caps of contract phases: in force while the phase lasts, to the unit and to the microsecond."""

from __future__ import annotations

from datetime import datetime

import msgspec
import pytest

from ledger_service.domain.commands import Debit, UpdateWallet
from ledger_service.domain.events import PlanPhase, SpendCap, WalletPolicyChanged, WalletRules
from ledger_service.domain.refusals import SpendCapExceeded
from ledger_service.domain.wallet.room import cap_uses
from ledger_service.domain.wallet.settle import settled
from tests.builders import (
    MICROSECOND,
    NOW,
    WALLET,
    Book,
    after,
    agreed,
    capture,
    debit,
    end_contract,
    events_of,
    extend_trial,
    grant,
    hold,
    plan_phase,
    sign_contract,
)


def capped_phase(key: str, units: int, *, duration: str = "", period: str = "") -> PlanPhase:
    """Return a phase with a spend cap."""
    phase = plan_phase(key, duration=duration)
    return msgspec.structs.replace(phase, spend_cap_units=units, spend_cap_period=period)


def bound(*phases: PlanPhase) -> Book:
    """Return a book with 1,000 units in the wallet and a contract from now on, billed by the month."""
    ledger = agreed(*phases)
    ledger.run(grant(1_000))
    ledger.run(sign_contract(start_time=NOW))
    return ledger


def used(ledger: Book, now: datetime = NOW) -> list[tuple[str, int, int]]:
    """Return the phase, use and room of each cap."""
    return [
        (use.contract_phase, use.used_units, use.remaining_units)
        for use in cap_uses(settled(ledger.wallet(), now), now)
    ]


def refused(ledger: Book, command: Debit, now: datetime = NOW) -> SpendCapExceeded:
    """Return the refusal of a debit."""
    with pytest.raises(SpendCapExceeded) as refusal:
        ledger.run(command, now)
    assert isinstance(refusal.value, SpendCapExceeded)
    return refusal.value


@pytest.mark.parametrize(("amount", "passes"), [(9, True), (10, True), (11, False)])
def test_a_phases_cap_lets_through_what_it_has_room_for_and_not_one_unit_more(
    amount: int, passes: bool
) -> None:
    ledger = bound(capped_phase("main", 10))

    if passes:
        ledger.run(debit(amount))
        assert used(ledger) == [("main", amount, 10 - amount)]
    else:
        refusal = refused(ledger, debit(amount))
        assert (refusal.metadata["contract_phase"], refusal.metadata["limit_units"]) == ("main", "10")
        assert used(ledger) == [("main", 0, 10)]


def test_a_phases_cap_is_in_force_from_its_first_instant_to_its_last() -> None:
    ledger = bound(plan_phase("free", duration="P14D"), capped_phase("main", 10, duration="P1D"))
    begin, end = after(days=14), after(days=15)

    ledger.run(debit(20), begin - MICROSECOND)
    refused(ledger, debit(11), begin)
    ledger.run(debit(10), begin)
    refused(ledger, debit(1), end - MICROSECOND)
    ledger.run(debit(1), end)

    assert used(ledger, end) == []


def test_a_cap_without_a_period_is_whole_again_in_each_cycle() -> None:
    ledger = bound(capped_phase("main", 10))
    cycle_end = sign_contract(start_time=NOW).cycle.anchor_time.replace(month=NOW.month + 1)

    ledger.run(debit(10))
    refused(ledger, debit(1), cycle_end - MICROSECOND)
    ledger.run(debit(10), cycle_end)

    assert used(ledger, cycle_end) == [("main", 10, 0)]


def test_phases_of_one_period_count_on_and_another_period_begins_anew() -> None:
    ledger = bound(
        capped_phase("small", 10, duration="P1D"),
        capped_phase("large", 15, duration="P1D"),
        capped_phase("daily", 15, period="P1D"),
    )
    ledger.run(debit(10))

    refused(ledger, debit(6), after(days=1))
    ledger.run(debit(5), after(days=1))
    ledger.run(debit(15), after(days=2))

    assert used(ledger, after(days=2)) == [("daily", 15, 0)]


def test_a_longer_trial_keeps_what_was_used() -> None:
    ledger = bound(capped_phase("trial", 10, duration="P2D"), plan_phase("main"))
    ledger.run(debit(4))

    ledger.run(extend_trial(after(days=5), key="trial"))

    assert used(ledger, after(days=4)) == [("trial", 4, 6)]
    refused(ledger, debit(7), after(days=4))


def test_a_contracts_end_ends_its_cap() -> None:
    ledger = bound(capped_phase("main", 10))
    ledger.run(end_contract(after(days=1)))

    refused(ledger, debit(11), after(days=1) - MICROSECOND)
    ledger.run(debit(11), after(days=1))


def test_holds_count_and_a_capture_needs_no_room_of_its_own() -> None:
    ledger = bound(capped_phase("main", 10))
    held = ledger.place(hold(7))

    refused(ledger, debit(4))
    assert used(ledger) == [("main", 0, 3)]
    ledger.run(capture(held, 7))

    assert used(ledger) == [("main", 7, 3)]


def test_a_reversal_gives_room_back() -> None:
    ledger = bound(capped_phase("main", 10))
    ledger.run(debit(10))
    version = ledger.wallet().version

    ledger.reverse(version, 3)

    assert used(ledger) == [("main", 7, 3)]


def test_a_reversal_of_what_was_never_counted_gives_back_no_more_than_was_used() -> None:
    ledger = agreed(capped_phase("main", 10))
    ledger.run(grant(1_000))
    ledger.run(debit(8))
    version = ledger.wallet().version
    ledger.run(sign_contract(start_time=after(days=-1)))
    ledger.run(debit(3))

    ledger.reverse(version, 8)

    assert used(ledger) == [("main", 0, 10)]


def test_the_wallets_own_cap_holds_beside_the_phases_and_both_survive_an_update() -> None:
    ledger = bound(capped_phase("main", 10))
    ledger.run(debit(2))
    rules = WalletRules(spend_cap=SpendCap(5, "P1M", NOW))

    ledger.run(UpdateWallet(WALLET, ("rules.spend_cap",), rules=rules))
    refused(ledger, debit(6))
    ledger.run(debit(5))
    ledger.run(UpdateWallet(WALLET, ("rules.spend_cap",), rules=WalletRules()))

    assert used(ledger) == [("main", 7, 3)]


def test_a_phase_without_a_cap_tells_the_wallet_none() -> None:
    ledger = agreed(plan_phase("main"))

    told = events_of(ledger.run(sign_contract(start_time=NOW)))

    assert [each.spend_cap for each in told if isinstance(each, WalletPolicyChanged)] == [None]
    assert ledger.wallet().caps is None
