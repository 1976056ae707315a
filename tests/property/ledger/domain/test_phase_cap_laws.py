"""Laws of a phase's spend cap: a naive recount agrees, however often and whenever the wallet is settled."""

from __future__ import annotations

from datetime import datetime

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ledger_service.domain.events import PlanPhase
from ledger_service.domain.refusals import SpendCapExceeded
from ledger_service.domain.wallet.room import cap_uses
from ledger_service.domain.wallet.settle import settled
from tests.builders import NOW, Book, after, agreed, debit, grant, plan_phase, settle, sign_contract

CAPS = st.lists(st.sampled_from([(0, ""), (10, "P1D"), (15, "P1D"), (12, "PT6H")]), min_size=1, max_size=4)
STEPS = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 8), st.booleans()), max_size=25)


def capped(key: str, cap: tuple[int, str], *, last: bool) -> PlanPhase:
    """Return a phase of two days, the last one without end."""
    phase = plan_phase(key, duration="" if last else "P2D")
    return msgspec.structs.replace(phase, spend_cap_units=cap[0], spend_cap_period=cap[1])


def phase_at(caps: list[tuple[int, str]], hours: int) -> int:
    """Return the index of the phase in force so many hours after the start."""
    return min(hours // 48, len(caps) - 1)


def counted_from(caps: list[tuple[int, str]], hours: int) -> int:
    """Return the hour from which debits count for the cap in force: its run's or its period's begin."""
    index = phase_at(caps, hours)
    length = 24 if caps[index][1] == "P1D" else 6
    run = index
    while run and caps[run - 1][1] == caps[index][1]:
        run -= 1
    return max(hours // length * length, run * 48)


@given(CAPS, STEPS)
def test_a_phases_cap_agrees_with_a_naive_recount(
    caps: list[tuple[int, str]], steps: list[tuple[int, int, bool]]
) -> None:
    ledger = begun(caps)
    hours, debits = 0, list[tuple[int, int]]()
    for pause, amount, settles in steps:
        hours += pause
        now: datetime = after(hours=hours)
        if settles:
            ledger.run(settle(), now)
        limit = caps[phase_at(caps, hours)][0]
        used = sum(units for hour, units in debits if hour >= counted_from(caps, hours)) if limit else 0
        uses = cap_uses(settled(ledger.wallet(), now), now)
        assert [(use.used_units, use.terms.amount_units) for use in uses] == (
            [(used, limit)] if limit else []
        )
        try:
            ledger.run(debit(amount), now)
        except SpendCapExceeded:
            assert limit
            assert used + amount > limit
        else:
            assert not limit or used + amount <= limit
            debits.append((hours, amount))


def begun(caps: list[tuple[int, str]]) -> Book:
    """Return a book with much credit and a contract of these phases from now on."""
    phases = [capped(f"p{at}", cap, last=at == len(caps) - 1) for at, cap in enumerate(caps)]
    ledger = agreed(*phases)
    ledger.run(grant(100_000))
    ledger.run(sign_contract(start_time=NOW))
    return ledger
