"""What a statement says of refunds, clawbacks, roll-overs and extensions, as they come out of real decisions."""

from ledger_service.application.reading.statement_texts import Text, describe
from ledger_service.domain.commands import SaleTerms, SettleRefund
from ledger_service.domain.events import Event
from ledger_service.domain.values import GrantCategory, Money
from tests.builders import (
    WALLET,
    after,
    book,
    debit,
    events_of,
    extend,
    grant,
    open_wallet,
    recurring,
    refund,
    revoke,
    settle,
)
from tests.sales import sale
from tests.transfers import chargeback

PROMOTIONAL = GrantCategory.PROMOTIONAL


def texts(*events: Event) -> list[Text]:
    """Return what is said of events."""
    return [describe(event) for event in events]


def test_a_refund_takes_its_units_and_names_the_money_without_idle_zeros() -> None:
    ledger = book(open_wallet(), grant(3, paid_nanos=10_500_000_000))

    part = events_of(ledger.run(refund(2, 1), after()))
    rest = events_of(ledger.run(refund(2), after()))

    assert texts(*part, *rest) == [
        Text(-1, 0, "Grant 2 refunded: EUR 3.5"),
        Text(-2, 0, "Grant 2 refunded: EUR 7"),
    ]


def test_a_clawback_takes_its_units_and_names_the_bonus() -> None:
    ledger = book(
        open_wallet(),
        grant(10, paid_nanos=1_000_000_000),
        grant(5, category=PROMOTIONAL, purchase_version=2),
    )

    assert texts(*events_of(ledger.run(refund(2, 4), after()))) == [
        Text(-4, 0, "Grant 2 refunded: EUR 0.4"),
        Text(-2, 0, "Bonus grant 3 clawed back"),
    ]


def test_tax_that_goes_back_is_told_beside_the_refund_and_its_payment() -> None:
    ledger = book(open_wallet(), sale(1_000_000_000, 10, terms=SaleTerms(tax=Money("EUR", 190_000_000))))

    said = texts(*events_of(ledger.run(refund(2, 4))), *events_of(ledger.run(SettleRefund(WALLET, 3))))

    assert [each.description for each in said] == [
        "Grant 2 refunded: EUR 0.4 and EUR 0.076 tax",
        "Refund 3 paid: EUR 0.4 and EUR 0.076 tax",
    ]


def test_tax_in_a_chargeback_and_in_what_lowers_it_is_told() -> None:
    ledger = book(open_wallet(), sale(1_000_000_000, 10, terms=SaleTerms(tax=Money("EUR", 190_000_000))))
    used = ledger.run(debit(4))[-1].version

    said = texts(*events_of(ledger.run(chargeback(ledger, 2))), *events_of(ledger.run(ledger.reversal(used))))

    assert [each.description for each in said if "charged" in each.description] == [
        "Grant 2 charged back: EUR 1 and EUR 0.19 tax,"
        " of which EUR 0.4 and EUR 0.076 tax are owed (dispute-1)",
        "Returned to charged back grant 2: EUR 0.4 and EUR 0.076 tax less owed",
    ]


def test_a_revocation_is_no_clawback_and_gives_its_reason_if_there_is_one() -> None:
    ledger = book(open_wallet(), grant(10), grant(5))

    revoked = events_of(ledger.run(revoke(2), after())) + events_of(
        ledger.run(revoke(3, reason="sold twice"), after())
    )

    assert texts(*revoked) == [Text(-10, 0, "Grant 2 revoked"), Text(-5, 0, "Grant 3 revoked (sold twice)")]


def test_what_rolls_over_stays_posted_and_what_does_not_expires() -> None:
    ledger = book(open_wallet(), grant(10, recurrence=recurring("P1D", count=2, percent="50")), debit(2))

    said = texts(*events_of(ledger.run(settle(), after(days=1))))

    assert Text(0, 0, "Rest of grant 2 rolled over") in said
    assert Text(-4, 0, "Grant 2 expired") in said
    assert sum(each.change_units for each in said) == 10 - 4


def test_an_extension_changes_nothing_posted_and_names_the_new_end() -> None:
    ledger = book(open_wallet(), grant(10, expire_time=after(days=1)))

    until = events_of(ledger.run(extend(2, after(days=2)), after()))
    for_ever = events_of(ledger.run(extend(2), after()))

    assert texts(*until, *for_ever) == [
        Text(0, 0, "Grant 2 extended until 2026-03-03T12:00:00+00:00"),
        Text(0, 0, "Grant 2 extended for ever"),
    ]
