"""Tax goes back with units that are paid back, moves on with units that move, and never twice."""

from __future__ import annotations

import msgspec
import pytest

from ledger_service.domain.commands import (
    BundledItemTerms,
    ChargeBackGrant,
    RefundGrant,
    RevokeGrant,
    SaleTerms,
    SettleRefund,
)
from ledger_service.domain.events import (
    CreditsTransferredIn,
    GrantChargedBack,
    GrantRefunded,
    GrantRevoked,
    ReceivableLowered,
    RefundSettled,
)
from ledger_service.domain.refusals import (
    AmountOutOfRange,
    ChargebackExceedsGrant,
    FieldMalformed,
    FieldNotAllowed,
    FieldRequired,
    GrantNotRefundable,
    RefundExceedsTax,
    Refusal,
)
from ledger_service.domain.values import UNITS_MAX, GrantCategory, Money
from tests.builders import WALLET, Book, after, debit, grant, hold, recurring, release
from tests.sales import sale
from tests.transfers import BETA, arrive, chargeback, come_back, send, two_wallets

TAX = Money("EUR", 190)
TAXED = SaleTerms(tax=TAX)


def taxed(nanos: int = 1_000, units: int = 100, *, terms: SaleTerms = TAXED) -> Book:
    """Return two wallets, one of them with a taxed grant of version 2."""
    ledger = two_wallets()
    ledger.run(sale(nanos, units, terms=terms))
    return ledger


def refunded(
    ledger: Book, units: int = 0, *, version: int = 2, wallet: str = WALLET, tax: int | None = None
) -> int:
    """Refund units and return the tax that goes back with them."""
    stated = None if tax is None else Money("EUR", tax)
    event = ledger.answer(RefundGrant(wallet, version, units, tax=stated)).event
    assert isinstance(event, GrantRefunded)
    return 0 if event.tax is None else event.tax.nanos


def taken_back(ledger: Book, nanos: int | None = None) -> GrantChargedBack:
    """Charge the grant back and return the event."""
    event = ledger.answer(chargeback(ledger, 2, nanos)).event
    assert isinstance(event, GrantChargedBack)
    return event


def test_a_full_refund_gives_all_the_tax_back() -> None:
    assert refunded(taxed()) == 190


def test_parts_give_back_the_floor_of_their_share_cumulatively() -> None:
    ledger = taxed(units=7)

    assert [refunded(ledger, 3), refunded(ledger, 1), refunded(ledger, 3)] == [81, 27, 82]


def test_tax_of_units_that_were_used_stays_with_the_state() -> None:
    ledger = taxed()
    ledger.run(debit(40))

    assert refunded(ledger) == 114


def test_a_reversal_brings_the_units_and_their_tax_within_reach_again() -> None:
    ledger = taxed()
    used = ledger.run(debit(40))[0].version
    assert refunded(ledger) == 114

    ledger.run(ledger.reversal(used, 40))

    assert refunded(ledger) == 76


def test_what_a_refund_owes_is_settled_with_its_tax() -> None:
    ledger = taxed()
    refund = ledger.run(RefundGrant(WALLET, 2, 50))[0].version

    settled = ledger.answer(SettleRefund(WALLET, refund)).event

    assert isinstance(settled, RefundSettled)
    assert (settled.refund, settled.tax) == (Money("EUR", 500), Money("EUR", 95))


def test_a_grant_without_tax_gives_none_back() -> None:
    ledger = taxed(terms=SaleTerms())

    event = ledger.answer(RefundGrant(WALLET, 2)).event

    assert isinstance(event, GrantRefunded)
    assert event.tax is None


def test_a_revocation_gives_no_tax_back_and_the_rest_keeps_its_own() -> None:
    ledger = taxed()
    ledger.run(RevokeGrant(WALLET, 2, amount_units=40))

    assert refunded(ledger) == 114


def test_the_clawback_of_a_bonus_gives_no_tax_back() -> None:
    ledger = taxed()
    ledger.run(grant(50, category=GrantCategory.PROMOTIONAL, purchase_version=2))

    recorded = [each.fact.event for each in ledger.run(RefundGrant(WALLET, 2, 50))]

    assert [type(each) for each in recorded] == [GrantRefunded, GrantRevoked]
    assert recorded[0] == GrantRefunded(2, 50, Money("EUR", 500), tax=Money("EUR", 95))


def test_units_given_with_the_rest_have_their_share_of_the_tax() -> None:
    assert refunded(taxed(terms=SaleTerms(tax=TAX, bonus_units=20)), 50) == 95


# A stated tax


def test_who_knows_better_states_the_tax_and_what_is_left_goes_back_with_the_rest() -> None:
    ledger = taxed()

    assert refunded(ledger, 50, tax=20) == 20
    assert refunded(ledger) == 170


@pytest.mark.parametrize(("nanos", "fits"), [(190, True), (191, False)])
def test_a_stated_tax_is_at_most_what_is_left(nanos: int, fits: bool) -> None:
    ledger = taxed()
    if fits:
        assert refunded(ledger, 1, tax=nanos) == nanos
        assert refunded(ledger, 1) == 0
        return
    with pytest.raises(RefundExceedsTax) as refused:
        refunded(ledger, 1, tax=nanos)

    assert (refused.value.field, refused.value.metadata) == ("tax", {"left_nanos": "190"})


@pytest.mark.parametrize(
    ("tax", "refusal", "field"),
    [
        (Money("USD", 1), FieldMalformed, "tax.currency_code"),
        (Money("", 1), FieldRequired, "tax.currency_code"),
        (Money("EUR", -1), AmountOutOfRange, "tax.nanos"),
    ],
)
def test_a_stated_tax_that_is_none_is_refused_by_name(tax: Money, refusal: type[Refusal], field: str) -> None:
    ledger = taxed()
    with pytest.raises(refusal) as refused:
        ledger.run(RefundGrant(WALLET, 2, 1, tax=tax))

    assert refused.value.field == field
    assert refunded(ledger) == 190


def test_promotional_units_have_no_tax_to_give_back() -> None:
    ledger = two_wallets()
    ledger.run(grant(10, category=GrantCategory.PROMOTIONAL))

    with pytest.raises(GrantNotRefundable) as refused:
        refunded(ledger, tax=1)

    assert refused.value.field == "name"


# Bundles


def bundled() -> SaleTerms:
    """Return terms of credit worth 3 and support worth 1 at one price."""
    support = BundledItemTerms("support", Money("EUR", 100))
    return SaleTerms(tax=TAX, standalone_price=Money("EUR", 300), bundle=(support,))


def test_of_a_bundle_the_credits_part_of_the_tax_goes_back() -> None:
    ledger = taxed(terms=bundled())

    assert refunded(ledger, 50) == 71
    assert refunded(ledger) == 71


def test_of_a_bundle_whose_tax_is_all_the_credits_it_is_stated() -> None:
    assert refunded(taxed(terms=bundled()), tax=190) == 190


# Transfers


def test_the_tax_right_travels_with_the_units() -> None:
    ledger = taxed(units=7)
    arrived = arrive(ledger, send(ledger, 3))[0]
    lot = arrived.fact.event
    assert isinstance(lot, CreditsTransferredIn)
    assert lot.lot.finance is not None
    assert lot.lot.finance.tax == Money("EUR", 81)

    assert refunded(ledger, wallet=BETA, version=arrived.version) == 81
    assert refunded(ledger) == 109


def test_a_transfer_that_comes_back_brings_its_tax_back() -> None:
    ledger = taxed(units=7)
    sent = send(ledger, 3)
    assert refunded(ledger, 4) == 109

    come_back(ledger, sent)

    assert refunded(ledger) == 81


def test_tax_moves_on_and_on_and_goes_back_once() -> None:
    ledger = taxed(units=7)
    arrived = arrive(ledger, send(ledger, 5))[0].version
    back = arrive(ledger, send(ledger, 2, wallet=BETA, destination=WALLET), wallet=BETA)[0].version

    parts = [
        refunded(ledger),
        refunded(ledger, wallet=BETA, version=arrived),
        refunded(ledger, version=back),
    ]
    assert sum(parts) == 190


# Chargebacks


def test_a_bank_takes_the_tax_back_with_the_price() -> None:
    event = taken_back(taxed())

    assert (event.amount, event.tax) == (Money("EUR", 1_000), Money("EUR", 190))
    assert (event.receivable.nanos, event.tax_receivable) == (0, None)


def test_of_part_of_it_tax_is_the_same_part() -> None:
    event = taken_back(taxed(), 595)

    assert (event.amount.nanos, event.tax) == (500, Money("EUR", 95))
    assert event.revoked_units == 50


def test_the_tax_of_credit_that_was_used_is_owed_by_the_customer() -> None:
    ledger = taxed()
    ledger.run(debit(40))
    event = taken_back(ledger)

    assert (event.receivable, event.tax_receivable) == (Money("EUR", 400), Money("EUR", 76))
    assert ledger.wallet().owed_tax == {2: 76}


def test_units_that_return_lower_the_tax_that_is_owed() -> None:
    ledger = taxed(units=7)
    held = ledger.place(hold(3))
    event = taken_back(ledger)
    assert event.tax_receivable is not None

    lowered = [each.fact.event for each in ledger.run(release(held))][-1]

    assert isinstance(lowered, ReceivableLowered)
    assert lowered.tax == event.tax_receivable
    assert ledger.wallet().owed_tax == {2: 0}


def test_what_a_bank_took_is_not_given_back_again() -> None:
    ledger = taxed()
    taken_back(ledger, 595)

    assert refunded(ledger) == 95
    with pytest.raises(Refusal):
        refunded(ledger, 1, tax=1)


def test_a_bank_does_not_take_back_what_was_given_back() -> None:
    ledger = taxed()
    refunded(ledger, 50)

    event = taken_back(ledger)

    assert (event.amount.nanos, event.tax) == (500, Money("EUR", 95))


@pytest.mark.parametrize(("nanos", "fits"), [(1_190, True), (1_191, False)])
def test_a_chargeback_is_at_most_price_and_tax(nanos: int, fits: bool) -> None:
    ledger = taxed()
    if fits:
        assert taken_back(ledger, nanos).whole
        return
    with pytest.raises(ChargebackExceedsGrant) as refused:
        taken_back(ledger, nanos)

    assert refused.value.metadata == {"left_nanos": "1190"}


# Sales


@pytest.mark.parametrize(
    ("terms", "refusal", "field"),
    [
        (SaleTerms(tax=Money("USD", 1)), FieldMalformed, "grant.finance.tax.currency_code"),
        (SaleTerms(tax=Money("EUR", -1)), AmountOutOfRange, "grant.finance.tax.nanos"),
        (SaleTerms(tax=Money("EUR", UNITS_MAX)), AmountOutOfRange, "grant.finance.tax"),
        (
            SaleTerms(functional_currency="USD", exchange_rate="999999999999999999"),
            AmountOutOfRange,
            "grant.finance.exchange_rate",
        ),
    ],
)
def test_terms_that_no_sale_can_have_are_refused_by_name(
    terms: SaleTerms, refusal: type[Refusal], field: str
) -> None:
    with pytest.raises(refusal) as refused:
        taxed(terms=terms)

    assert refused.value.field == field


@pytest.mark.parametrize(
    ("paid_nanos", "field", "refusal"),
    [(0, "grant.consideration", FieldRequired), (100, "grant.consideration", FieldNotAllowed)],
)
def test_a_recurring_grant_is_no_sale_and_takes_no_terms(
    paid_nanos: int, field: str, refusal: type[Refusal]
) -> None:
    command = grant(10, paid_nanos=paid_nanos or None, recurrence=recurring("P1M"))
    command = msgspec.structs.replace(command, finance=TAXED, expire_time=None)

    with pytest.raises(refusal) as refused:
        two_wallets().run(command)

    assert refused.value.field == field


def test_a_chargeback_of_a_lot_that_arrived_takes_its_own_tax() -> None:
    ledger = taxed(units=7)
    arrived = arrive(ledger, send(ledger, 3), after(hours=1))[0].version
    command = chargeback(ledger, arrived, wallet=BETA)
    assert isinstance(command, ChargeBackGrant)

    event = ledger.answer(command).event

    assert isinstance(event, GrantChargedBack)
    assert event.tax == Money("EUR", 81)
