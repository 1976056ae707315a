"""Laws of included credit on invoices: each unit drawn is used in one cycle, whichever cycle it is billed in."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from rating_service.domain.agreements.agreement import ContractPhase
from rating_service.domain.agreements.cycles import CycleBounds, boundary
from rating_service.domain.debits import (
    DebitFact,
    Draw,
    GrantCategory,
    GrantFact,
    Returned,
    ReversalFact,
)
from rating_service.domain.invoicing.included_use import adjusting
from rating_service.domain.invoicing.invoice import Invoice, compute_invoice
from rating_service.domain.invoicing.reversals import net_debits
from rating_service.domain.usage import Adjustment
from tests.unit.rating.builders import MONTHLY, charge, contract, debit, plan_phase

CYCLES = tuple(CycleBounds(boundary(MONTHLY, n), boundary(MONTHLY, n + 1)) for n in range(3))
CONTRACT = contract(ContractPhase(CYCLES[0].start_time, plan_phase(overage="2", included=1_000)))
GRANTS = tuple(
    GrantFact("wallets/acme", number, cycle.start_time, 1_000, GrantCategory.INCLUDED, cycle.end_time)
    for number, cycle in enumerate(CYCLES, start=1)
)
PAID = GrantFact("wallets/acme", 9, CYCLES[0].start_time, 10**6, GrantCategory.PAID)
KNOWN = 100


class Facts(NamedTuple):
    """Debits and what was taken back of them."""

    debits: list[DebitFact]
    reversals: list[ReversalFact]


@st.composite
def facts(draw: st.DrawFn) -> Facts:
    """Return usage and adjustments that draw on the credit of the cycle that runs, as the ledger does, then on paid."""
    left = {grant.version: grant.amount_units for grant in GRANTS}
    debits, reversals = [], []
    for position in range(20, 20 + draw(st.integers(0, 12))):
        place = draw(st.integers(0, 2))
        units, asked = draw(st.integers(1, 700)), draw(st.integers(0, 9))
        covered = min(units, left[place + 1])
        left[place + 1] -= covered
        draws = (Draw(place + 1, covered),) if covered else ()
        if asked == 0 and units > covered:
            draws, covered = (*draws, Draw(PAID.version, units - covered)), units
        priced = charge(overage="2", tokens=1)
        if draw(st.booleans()):
            cycle = CYCLES[draw(st.integers(0, place))]
            priced = msgspec.structs.replace(
                priced, adjustment=Adjustment(cycle.start_time, cycle.end_time, "0", "0")
            )
        when = CYCLES[place].start_time + timedelta(days=draw(st.integers(0, 27)))
        made = debit(position, units=units, overage=units - covered, when=when, priced=priced)
        debits.append(msgspec.structs.replace(made, draws=draws))
        if covered and asked > 7:
            back = tuple(Returned(each.grant_version, each.amount_units) for each in draws)
            reversals.append(
                ReversalFact(position + 50, made.wallet, position + 50, made.version, when, covered, 0, back)
            )
    return Facts(debits, reversals)


def invoice(found: Facts, cycle: CycleBounds) -> Invoice:
    """Return a cycle's invoice, from what the store hands out for it."""
    return compute_invoice(
        contract=CONTRACT,
        cycle=cycle,
        debits=found.debits,
        grants=[*GRANTS, PAID],
        watermark_position=KNOWN,
        reversals=found.reversals,
        adjusting=adjusting(found.debits, cycle),
    )


@given(facts())
@settings(max_examples=80)
def test_every_included_unit_that_was_drawn_is_used_in_one_cycle(found: Facts) -> None:
    drawn = [
        each.amount_units
        for left in net_debits(found.debits, found.reversals)
        for each in left.draws
        if each.grant_version != PAID.version
    ]
    invoices = [invoice(found, cycle) for cycle in CYCLES]

    assert sum(each.included_used_units for each in invoices) == sum(drawn)
    for each in invoices:
        assert each.included_used_units + each.included_left_units == 1_000
        assert 0 <= each.included_adjusting_units <= each.included_used_units


@given(facts())
@settings(max_examples=80)
def test_a_unit_is_covered_by_credit_or_billed_as_overage_and_never_both(found: Facts) -> None:
    left = list(net_debits(found.debits, found.reversals))
    invoices = [invoice(found, cycle) for cycle in CYCLES]
    covered = sum(
        line.amount_units for each in invoices for line in each.lines if line.key.kind.value == "USAGE"
    )
    overage = sum(
        line.amount_units for each in invoices for line in each.lines if line.key.kind.value == "OVERAGE"
    )

    assert covered == sum(draw.amount_units for each in left for draw in each.draws)
    assert overage == sum(each.overage_units for each in left)
    used = sum(each.included_used_units for each in invoices)
    paid = sum(
        draw.amount_units for each in left for draw in each.draws if draw.grant_version == PAID.version
    )
    assert used + paid + overage == sum(each.amount_units for each in left)
