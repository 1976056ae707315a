"""Opening wallets and granting credit: every field at its boundary."""

from datetime import datetime

import msgspec
import pytest

from ledger_service.domain.commands import GrantCredits
from ledger_service.domain.refusals import (
    AmountNotPositive,
    AmountOutOfRange,
    FieldMalformed,
    FieldNotAllowed,
    FieldRequired,
    FieldTooLong,
    NumberOutOfRange,
    Refusal,
    TimesOutOfOrder,
    WalletExists,
    WalletNotFound,
)
from ledger_service.domain.values import UNITS_MAX, Asset, GrantCategory, Money
from ledger_service.domain.wallet.grant import PRIORITY_MAX, SCOPE_SIZE_MAX
from ledger_service.domain.wallet.state import posted_units
from tests.builders import (
    CONTRACT,
    MICROSECOND,
    Book,
    after,
    agreed,
    book,
    debit,
    grant,
    open_wallet,
    sign_contract,
)


def test_a_grant_makes_a_lot() -> None:
    ledger = book(open_wallet())

    recorded = ledger.answer(grant(10, effective_time=after(days=1)))

    assert recorded.effective_time == after(days=1)
    assert [(each.grant_version, each.remaining_units) for each in ledger.wallet().lots] == [(2, 10)]
    assert ledger.wallet().granted_units == 10


@pytest.mark.parametrize("amount_units", [0, -1])
def test_a_grant_that_is_not_positive_is_refused(amount_units: int) -> None:
    with pytest.raises(AmountNotPositive) as refused:
        book(open_wallet(), grant(amount_units))

    assert refused.value.field == "grant.amount_units"


@pytest.mark.parametrize("amount_units", [1, UNITS_MAX])
def test_a_grant_may_have_any_amount_of_int64(amount_units: int) -> None:
    assert posted_units(book(open_wallet(), grant(amount_units)).wallet()) == amount_units


def test_a_grant_one_above_int64_is_refused() -> None:
    with pytest.raises(AmountOutOfRange) as refused:
        book(open_wallet(), grant(UNITS_MAX + 1))

    assert refused.value.field == "grant.amount_units"


def test_all_grants_of_a_wallet_together_stay_within_int64() -> None:
    ledger = book(open_wallet(), grant(UNITS_MAX - 1), debit(5))

    with pytest.raises(AmountOutOfRange):
        ledger.run(grant(2))
    ledger.run(grant(1))

    assert ledger.wallet().granted_units == UNITS_MAX


@pytest.mark.parametrize("expire_time", [after(days=-1), after(microseconds=-1), after()])
def test_a_grant_that_expires_at_or_before_its_effective_time_is_refused(expire_time: datetime) -> None:
    with pytest.raises(TimesOutOfOrder) as refused:
        book(open_wallet(), grant(1, effective_time=after(), expire_time=expire_time))

    assert refused.value.field == "grant.expire_time"


def test_a_grant_may_last_one_microsecond() -> None:
    ledger = book(open_wallet(), grant(1, expire_time=after() + MICROSECOND))

    assert ledger.wallet().next_due_time == after(microseconds=1)


def test_a_grant_without_an_effective_time_must_not_expire_now() -> None:
    with pytest.raises(TimesOutOfOrder):
        book(open_wallet(), grant(1, expire_time=after()))


def test_a_scope_is_recorded_in_alphabetical_order() -> None:
    ledger = book(open_wallet(), grant(1, scope=("code", "chat")))

    assert ledger.wallet().lots[0].scope == ("chat", "code")


def features(count: int) -> tuple[str, ...]:
    """Return so many different features."""
    return tuple(f"feature-{index}" for index in range(count))


@pytest.mark.parametrize(
    "changes",
    [
        {"priority": 0},
        {"priority": PRIORITY_MAX},
        {"scope": features(SCOPE_SIZE_MAX)},
        {"scope": ("a" * 100,)},
        {"reference": "r" * 200},
        {"consideration": Money("EUR", 0)},
        {"consideration": Money("EUR", UNITS_MAX)},
    ],
)
def test_a_field_may_reach_its_boundary(changes: dict[str, object]) -> None:
    ledger = book(open_wallet())

    ledger.run(msgspec.structs.replace(grant(1), **changes))

    assert ledger.wallet().granted_units == 1


@pytest.mark.parametrize(
    ("changes", "refusal", "field"),
    [
        ({"priority": -1}, NumberOutOfRange, "grant.priority"),
        ({"priority": PRIORITY_MAX + 1}, NumberOutOfRange, "grant.priority"),
        ({"scope": features(SCOPE_SIZE_MAX + 1)}, FieldTooLong, "grant.scope"),
        ({"scope": ("a" * 101,)}, FieldMalformed, "grant.scope"),
        ({"scope": ("",)}, FieldMalformed, "grant.scope"),
        ({"scope": ("chat", "chat")}, FieldMalformed, "grant.scope"),
        ({"reference": "r" * 201}, FieldTooLong, "grant.reference"),
        ({"reference": "a\x00b"}, FieldMalformed, "grant.reference"),
        ({"consideration": Money("EUR", -1)}, AmountOutOfRange, "grant.consideration.nanos"),
        ({"consideration": Money("EUR", UNITS_MAX + 1)}, AmountOutOfRange, "grant.consideration.nanos"),
        ({"consideration": Money("", 1)}, FieldRequired, "grant.consideration.currency_code"),
        ({"consideration": Money("eur", 1)}, FieldMalformed, "grant.consideration.currency_code"),
        (
            {"consideration": Money("EUR", 1), "category": GrantCategory.PROMOTIONAL},
            FieldNotAllowed,
            "grant.consideration",
        ),
        (
            {"consideration": Money("EUR", 1), "category": GrantCategory.INCLUDED},
            FieldNotAllowed,
            "grant.consideration",
        ),
        ({"contract": CONTRACT, "category": GrantCategory.PAID}, FieldNotAllowed, "grant.contract"),
        ({"contract": CONTRACT, "category": GrantCategory.PROMOTIONAL}, FieldNotAllowed, "grant.contract"),
        ({"contract": CONTRACT, "category": GrantCategory.INCLUDED}, FieldMalformed, "grant.contract"),
    ],
)
def test_a_field_beyond_its_boundary_is_refused_by_name(
    changes: dict[str, object], refusal: type[Refusal], field: str
) -> None:
    ledger = book(open_wallet())
    command: GrantCredits = msgspec.structs.replace(grant(1), **changes)

    with pytest.raises(refusal) as refused:
        ledger.run(command)

    assert refused.value.field == field
    assert ledger.wallet().lots == ()


def test_an_included_grant_may_name_the_wallets_contract() -> None:
    ledger = agreed()
    ledger.run(sign_contract())

    ledger.run(msgspec.structs.replace(grant(1, category=GrantCategory.INCLUDED), contract=CONTRACT))

    assert ledger.wallet().granted_units == 1


def test_a_grant_to_no_wallet_is_refused() -> None:
    with pytest.raises(WalletNotFound):
        Book().run(grant(1))


def test_a_wallet_is_opened_once() -> None:
    with pytest.raises(WalletExists) as refused:
        book(open_wallet(), open_wallet())

    assert refused.value.field == "wallet_id"


@pytest.mark.parametrize(
    ("changes", "refusal", "field"),
    [
        ({"customer": ""}, FieldRequired, "wallet.customer"),
        ({"customer": "acme"}, FieldMalformed, "wallet.customer"),
        ({"asset": Asset("", 6)}, FieldRequired, "wallet.asset.code"),
        ({"asset": Asset("credit", 6)}, FieldMalformed, "wallet.asset.code"),
        ({"asset": Asset("C" * 17, 6)}, FieldMalformed, "wallet.asset.code"),
        ({"asset": Asset("CREDIT", -1)}, NumberOutOfRange, "wallet.asset.scale"),
        ({"asset": Asset("CREDIT", 13)}, NumberOutOfRange, "wallet.asset.scale"),
        ({"overage_limit_units": -1}, NumberOutOfRange, "wallet.overage_limit_units"),
        ({"overage_limit_units": UNITS_MAX + 1}, NumberOutOfRange, "wallet.overage_limit_units"),
    ],
)
def test_a_wallets_field_beyond_its_boundary_is_refused_by_name(
    changes: dict[str, object], refusal: type[Refusal], field: str
) -> None:
    with pytest.raises(refusal) as refused:
        book(msgspec.structs.replace(open_wallet(), **changes))

    assert refused.value.field == field


@pytest.mark.parametrize(
    "changes",
    [
        {"asset": Asset("C", 0)},
        {"asset": Asset("C" * 16, 12)},
        {"overage_limit_units": UNITS_MAX},
    ],
)
def test_a_wallets_field_may_reach_its_boundary(changes: dict[str, object]) -> None:
    assert book(msgspec.structs.replace(open_wallet(), **changes)).wallet().lots == ()
