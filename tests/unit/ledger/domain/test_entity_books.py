"""The books of an entity: its currency, its rates, and what a sale takes of both."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
import pytest

from ledger_service.domain.commands import (
    ActivateGrant,
    AnyCommand,
    CreateBreakagePool,
    GrantCredits,
    RequestTopUp,
    SaleTerms,
    SetExchangeRate,
    SetFunctionalCurrency,
    SettleTopUp,
)
from ledger_service.domain.events import (
    CreditsGranted,
    CreditsTransferredIn,
    Event,
    Fact,
    FinanceTerms,
    GrantActivated,
    TopUpOutcome,
)
from ledger_service.domain.finance.entity_books import EntityBooks
from ledger_service.domain.finance.exchange import Rate, rate_in_force, with_rate
from ledger_service.domain.identity import check_same_call
from ledger_service.domain.refusals import (
    AmountNotPositive,
    BreakagePoolMismatch,
    ExchangeRateRequired,
    FieldMalformed,
    FieldNotAllowed,
    FieldRequired,
    FunctionalCurrencyFixed,
    FunctionalCurrencyRequired,
    IdempotencyKeyReused,
    Refusal,
)
from ledger_service.domain.values import BreakageMethod, Money, ShortfallMode
from tests.builders import MICROSECOND, NOW, WALLET, Book, book, open_wallet
from tests.sales import NO_TERMS, sale
from tests.transfers import BETA, arrive, send

BOOKS = "entities/eu"
DAY = timedelta(days=1)
CURRENCY = SetFunctionalCurrency(BOOKS, "USD")


def rate(text: str = "1.1", currency_code: str = "EUR", **fields: object) -> SetExchangeRate:
    """Return a rate from NOW on, unless told."""
    return msgspec.structs.replace(SetExchangeRate(BOOKS, currency_code, text, NOW), **fields)


def company(*commands: AnyCommand) -> Book:
    """Return a book with a wallet of an entity whose books are in USD."""
    opening = open_wallet(mode=ShortfallMode.SOFT, overage_limit_units=10**9)
    return book(msgspec.structs.replace(opening, entity="eu"), CURRENCY, *commands)


def sold(ledger: Book, command: AnyCommand, now: datetime = NOW) -> FinanceTerms | None:
    """Return the terms that a grant was recorded with."""
    granted = [each.fact.event for each in ledger.run(command, now)]
    return next(each.finance for each in granted if isinstance(each, CreditsGranted))


def in_books(command: AnyCommand) -> AnyCommand:
    """Return a sale into the books of the entity."""
    return msgspec.structs.replace(command, books=BOOKS)


# Settings


def test_books_are_kept_in_one_currency_for_ever() -> None:
    ledger = book(CURRENCY)

    for currency in ("USD", "EUR"):
        with pytest.raises(FunctionalCurrencyFixed):
            ledger.run(SetFunctionalCurrency(BOOKS, currency))


@pytest.mark.parametrize(
    ("command", "refusal", "field"),
    [
        (rate(currency_code="EU"), FieldMalformed, "currency_code"),
        (rate("-0.1"), AmountNotPositive, "rate"),
        (rate("0"), AmountNotPositive, "rate"),
        (rate("0.000"), AmountNotPositive, "rate"),
        (rate("1e3"), FieldMalformed, "rate"),
        (rate("0.0000000000000000001"), FieldMalformed, "rate"),
        (rate(currency_code="USD"), FieldNotAllowed, "currency_code"),
        (rate(entity="entities/other"), FunctionalCurrencyRequired, "name"),
    ],
)
def test_what_is_no_rate_is_refused_by_the_field(
    command: SetExchangeRate, refusal: type[Refusal], field: str
) -> None:
    with pytest.raises(refusal) as refused:
        book(CURRENCY).run(command)

    assert refused.value.field == field


def test_the_smallest_rate_is_a_rate() -> None:
    book(CURRENCY, rate("0." + "0" * 17 + "1"))


def test_a_rate_holds_from_its_instant_until_the_next_one() -> None:
    state = book(CURRENCY, rate("2", from_time=NOW + DAY), rate("1")).states[BOOKS]
    assert isinstance(state, EntityBooks)

    instants = (NOW - MICROSECOND, NOW, NOW + DAY - MICROSECOND, NOW + DAY, NOW + 900 * DAY)
    assert [state.rate_at("EUR", instant) for instant in instants] == ["", "1", "1", "2", "2"]
    assert state.rate_at("GBP", NOW) == ""


def test_a_rate_that_is_put_right_counts_for_what_is_recorded_later() -> None:
    rates: list[Rate] = []
    for each in (Rate(NOW, 3, "1"), Rate(NOW + DAY, 5, "2"), Rate(NOW, 9, "3"), Rate(NOW, 3, "1")):
        with_rate(rates, each)

    found = {position: rate_in_force(rates, NOW, before_position=position) for position in (3, 4, 9, 10)}
    assert found == {3: "", 4: "1", 9: "1", 10: "3"}
    assert rate_in_force(rates, NOW + DAY, before_position=5) == "1"
    assert rate_in_force(rates, NOW + DAY, before_position=6) == "2"
    assert len(rates) == 3


# Sales


def test_a_sale_is_one_of_the_wallets_entity_and_says_so() -> None:
    terms = sold(company(), sale(100, currency_code="USD"))

    assert terms == FinanceTerms(entity="eu", resolved=("entity",))


def test_a_sale_by_another_entity_says_that() -> None:
    terms = sold(company(), sale(100, terms=SaleTerms(entity="us")))

    assert terms == FinanceTerms(entity="us")


def test_a_wallet_of_no_entity_sells_as_it_did() -> None:
    assert sold(book(open_wallet()), sale(100)) is None


def test_a_foreign_sale_takes_the_rate_in_force_at_its_effective_time() -> None:
    ledger = company(rate("1.1"), rate("1.2", from_time=NOW + DAY))
    command = in_books(sale(100, effective_time=NOW + DAY - MICROSECOND))
    terms = sold(ledger, command, NOW + 2 * DAY)
    later = sold(ledger, in_books(sale(100)), NOW + 2 * DAY)

    assert terms == FinanceTerms(
        entity="eu", functional_currency="USD", exchange_rate="1.1", resolved=("entity", "exchange_rate")
    )
    assert later is not None
    assert later.exchange_rate == "1.2"


def test_a_foreign_sale_without_a_rate_is_refused() -> None:
    ledger = company(rate("1.1"))

    with pytest.raises(ExchangeRateRequired) as refused:
        ledger.run(in_books(sale(100, effective_time=NOW - MICROSECOND)))
    assert refused.value.field == "grant.finance.exchange_rate"
    assert sold(ledger, in_books(sale(100, effective_time=NOW))) is not None


@pytest.mark.parametrize(
    ("code", "refusal"), [("", FieldRequired), ("eur", FieldMalformed), ("EU", FieldMalformed)]
)
def test_a_price_in_no_currency_is_refused_as_that_and_not_for_a_rate(
    code: str, refusal: type[FieldRequired | FieldMalformed]
) -> None:
    ledger = company(rate("1.1"))

    with pytest.raises(refusal) as refused:
        ledger.run(in_books(sale(100, currency_code=code)))

    assert refused.value.field == "grant.consideration.currency_code"


def test_a_stated_rate_goes_before_that_of_the_entity() -> None:
    terms = sold(company(rate("1.1")), in_books(sale(100, terms=SaleTerms(exchange_rate="1.5"))))

    assert terms is not None
    assert (terms.functional_currency, terms.exchange_rate, terms.resolved) == ("USD", "1.5", ("entity",))


def test_a_sale_in_the_functional_currency_states_no_rate() -> None:
    with pytest.raises(FieldNotAllowed):
        company().run(in_books(sale(100, currency_code="USD", terms=SaleTerms(exchange_rate="1.5"))))


def test_books_are_in_no_other_currency_than_the_functional_one() -> None:
    terms = SaleTerms(functional_currency="GBP", exchange_rate="1.5")

    with pytest.raises(FieldMalformed) as refused:
        company().run(in_books(sale(100, terms=terms)))
    assert refused.value.field == "grant.finance.functional_currency_code"


def test_a_retry_is_the_same_call_whatever_the_rate_is_by_then() -> None:
    ledger = company(rate("1.1"))
    command = in_books(sale(100))
    first = ledger.answer(command, key="k")
    ledger.run(rate("1.2"))

    for recorded in (first, msgspec.structs.replace(first, fingerprint="of an older version")):
        check_same_call(command, recorded)
        check_same_call(msgspec.structs.replace(command, books=""), recorded)
    _is_another_call(sale(100, terms=SaleTerms(entity="eu")), first)
    _is_another_call(sale(100, terms=SaleTerms(exchange_rate="1.1")), first)


def _is_another_call(command: AnyCommand, first: Fact[Event]) -> None:
    with pytest.raises(IdempotencyKeyReused):
        check_same_call(command, first)


def test_a_top_up_is_a_sale_of_the_wallets_entity_at_the_rate_of_its_settlement() -> None:
    ledger = company(rate("1.1"), rate("1.2", from_time=NOW + DAY))
    ledger.run(RequestTopUp(WALLET, 10, Money("EUR", 500)))
    settle = SettleTopUp(WALLET, ledger.wallet().version, TopUpOutcome.SUCCEEDED, books=BOOKS)
    terms = sold(ledger, settle, NOW + DAY)

    assert terms is not None
    assert (terms.entity, terms.exchange_rate) == ("eu", "1.2")


def asked(terms: SaleTerms) -> RequestTopUp:
    """Return a request of a foreign top-up that knows the currency of its books."""
    return RequestTopUp(WALLET, 100, Money("EUR", 500), finance=terms, books_currency="USD")


@pytest.mark.parametrize(
    "terms",
    [
        SaleTerms(product="packs", tax=Money("EUR", 95)),
        SaleTerms(exchange_rate="1.3"),
        SaleTerms(entity="eu", functional_currency="USD", expected_breakage="0.1"),
        SaleTerms(pool="breakagePools/eu"),
    ],
)
def test_the_terms_of_a_top_up_are_completed_as_those_of_a_grant_are(terms: SaleTerms) -> None:
    pool = CreateBreakagePool("breakagePools/eu", "USD", BreakageMethod.REMOTE, entity="eu")
    granted, bought = company(pool, rate("1.1")), company(pool, rate("1.1"))
    bought.run(asked(terms))
    settle = SettleTopUp(WALLET, bought.wallet().version, TopUpOutcome.SUCCEEDED, books=BOOKS)

    assert sold(bought, settle) == sold(granted, in_books(sale(500, terms=terms)))


@pytest.mark.parametrize(
    ("terms", "refusal", "field"),
    [
        (SaleTerms(functional_currency="GBP"), FieldMalformed, "top_up.finance.functional_currency_code"),
        (SaleTerms(pool="breakagePools/eur"), BreakagePoolMismatch, "top_up.finance.pool"),
        (SaleTerms(pool="breakagePools/other"), BreakagePoolMismatch, "top_up.finance.pool"),
    ],
)
def test_a_top_up_that_its_books_or_pool_cannot_take_is_refused_when_it_is_asked_for(
    terms: SaleTerms, refusal: type[Refusal], field: str
) -> None:
    ledger = company(
        CreateBreakagePool("breakagePools/eur", "EUR", BreakageMethod.REMOTE, entity="eu"),
        CreateBreakagePool("breakagePools/other", "USD", BreakageMethod.REMOTE, entity="other"),
    )

    with pytest.raises(refusal) as refused:
        ledger.run(asked(terms))

    assert refused.value.field == field


def test_a_pool_that_books_began_without_refuses_the_settlement_and_nothing_is_half_done() -> None:
    terms = SaleTerms(pool="breakagePools/eur")
    opening = msgspec.structs.replace(open_wallet(), entity="eu")
    pool = CreateBreakagePool("breakagePools/eur", "EUR", BreakageMethod.REMOTE, entity="eu")
    ledger = book(opening, pool, msgspec.structs.replace(asked(terms), books_currency=""))
    version = ledger.wallet().version
    for command in (CURRENCY, rate("1.1")):
        ledger.run(command)
    settle = SettleTopUp(WALLET, version, TopUpOutcome.SUCCEEDED, books=BOOKS, finance=terms)

    with pytest.raises(BreakagePoolMismatch):
        ledger.run(settle)

    assert ledger.wallet().payments.open_top_ups


def test_a_top_up_without_a_rate_waits_for_one() -> None:
    ledger = company()
    ledger.run(RequestTopUp(WALLET, 10, Money("EUR", 500)))
    settle = SettleTopUp(WALLET, ledger.wallet().version, TopUpOutcome.SUCCEEDED, books=BOOKS)

    with pytest.raises(ExchangeRateRequired) as refused:
        ledger.run(settle)
    assert refused.value.field == "exchange_rate"
    ledger.run(rate("1.1"))
    assert sold(ledger, settle) is not None


def pending(nanos: int, *, terms: SaleTerms = NO_TERMS) -> GrantCredits:
    """Return a sale that waits for its payment."""
    command = msgspec.structs.replace(sale(nanos, terms=terms), pending=True, books=BOOKS)
    assert isinstance(command, GrantCredits)
    return command


def activated(ledger: Book, now: datetime = NOW) -> FinanceTerms | None:
    """Activate the newest grant, and return the terms of its lot."""
    version = ledger.wallet().payments.pending_grants[-1].grant_version
    event = ledger.answer(ActivateGrant(WALLET, version, BOOKS), now).event
    assert isinstance(event, GrantActivated)
    return event.lot.finance


def test_a_pending_grant_takes_the_rate_of_its_activation() -> None:
    ledger = company(rate("1.1"), rate("1.2", from_time=NOW + DAY))
    waiting = sold(ledger, pending(100))
    terms = activated(ledger, NOW + DAY)

    assert waiting == FinanceTerms(entity="eu", resolved=("entity",))
    assert terms == FinanceTerms(
        entity="eu", functional_currency="USD", exchange_rate="1.2", resolved=("entity", "exchange_rate")
    )


def test_a_pending_grant_keeps_a_rate_that_was_stated() -> None:
    ledger = company(rate("1.1"))
    ledger.run(pending(100, terms=SaleTerms(exchange_rate="1.5")))
    terms = activated(ledger)

    assert terms is not None
    assert terms.exchange_rate == "1.5"


def test_a_payment_that_came_waits_for_a_rate() -> None:
    ledger = company()
    ledger.run(pending(100))

    with pytest.raises(ExchangeRateRequired):
        activated(ledger)
    ledger.run(rate("1.1"))
    assert activated(ledger) is not None


def test_a_pending_grant_joins_a_pool_in_the_currency_of_the_books() -> None:
    pool = "breakagePools/eu"
    ledger = company(CreateBreakagePool(pool, "USD", BreakageMethod.REMOTE, entity="eu"))

    assert sold(ledger, pending(100, terms=SaleTerms(pool=pool))) is not None


def test_a_pool_takes_lots_of_its_own_entity_alone() -> None:
    pools = {name: f"breakagePools/{name}" for name in ("eu", "default")}
    ledger = company(
        CreateBreakagePool(pools["eu"], "USD", BreakageMethod.REMOTE, entity="eu"),
        CreateBreakagePool(pools["default"], "USD", BreakageMethod.REMOTE),
    )

    assert sold(ledger, sale(100, currency_code="USD", terms=SaleTerms(pool=pools["eu"]))) is not None
    with pytest.raises(BreakagePoolMismatch):
        ledger.run(sale(100, currency_code="USD", terms=SaleTerms(pool=pools["default"])))
    by_default = SaleTerms(entity="default", pool=pools["default"])
    assert sold(ledger, sale(100, currency_code="USD", terms=by_default)) is not None


def test_credit_that_moves_to_a_wallet_of_another_entity_stays_that_of_who_sold_it() -> None:
    ledger = company()
    ledger.run(sale(100, currency_code="USD"))
    ledger.run(open_wallet(wallet=BETA))
    arrived = arrive(ledger, send(ledger, 40))[-1].fact.event

    assert isinstance(arrived, CreditsTransferredIn)
    assert arrived.lot.finance == FinanceTerms(entity="eu")
