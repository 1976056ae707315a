"""A top-up is sold on the terms of a sale: those of its request, and what only its payment tells."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ledger_service.domain.commands import (
    BundledItemTerms,
    CreateBreakagePool,
    OpenWallet,
    RequestTopUp,
    SaleTerms,
    SettleTopUp,
    UpdateWallet,
)
from ledger_service.domain.events import (
    AutoTopUp,
    CreditsGranted,
    FinanceTerms,
    TopUpOutcome,
    TopUpRequested,
    TopUpSettled,
    WalletRules,
)
from ledger_service.domain.refusals import (
    AmountNotPositive,
    AmountOutOfRange,
    BreakageEstimateOutOfRange,
    BreakagePoolMismatch,
    BreakagePoolNotFound,
    ExchangeRateRequired,
    FieldMalformed,
    FieldNotAllowed,
    FieldRequired,
    NumberOutOfRange,
    Refusal,
)
from ledger_service.domain.values import UNITS_MAX, BreakageMethod, GrantCategory, Money
from tests.builders import NOW, WALLET, Book, after, book, debit, events_of, open_wallet

PRICE = Money("EUR", 900)
TAX = Money("EUR", 171)
POOL = "breakagePools/packs"
SUCCEEDED, FAILED = TopUpOutcome.SUCCEEDED, TopUpOutcome.FAILED
RULE_FIELD = "wallet.rules.auto_top_up.finance"


def ask(terms: SaleTerms | None, **changes: Any) -> RequestTopUp:
    """Return a request of ten units on terms."""
    asked = RequestTopUp(WALLET, 10, PRICE, finance=terms)
    return msgspec.structs.replace(asked, **changes)


def pay(*, tax: Money | None = None, rate: str = "", version: int = 2) -> SettleTopUp:
    """Return a success."""
    return SettleTopUp(WALLET, version, SUCCEEDED, tax=tax, exchange_rate=rate)


def rule(terms: SaleTerms | None, **changes: Any) -> AutoTopUp:
    """Return a rule that buys 20 units, at 900 for 100, when nothing is left."""
    top_up = AutoTopUp(threshold_units=0, price=PRICE, price_units=100, amount_units=20, finance=terms)
    return msgspec.structs.replace(top_up, **changes)


def ruled(top_up: AutoTopUp) -> OpenWallet:
    """Return the opening of a wallet with a rule."""
    return open_wallet(rules=WalletRules(auto_top_up=top_up))


def sold(ledger: Book) -> CreditsGranted:
    """Return the newest grant."""
    events = [each.fact.event for each in ledger.log]
    return next(event for event in reversed(events) if isinstance(event, CreditsGranted))


def test_the_grant_of_a_top_up_has_its_terms() -> None:
    terms = SaleTerms(entity="acme-de", product="packs", expected_breakage="0.1", bonus_units=2, tax=TAX)
    ledger = book(open_wallet(), ask(terms), pay())

    assert sold(ledger) == CreditsGranted(
        10,
        GrantCategory.PAID,
        consideration=PRICE,
        top_up_version=2,
        finance=FinanceTerms(
            entity="acme-de", product="packs", expected_breakage="0.1", bonus_units=2, tax=TAX
        ),
    )


def test_tax_and_rate_may_come_with_the_payment_and_replace_what_was_said_before() -> None:
    terms = SaleTerms(tax=Money("EUR", 1), functional_currency="USD", exchange_rate="1.1")
    ledger = book(open_wallet(), ask(terms), pay(tax=TAX, rate="1.2"))

    assert sold(ledger).finance == FinanceTerms(tax=TAX, functional_currency="USD", exchange_rate="1.2")


def test_a_payment_tells_of_a_sale_without_terms() -> None:
    ledger = book(open_wallet(), ask(None), pay(tax=TAX))

    assert sold(ledger).finance == FinanceTerms(tax=TAX)


def test_what_a_payment_told_is_recorded_with_it() -> None:
    ledger = book(open_wallet(), ask(SaleTerms(functional_currency="USD")))

    event = ledger.answer(pay(tax=TAX, rate="1.2")).event

    assert event == TopUpSettled(2, SUCCEEDED, tax=TAX, exchange_rate="1.2")


def test_of_a_bundle_the_credit_keeps_its_part_and_all_the_price_is_asked_for() -> None:
    terms = SaleTerms(
        standalone_price=Money("EUR", 200), bundle=(BundledItemTerms("setup", Money("EUR", 100)),)
    )
    ledger = book(open_wallet(), ask(terms))
    (requested,) = (each.requested for each in ledger.wallet().payments.open_top_ups)
    assert requested.price == PRICE

    ledger.run(pay())

    assert sold(ledger).consideration == Money("EUR", 600)
    terms_sold = sold(ledger).finance
    assert terms_sold is not None
    assert [item.amount for item in terms_sold.bundle] == [Money("EUR", 300)]


def test_units_expected_to_be_used_are_of_those_that_are_bought() -> None:
    ledger = book(open_wallet(), ask(SaleTerms(expected_redeemed_units=9)), pay())

    finance = sold(ledger).finance
    assert finance is not None
    assert (finance.expected_redeemed_units, finance.expected_of_units) == (9, 10)


def test_no_terms_are_recorded_where_none_are_said() -> None:
    ledger = book(open_wallet(), ask(SaleTerms()))

    (requested,) = (each.requested for each in ledger.wallet().payments.open_top_ups)
    assert requested.finance is None
    ledger.run(pay())
    assert sold(ledger).finance is None


def test_a_foreign_top_up_without_a_rate_is_refused_at_settlement_and_nothing_is_half_done() -> None:
    ledger = book(open_wallet(), ask(SaleTerms(functional_currency="USD")))
    before = len(ledger.log)

    with pytest.raises(ExchangeRateRequired) as refused:
        ledger.run(pay(tax=TAX))

    assert refused.value.field == "exchange_rate"
    assert len(ledger.log) == before
    ledger.run(pay(rate="1.1"))
    assert sold(ledger).finance == FinanceTerms(functional_currency="USD", exchange_rate="1.1")


@pytest.mark.parametrize(
    ("tax", "rate", "refusal", "field"),
    [
        (Money("USD", 1), "1.1", FieldMalformed, "tax.currency_code"),
        (Money("", 1), "1.1", FieldRequired, "tax.currency_code"),
        (Money("EUR", -1), "1.1", AmountOutOfRange, "tax.nanos"),
        (Money("EUR", UNITS_MAX - 899), "1.1", AmountOutOfRange, "tax"),
        (None, "0", AmountNotPositive, "exchange_rate"),
        (None, "-1", FieldMalformed, "exchange_rate"),
        (None, "999999999999999999", AmountOutOfRange, "exchange_rate"),
    ],
)
def test_what_a_payment_cannot_tell_is_refused_by_name(
    tax: Money | None, rate: str, refusal: type[Refusal], field: str
) -> None:
    ledger = book(open_wallet(), ask(SaleTerms(functional_currency="USD")))

    with pytest.raises(refusal) as refused:
        ledger.run(pay(tax=tax, rate=rate))

    assert refused.value.field == field
    assert ledger.wallet().payments.open_top_ups


def test_a_rate_of_a_sale_that_is_not_foreign_is_refused() -> None:
    ledger = book(open_wallet(), ask(None))

    with pytest.raises(FieldNotAllowed) as refused:
        ledger.run(pay(rate="1.1"))

    assert refused.value.field == "exchange_rate"


@pytest.mark.parametrize(
    ("changes", "field"), [({"tax": TAX}, "tax"), ({"exchange_rate": "1.1"}, "exchange_rate")]
)
def test_a_payment_that_failed_tells_nothing(changes: dict[str, Any], field: str) -> None:
    ledger = book(open_wallet(), ask(None))

    with pytest.raises(FieldNotAllowed) as refused:
        ledger.run(SettleTopUp(WALLET, 2, FAILED, **changes))

    assert refused.value.field == field


WRONG_TERMS: list[tuple[SaleTerms, type[Refusal], str]] = [
    (SaleTerms(entity="no spaces"), FieldMalformed, "entity"),
    (SaleTerms(product="no spaces"), FieldMalformed, "product"),
    (SaleTerms(tax=Money("USD", 1)), FieldMalformed, "tax.currency_code"),
    (SaleTerms(tax=Money("EUR", -1)), AmountOutOfRange, "tax.nanos"),
    (SaleTerms(expected_breakage="1"), BreakageEstimateOutOfRange, "expected_breakage"),
    (SaleTerms(expected_breakage="-0.1"), BreakageEstimateOutOfRange, "expected_breakage"),
    (SaleTerms(expected_breakage="x"), FieldMalformed, "expected_breakage"),
    (SaleTerms(expected_redeemed_units=-1), BreakageEstimateOutOfRange, "expected_redeemed_units"),
    (SaleTerms(bonus_units=-1), NumberOutOfRange, "bonus_units"),
    (SaleTerms(functional_currency="dollars"), FieldMalformed, "functional_currency_code"),
    (SaleTerms(standalone_price=PRICE), FieldNotAllowed, "standalone_price"),
    (SaleTerms(bundle=(BundledItemTerms("setup", PRICE),)), FieldRequired, "standalone_price"),
    (
        SaleTerms(standalone_price=PRICE, bundle=(BundledItemTerms("", PRICE),)),
        FieldRequired,
        "bundle.product",
    ),
    (SaleTerms(pool=POOL), BreakagePoolNotFound, "pool"),
]


@pytest.mark.parametrize(
    ("terms", "refusal", "field"),
    [
        *WRONG_TERMS,
        (SaleTerms(expected_redeemed_units=11), BreakageEstimateOutOfRange, "expected_redeemed_units"),
        (SaleTerms(bonus_units=10), NumberOutOfRange, "bonus_units"),
        (SaleTerms(exchange_rate="1.1"), FieldNotAllowed, "exchange_rate"),
    ],
)
def test_terms_that_no_top_up_can_have_are_refused_by_name(
    terms: SaleTerms, refusal: type[Refusal], field: str
) -> None:
    ledger = book(open_wallet())

    with pytest.raises(refusal) as refused:
        ledger.run(ask(terms))

    assert refused.value.field == f"top_up.finance.{field}"
    assert len(ledger.log) == 1


def test_a_top_up_goes_into_a_pool_of_its_currency_and_entity() -> None:
    ledger = book(open_wallet())
    ledger.run(CreateBreakagePool(POOL, "USD", BreakageMethod.REMOTE))

    with pytest.raises(BreakagePoolMismatch) as refused:
        ledger.run(ask(SaleTerms(pool=POOL)))
    assert refused.value.field == "top_up.finance.pool"

    ledger.run(ask(SaleTerms(pool=POOL, functional_currency="USD")))
    ledger.run(pay(rate="1.1"))
    finance = sold(ledger).finance
    assert finance is not None
    assert finance.pool == POOL


# Rules


def test_an_automatic_top_up_has_the_terms_of_its_rule_and_its_share_of_the_tax_rounded_up() -> None:
    terms = SaleTerms(product="packs", tax=TAX, expected_breakage="0.1")
    ledger = book(ruled(rule(terms, amount_units=33)))

    requested = ledger.log[-1].fact.event
    assert isinstance(requested, TopUpRequested)
    assert requested.price == Money("EUR", 297)
    assert requested.finance == msgspec.structs.replace(terms, tax=Money("EUR", 57))

    ledger.run(pay())
    assert sold(ledger).finance == FinanceTerms(
        product="packs", tax=Money("EUR", 57), expected_breakage="0.1"
    )


def test_a_rule_may_be_given_its_terms_later_and_the_next_top_up_has_them() -> None:
    ledger = book(ruled(rule(None)), pay())
    rules = WalletRules(auto_top_up=rule(SaleTerms(product="packs")))
    ledger.run(UpdateWallet(WALLET, ("rules.auto_top_up",), rules=rules), NOW)
    ledger.run(debit(20), after(days=1))

    requested = events_of(ledger.log)[-1]

    assert isinstance(requested, TopUpRequested)
    assert requested.finance == SaleTerms(product="packs")


@pytest.mark.parametrize(
    ("top_up", "refusal", "field"),
    [
        *((rule(terms), refusal, field) for terms, refusal, field in WRONG_TERMS),
        (rule(SaleTerms(functional_currency="USD", exchange_rate="1.1")), FieldNotAllowed, "exchange_rate"),
        (
            rule(
                SaleTerms(
                    standalone_price=PRICE,
                    bundle=(BundledItemTerms("support", PRICE, NOW, after(days=1)),),
                )
            ),
            FieldNotAllowed,
            "bundle.from_time",
        ),
        (rule(SaleTerms(bonus_units=20)), NumberOutOfRange, "bonus_units"),
        (
            rule(SaleTerms(bonus_units=2), amount_units=0, target_units=50),
            FieldNotAllowed,
            "bonus_units",
        ),
        (
            rule(SaleTerms(expected_redeemed_units=2), amount_units=0, target_units=50),
            FieldNotAllowed,
            "expected_redeemed_units",
        ),
        (
            rule(SaleTerms(tax=Money("EUR", UNITS_MAX - 900)), price_units=1, amount_units=2),
            AmountOutOfRange,
            "tax",
        ),
    ],
)
def test_terms_that_no_rule_can_have_are_refused_by_name(
    top_up: AutoTopUp, refusal: type[Refusal], field: str
) -> None:
    with pytest.raises(refusal) as refused:
        book(ruled(top_up))
    assert refused.value.field == f"{RULE_FIELD}.{field}"

    ledger = book(open_wallet())
    with pytest.raises(refusal) as refused:
        ledger.run(UpdateWallet(WALLET, ("rules.auto_top_up",), rules=WalletRules(auto_top_up=top_up)))
    assert refused.value.field == f"{RULE_FIELD}.{field}"


def test_an_update_of_other_rules_asks_for_no_pool() -> None:
    rules = WalletRules(late_usage_grace_seconds=60, auto_top_up=rule(SaleTerms(pool=POOL)))
    ledger = book(open_wallet())

    ledger.run(UpdateWallet(WALLET, ("rules.late_usage_grace",), rules=rules))

    assert ledger.wallet().rules == WalletRules(
        late_usage_grace_seconds=60, alerts=ledger.wallet().rules.alerts
    )
