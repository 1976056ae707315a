"""Laws of included credit: never more than is agreed, granted once, and a replacement loses and gives nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from rating_service.domain.agreements.agreement import Contract, ContractPhase
from rating_service.domain.agreements.cycles import CycleBounds
from rating_service.domain.invoicing.allotted import (
    AllotmentState,
    Allotted,
    key_of,
    note_grant,
    note_withdrawal,
)
from rating_service.domain.invoicing.billing import ContractBilling, changed_cycle, planned
from rating_service.domain.invoicing.included import allotments_of
from tests.unit.rating.builders import contract, plan_phase

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
FEBRUARY = datetime(2026, 2, 1, tzinfo=UTC)
MONTH = CycleBounds(JANUARY, FEBRUARY)
INSTANTS = st.integers(0, 31 * 86_400 * 10**6 - 1).map(lambda count: JANUARY + timedelta(microseconds=count))
UNITS = st.integers(0, 10_000) | st.integers(2**62, 2**63 - 1)
MICROSECOND = timedelta(microseconds=1)


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    """Return a contract of up to four phases, perhaps with an end, that changes within January."""
    times = sorted(draw(st.sets(INSTANTS, min_size=1, max_size=4)))
    ends = draw(st.booleans())
    later = [*times[1:], max(times[-1], FEBRUARY - timedelta(minutes=1)) if ends else None]
    phases = [
        ContractPhase(begin, plan_phase(f"p{number}", included=draw(UNITS)), end)
        for number, (begin, end) in enumerate(zip(times, later, strict=True))
        if end is None or begin < end
    ]
    return contract(*phases, start=times[0])


@given(contracts())
def test_a_cycle_includes_no_more_than_each_phase_for_its_part_and_no_less_than_a_unit_below(
    signed: Contract,
) -> None:
    length = (MONTH.end_time - MONTH.start_time) // MICROSECOND
    exact = sum(
        phase.terms.included_units * (((phase.to_time or FEBRUARY) - phase.from_time) // MICROSECOND)
        for phase in signed.phases
    )
    granted = sum(each.entitled_units for each in allotments_of(signed, MONTH))

    assert granted * length <= exact < (granted + max(len(signed.phases), 1)) * length


class Wallet:
    """A ledger that knows grants by key: what each has left, and what was used in all."""

    def __init__(self) -> None:
        self.left: dict[str, int] = {}
        self.granted: dict[str, int] = {}
        self.withdrawn: dict[str, int] = {}
        self.used_units = 0

    def ask(self, name: str, allotted: Allotted) -> None:
        """Grant under a key, once."""
        key = key_of(name, allotted)
        assert allotted.amount_units is not None
        assert self.granted.setdefault(key, allotted.amount_units) == allotted.amount_units
        self.left.setdefault(key, allotted.amount_units)

    def withdraw(self, name: str, allotted: Allotted) -> int:
        """Withdraw under a key, once."""
        key = key_of(name, allotted)
        units = self.withdrawn.setdefault(key, self.left[key])
        self.left[key] = 0
        return units

    def use(self, units: int) -> None:
        """Use what there is."""
        for key, left in self.left.items():
            taken = min(left, units)
            self.left[key] -= taken
            self.used_units += taken
            units -= taken


def settled(billing: ContractBilling, wallet: Wallet, breaks: st.DataObject) -> ContractBilling:
    """Ask the ledger until nothing is open; some answers get lost, and are asked for again."""
    while billing.open_allotted:
        for each in billing.open_allotted:
            if not each.amount_units:
                continue
            wallet.ask(billing.contract, each)
            if breaks.draw(st.booleans()):
                continue
            if each.state is AllotmentState.WANTED:
                change = partial(note_grant, number=each.number, grant="grant")
            else:
                units = wallet.withdraw(billing.contract, each)
                change = partial(note_withdrawal, number=each.number, units=units)
            billing = changed_cycle(billing, each.allotment.cycle, change)
    return billing


@given(st.lists(st.tuples(contracts(), UNITS), min_size=1, max_size=5), st.data())
def test_after_any_changes_a_cycle_gives_what_is_agreed_or_what_was_used_already(
    lives: list[tuple[Contract, int]], data: st.DataObject
) -> None:
    billing = ContractBilling("contracts/acme", None)
    wallet = Wallet()
    now = JANUARY
    for position, (signed, used_units) in enumerate(lives, start=1):
        billing = msgspec.structs.replace(billing, allotted_until=None)
        billing = planned(billing, signed, now, position)
        assert planned(billing, signed, now, position) == billing
        billing = settled(billing, wallet, data)
        january = [each for each in billing.allotted if each.allotment.cycle == MONTH]
        wanted = sum(each.entitled_units for each in allotments_of(signed, MONTH))
        live = {key_of(billing.contract, each) for each in january}
        left = sum(units for key, units in wallet.left.items() if key in live)
        used = (
            sum(wallet.granted[key] - wallet.withdrawn.get(key, 0) for key in live & wallet.granted.keys())
            - left
        )

        assert left == max(wanted - used, 0)
        wallet.use(used_units)


@given(contracts(), contracts())
def test_an_older_position_changes_no_plan(newer: Contract, older: Contract) -> None:
    billing = planned(ContractBilling("contracts/acme", None), newer, JANUARY, 7)

    assert planned(billing, older, JANUARY, 6) == billing
