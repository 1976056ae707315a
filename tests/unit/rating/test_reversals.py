"""What is left of a debit, and of an invoice, after something was taken back."""

from __future__ import annotations

from rating_service.domain.agreements.agreement import ContractPhase
from rating_service.domain.agreements.cycles import CycleBounds
from rating_service.domain.debits import DebitFact, Draw, GrantCategory, GrantFact, Returned, ReversalFact
from rating_service.domain.invoicing.invoice import Invoice, LineKind, compute_invoice
from rating_service.domain.invoicing.reversals import net_debit, net_debits
from tests.unit.rating.builders import FEBRUARY, JANUARY, charge, contract, debit, plan_phase

ACME = contract(ContractPhase(JANUARY, plan_phase(fee="29", overage="0.01")))
INCLUDED = GrantFact("wallets/acme", 1, JANUARY, 10**9, GrantCategory.INCLUDED)
PRICED = charge(overage="0.01", tokens=7)
WATERMARK = 9


def reversal(
    units: int,
    *,
    of: int = 2,
    overage: int = 0,
    position: int = 5,
    grant_version: int = 1,
    wallet: str = "wallets/acme",
) -> ReversalFact:
    """Return a reversal; what is not overage went back to one grant."""
    returned = (Returned(grant_version, units - overage),) if units > overage else ()
    return ReversalFact(position, wallet, position, of, FEBRUARY, units, overage, returned)


def invoice(*debits: DebitFact, reversals: tuple[ReversalFact, ...] = ()) -> Invoice:
    """Return January's invoice."""
    return compute_invoice(
        contract=ACME,
        cycle=CycleBounds(JANUARY, FEBRUARY),
        debits=debits,
        grants=[INCLUDED],
        reversals=reversals,
        watermark_position=WATERMARK,
    )


def test_a_debit_that_was_taken_back_whole_is_not_on_the_invoice() -> None:
    taken_back = debit(2, units=10, overage=4, priced=PRICED)
    parts = (reversal(4, overage=4), reversal(6, position=6))

    assert invoice(taken_back, reversals=parts) == invoice()
    assert net_debit(taken_back, parts) is None


def test_of_a_debit_taken_back_in_part_the_units_go_and_the_quantities_stay() -> None:
    found = invoice(debit(2, units=10, overage=4, priced=PRICED), reversals=(reversal(5, overage=4),))
    (usage,) = [line for line in found.lines if line.key.kind is not LineKind.BASE_FEE]

    assert (usage.amount_units, usage.debit_count, usage.quantities) == (5, 1, {"tokens": 7})
    assert found.included_used_units == 5


def test_a_reversal_counts_up_to_the_watermark() -> None:
    debits = debit(2, units=10, priced=PRICED)

    assert invoice(debits, reversals=(reversal(10, position=WATERMARK + 1),)) == invoice(debits)
    assert invoice(debits, reversals=(reversal(10, position=WATERMARK),)) == invoice()


def test_a_reversal_of_another_debit_or_wallet_changes_nothing() -> None:
    debits = debit(2, units=10, priced=PRICED)
    others = (reversal(10, of=3), reversal(10, wallet="wallets/other"))

    assert invoice(debits, reversals=others) == invoice(debits)


def test_what_had_repaid_a_debts_debit_is_taken_off_its_units_and_off_no_draw() -> None:
    advanced = DebitFact(2, "wallets/acme", 2, JANUARY, 10, draws=(Draw(1, 4),))
    net = net_debit(advanced, [reversal(3, grant_version=8)])

    assert net is not None
    assert (net.amount_units, net.overage_units, net.draws) == (7, 0, (Draw(1, 4),))


def test_units_go_back_from_the_last_draw_of_their_grant() -> None:
    captured = DebitFact(2, "wallets/acme", 2, JANUARY, 10, draws=(Draw(1, 3), Draw(7, 4), Draw(1, 3)))
    net = net_debit(captured, [reversal(4)])

    assert net is not None
    assert net.draws == (Draw(1, 2), Draw(7, 4))


def test_debits_without_reversals_pass_as_they_are() -> None:
    debits = [debit(2, units=10), debit(3, units=0)]

    assert list(net_debits(debits, [])) == debits
