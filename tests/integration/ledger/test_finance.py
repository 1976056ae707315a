"""What finance tells the ledger and reads from it, over a real channel."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from credits.ledger.v1 import (
    finance_commands_pb2,
    finance_service_pb2,
    money_pb2,
    sale_terms_pb2,
    transfer_pb2,
    wallet_service_pb2,
)
from tests.integration.ledger.client import (
    CALL_SECONDS,
    PROMOTIONAL,
    Client,
    key,
    refusal,
    timestamp,
)
from tests.integration.ledger.holds.calls import refund

DAY = timedelta(days=1)
OUT_OF_RANGE = "BREAKAGE_ESTIMATE_OUT_OF_RANGE"
IN_USD = {"functional_currency_code": "USD"}
ITEM = sale_terms_pb2.BundledItem(product="a")
PROPORTIONAL = finance_commands_pb2.BREAKAGE_METHOD_PROPORTIONAL


def eur(nanos: int) -> money_pb2.Money:
    """Return an amount in EUR."""
    return money_pb2.Money(currency_code="EUR", nanos=nanos)


async def sell(client: Client, wallet: str, units: int, nanos: int, **terms: Any) -> str:
    """Sell credit and return the grant's name."""
    fields = {name: terms.pop(name) for name in ("expire_time", "effective_time") if name in terms}
    answer = await client.grant(
        wallet, units, consideration=eur(nanos), finance=sale_terms_pb2.SaleTerms(**terms), **fields
    )
    return answer.grant.name


async def paid_lots(client: Client, wallet: str, position: int) -> list[finance_commands_pb2.PaidLot]:
    """Return the paid lots of a wallet, seen up to a position."""
    request = finance_commands_pb2.ListPaidLotsRequest(name=wallet, min_position=position)
    return list((await client.finance.ListPaidLots(request, timeout=CALL_SECONDS)).lots)


def revise(
    client: Client, name: str, *grants: str, idempotency_key: str = "", **estimate: Any
) -> Awaitable[finance_commands_pb2.ReviseBreakageEstimateResponse]:
    """Revise an estimate."""
    request = finance_commands_pb2.ReviseBreakageEstimateRequest(
        name=name, idempotency_key=idempotency_key or key(), grants=grants, **estimate
    )
    return client.finance.ReviseBreakageEstimate(request, timeout=CALL_SECONDS)


def close(
    client: Client, entity: str, from_day: datetime, to_day: datetime, *, idempotency_key: str = ""
) -> Awaitable[finance_commands_pb2.CloseAccountingPeriodResponse]:
    """Close a period."""
    request = finance_commands_pb2.CloseAccountingPeriodRequest(
        name=f"accountingPeriods/{entity}",
        idempotency_key=idempotency_key or key(),
        from_time=timestamp(from_day),
        to_time=timestamp(to_day),
    )
    return client.finance.CloseAccountingPeriod(request, timeout=CALL_SECONDS)


async def create_pool(client: Client, **fields: Any) -> finance_commands_pb2.CreateBreakagePoolResponse:
    """Create a proportional pool in EUR, unless told."""
    pool: dict[str, Any] = {"currency_code": "EUR", "method": PROPORTIONAL, "expected_breakage": "0.2"}
    request = finance_commands_pb2.CreateBreakagePoolRequest(
        pool_id=f"p-{key()}", idempotency_key=key(), pool=finance_commands_pb2.BreakagePool(**pool | fields)
    )
    return await client.finance.CreateBreakagePool(request, timeout=CALL_SECONDS)


# Estimates


async def test_an_estimate_is_revised_once_however_often_it_is_sent(ledger: Client) -> None:
    wallet = await ledger.open_wallet()
    lot = await sell(ledger, wallet, 1_000, 1_000, expected_breakage="0.10")
    await ledger.debit(wallet, 450)
    again = key()
    first = await revise(ledger, wallet, lot, expected_breakage="0.25", idempotency_key=again)
    second = await revise(ledger, wallet, lot, expected_breakage="0.25", idempotency_key=again)
    (state,) = await paid_lots(ledger, wallet, first.position)

    assert (first.replayed, second.replayed, second.position) == (False, True, first.position)
    assert (state.usage.nanos, state.breakage.nanos, state.contract_liability.nanos) == (450, 150, 400)
    assert state.expected_breakage == "0.25"
    assert (
        await refusal(revise(ledger, wallet, lot, expected_breakage="0.3", idempotency_key=again))
    ).reason == "IDEMPOTENCY_KEY_REUSED"


@pytest.mark.parametrize(
    ("estimate", "reason"),
    [
        ({"expected_breakage": "1"}, "BREAKAGE_ESTIMATE_OUT_OF_RANGE"),
        ({"expected_breakage": "-0.1"}, "BREAKAGE_ESTIMATE_OUT_OF_RANGE"),
        ({"expected_breakage": "0.999999999999999999"}, ""),
        ({"expected_redeemed_units": 101}, "BREAKAGE_ESTIMATE_OUT_OF_RANGE"),
        ({"expected_redeemed_units": 100}, ""),
        ({"expected_redeemed_units": -1}, "BREAKAGE_ESTIMATE_OUT_OF_RANGE"),
        ({"expected_breakage": "many"}, "FIELD_MALFORMED"),
        ({"expected_breakage": "0.1", "expected_redeemed_units": 9}, "FIELD_NOT_ALLOWED"),
        ({}, "FIELD_REQUIRED"),
    ],
)
async def test_an_estimate_lies_from_nothing_to_below_all(
    ledger: Client, estimate: dict[str, Any], reason: str
) -> None:
    wallet = await ledger.open_wallet()
    lot = await sell(ledger, wallet, 100, 100)

    if reason:
        assert (await refusal(revise(ledger, wallet, lot, **estimate))).reason == reason
    else:
        assert (await revise(ledger, wallet, lot, **estimate)).position


async def test_only_what_was_paid_for_and_has_something_left_is_estimated(ledger: Client) -> None:
    wallet, other = await ledger.open_wallet(), await ledger.open_wallet()
    promo = (await ledger.grant(wallet, 5, category=PROMOTIONAL)).grant.name
    pool = (await create_pool(ledger)).pool.name
    pooled = await sell(ledger, wallet, 100, 100, pool=pool)
    elsewhere = await sell(ledger, other, 100, 100)
    reasons = [
        (await refusal(revise(ledger, wallet, grant, expected_breakage="0.1"))).reason
        for grant in (promo, pooled, elsewhere, f"{wallet}/grants/999")
    ]

    assert reasons == ["NOT_PAID_FOR", "BREAKAGE_POOL_MISMATCH", "FIELD_MALFORMED", "GRANT_NOT_ACTIVE"]


async def test_what_is_declared_remote_is_breakage_and_can_be_used_all_the_same(ledger: Client) -> None:
    wallet = await ledger.open_wallet()
    lot = await sell(ledger, wallet, 100, 100)
    request = finance_commands_pb2.DeclareBreakageRemoteRequest(
        name=wallet, idempotency_key=key(), grants=[lot]
    )
    declared = await ledger.finance.DeclareBreakageRemote(request, timeout=CALL_SECONDS)
    (remote,) = await paid_lots(ledger, wallet, declared.position)
    (used,) = await paid_lots(ledger, wallet, (await ledger.debit(wallet, 30)).position)

    assert (remote.left_units, remote.breakage.nanos, remote.contract_liability.nanos) == (0, 100, 0)
    assert (used.usage.nanos, used.breakage.nanos) == (30, 70)


# Sales


async def test_the_terms_of_a_sale_come_back_with_their_allocation(ledger: Client) -> None:
    wallet = await ledger.open_wallet()
    terms = sale_terms_pb2.SaleTerms(
        product="packs",
        tax=eur(7),
        standalone_price=eur(75),
        bundle=[sale_terms_pb2.BundledItem(product="phone", standalone_price=eur(300))],
    )
    grant = (await ledger.grant(wallet, 30, consideration=eur(300), finance=terms)).grant

    assert grant.consideration.nanos == 60
    assert [(item.product, item.amount.nanos) for item in grant.finance.bundle] == [("phone", 240)]
    assert (grant.finance.product, grant.finance.tax.nanos) == ("packs", 7)


@pytest.mark.parametrize(
    ("consideration", "terms", "reason", "field"),
    [
        (money_pb2.Money(nanos=5), {}, "FIELD_REQUIRED", "consideration.currency_code"),
        (None, {"tax": eur(5)}, "FIELD_REQUIRED", "consideration"),
        (
            eur(5),
            {"tax": money_pb2.Money(currency_code="USD")},
            "FIELD_MALFORMED",
            "finance.tax.currency_code",
        ),
        (
            eur(5),
            {"expected_breakage": "1"},
            "BREAKAGE_ESTIMATE_OUT_OF_RANGE",
            "finance.expected_breakage",
        ),
        (
            eur(5),
            {"expected_redeemed_units": 11},
            "BREAKAGE_ESTIMATE_OUT_OF_RANGE",
            "finance.expected_redeemed_units",
        ),
        (
            eur(5),
            {"functional_currency_code": "USD"},
            "EXCHANGE_RATE_REQUIRED",
            "finance.exchange_rate",
        ),
        (eur(5), {"exchange_rate": "1.1"}, "FIELD_NOT_ALLOWED", "finance.exchange_rate"),
        (
            eur(5),
            {"functional_currency_code": "USD", "exchange_rate": "0"},
            "AMOUNT_NOT_POSITIVE",
            "finance.exchange_rate",
        ),
        (eur(5), {"standalone_price": eur(5)}, "FIELD_NOT_ALLOWED", "finance.standalone_price"),
        (
            eur(5),
            {"bundle": [ITEM]},
            "FIELD_REQUIRED",
            "finance.standalone_price",
        ),
        (eur(5), {"bonus_units": 10}, "NUMBER_OUT_OF_RANGE", "finance.bonus_units"),
        (eur(5), {"pool": "breakagePools/none"}, "BREAKAGE_POOL_NOT_FOUND", "finance.pool"),
        (eur(5), {"pool": "pools/none"}, "FIELD_MALFORMED", "finance.pool"),
    ],
)
async def test_bad_terms_of_a_sale_are_refused_by_name(
    ledger: Client, consideration: money_pb2.Money | None, terms: dict[str, Any], reason: str, field: str
) -> None:
    wallet = await ledger.open_wallet()
    call = ledger.grant(wallet, 10, consideration=consideration, finance=sale_terms_pb2.SaleTerms(**terms))
    refused = await refusal(call)

    assert (refused.reason, refused.field) == (reason, f"grant.{field}")


async def test_a_pool_takes_lots_of_its_own_currency_only(ledger: Client) -> None:
    wallet = await ledger.open_wallet()
    pool = (await create_pool(ledger, currency_code="USD")).pool.name
    call = ledger.grant(wallet, 10, consideration=eur(5), finance=sale_terms_pb2.SaleTerms(pool=pool))

    assert (await refusal(call)).reason == "BREAKAGE_POOL_MISMATCH"


async def test_a_pool_is_created_once_and_estimated_as_a_whole(ledger: Client) -> None:
    wallet = await ledger.open_wallet()
    pool = (await create_pool(ledger, term="12 months", jurisdiction="Delaware", escheat_fraction="0.5")).pool
    lot = await sell(ledger, wallet, 100, 100, pool=pool.name)
    revised = await revise(ledger, pool.name, expected_redeemed_units=50)
    again = finance_commands_pb2.CreateBreakagePoolRequest(
        pool_id=pool.name.partition("/")[2], idempotency_key=key(), pool=pool
    )
    again.pool.name = ""
    reasons = [
        (await refusal(ledger.finance.CreateBreakagePool(again, timeout=CALL_SECONDS))).reason,
        (await refusal(revise(ledger, pool.name, lot, expected_breakage="0.1"))).reason,
        (await refusal(revise(ledger, "breakagePools/none", expected_breakage="0.1"))).reason,
        (await refusal(create_pool(ledger, expected_breakage=""))).reason,
        (await refusal(create_pool(ledger, method=finance_commands_pb2.BREAKAGE_METHOD_REMOTE))).reason,
        (await refusal(create_pool(ledger, escheat_fraction="1.1"))).reason,
    ]

    assert (pool.term, pool.jurisdiction, pool.escheat_fraction) == ("12 months", "Delaware", "0.5")
    assert revised.position
    assert reasons == [
        "BREAKAGE_POOL_EXISTS",
        "FIELD_NOT_ALLOWED",
        "BREAKAGE_POOL_NOT_FOUND",
        "FIELD_REQUIRED",
        "BREAKAGE_POOL_MISMATCH",
        "FRACTION_OUT_OF_RANGE",
    ]


# Refunds and escheat


async def test_a_refund_is_settled_once(ledger: Client) -> None:
    wallet = await ledger.open_wallet()
    lot = await sell(ledger, wallet, 100, 100)
    owed = await refund(ledger, lot, amount_units=40)

    def settle(name: str) -> Awaitable[finance_commands_pb2.SettleRefundResponse]:
        request = finance_commands_pb2.SettleRefundRequest(name=name, idempotency_key=key())
        return ledger.finance.SettleRefund(request, timeout=CALL_SECONDS)

    settled = await settle(owed.name)
    paid = wallet_service_pb2.RefundGrantRequest(name=lot, idempotency_key=key(), amount_units=10, paid=True)
    at_once = await ledger.wallets.RefundGrant(paid, timeout=CALL_SECONDS)

    assert settled.refund == eur(40)
    assert [
        (await refusal(settle(name))).reason for name in (owed.name, at_once.name, f"{wallet}/refunds/1")
    ] == ["REFUND_NOT_OWED"] * 3


async def test_tax_goes_back_with_a_refund_and_is_settled_with_it(ledger: Client) -> None:
    wallet = await ledger.open_wallet()
    lot = await sell(ledger, wallet, 100, 1_000, tax=eur(190))
    owed = await refund(ledger, lot, amount_units=50)
    request = finance_commands_pb2.SettleRefundRequest(name=owed.name, idempotency_key=key())
    settled = await ledger.finance.SettleRefund(request, timeout=CALL_SECONDS)
    stated = await refund(ledger, lot, amount_units=10, tax=eur(3))
    refused = await refusal(refund(ledger, lot, tax=eur(93)))

    assert (owed.refund, owed.tax) == (eur(500), eur(95))
    assert (settled.refund, settled.tax) == (eur(500), eur(95))
    assert stated.tax == eur(3)
    assert (refused.reason, refused.field) == ("REFUND_EXCEEDS_TAX", "tax")


async def test_a_bank_takes_back_tax_and_the_list_of_grants_says_what_is_owed(ledger: Client) -> None:
    wallet = await ledger.open_wallet()
    lot = await sell(ledger, wallet, 100, 1_000, tax=eur(190))
    await ledger.debit(wallet, 40)
    request = transfer_pb2.ChargeBackGrantRequest(name=lot, idempotency_key=key(), amount=eur(1_190))
    taken = await ledger.wallets.ChargeBackGrant(request, timeout=CALL_SECONDS)
    listed = wallet_service_pb2.ListGrantsRequest(name=wallet, min_position=taken.position)
    (shown,) = (await ledger.wallets.ListGrants(listed, timeout=CALL_SECONDS)).grants

    assert (taken.amount, taken.tax) == (eur(1_190), eur(190))
    assert (taken.receivable, taken.receivable_tax) == (eur(476), eur(76))
    assert shown.receivable == eur(476)
    assert list((await ledger.balance(wallet)).receivables) == [eur(476)]


async def test_promotional_credit_is_never_paid_back(ledger: Client) -> None:
    wallet = await ledger.open_wallet()
    promo = (await ledger.grant(wallet, 5, category=PROMOTIONAL)).grant.name

    assert (await refusal(refund(ledger, promo))).reason == "GRANT_NOT_REFUNDABLE"


@pytest.mark.parametrize(
    ("fraction", "reason"),
    [
        ("0", "FRACTION_OUT_OF_RANGE"),
        ("1.01", "FRACTION_OUT_OF_RANGE"),
        ("half", "FIELD_MALFORMED"),
        ("1", ""),
    ],
)
async def test_what_is_escheated_is_a_fraction_of_what_was_not_used(
    ledger: Client, fraction: str, reason: str
) -> None:
    wallet = await ledger.open_wallet()
    lot = await sell(ledger, wallet, 100, 100)
    await ledger.debit(wallet, 30)
    request = finance_commands_pb2.RecordEscheatRequest(name=lot, idempotency_key=key(), fraction=fraction)
    call = ledger.finance.RecordEscheat(request, timeout=CALL_SECONDS)

    if reason:
        assert (await refusal(call)).reason == reason
    else:
        (state,) = await paid_lots(ledger, wallet, (await call).position)
        assert (state.escheat.nanos, state.contract_liability.nanos) == (70, 0)


async def test_part_of_a_grant_is_withdrawn_and_the_rest_goes_on(ledger: Client) -> None:
    wallet = await ledger.open_wallet()
    lot = await sell(ledger, wallet, 100, 100)

    def withdraw(units: int) -> Awaitable[wallet_service_pb2.RevokeGrantResponse]:
        request = wallet_service_pb2.RevokeGrantRequest(name=lot, idempotency_key=key(), amount_units=units)
        return ledger.wallets.RevokeGrant(request, timeout=CALL_SECONDS)

    withdrawn = await withdraw(40)
    debit = await ledger.debit(wallet, 60)
    (state,) = await paid_lots(ledger, wallet, debit.position)

    assert withdrawn.revoked_units == 40
    assert (state.usage.nanos, state.breakage.nanos) == (60, 40)
    assert (await refusal(withdraw(1))).reason == "GRANT_NOT_ACTIVE"


# Periods


async def test_a_period_is_closed_for_good_and_what_comes_late_is_posted_after_it(sandbox: Client) -> None:
    entity = f"e-{key()}"
    start = (await sandbox.clock()).replace(hour=0, minute=0, second=0, microsecond=0) + DAY
    await sandbox.advance(start)
    wallet = await sandbox.open_wallet()
    await sell(sandbox, wallet, 100, 100, entity=entity)
    early = await refusal(close(sandbox, entity, start, start + DAY))
    await sandbox.advance(start + 2 * DAY)
    again = key()
    closed = await close(sandbox, entity, start, start + DAY, idempotency_key=again)
    repeated = await close(sandbox, entity, start, start + DAY, idempotency_key=again)
    late = await sandbox.debit(wallet, 30, effective_time=timestamp(start))
    rows = await journal_days(sandbox, entity, start, start + 3 * DAY, late.position)
    usage = [row for row in rows if row.account == "Revenue:Usage"]

    assert early.reason == "PERIOD_NOT_OVER"
    assert (closed.replayed, repeated.replayed) == (False, True)
    assert repeated.period == closed.period
    assert closed.period.HasField("close_time")
    assert [(row.effective_time, row.posting_time, row.amount.nanos) for row in usage] == [
        (timestamp(start), timestamp(start + DAY), -30)
    ]
    reasons = [
        (await refusal(close(sandbox, entity, from_day, to_day))).reason
        for from_day, to_day in (
            (start, start + DAY),
            (start + 1.5 * DAY, start + 2 * DAY),
            (start + 2 * DAY, start + 2 * DAY),
        )
    ]
    assert reasons == ["PERIOD_ALREADY_CLOSED", "FIELD_MALFORMED", "TIMES_OUT_OF_ORDER"]
    request = finance_commands_pb2.ListAccountingPeriodsRequest(
        name=f"accountingPeriods/{entity}", min_position=closed.position
    )
    listed = await sandbox.finance.ListAccountingPeriods(request, timeout=CALL_SECONDS)
    assert list(listed.periods) == [closed.period]


async def test_periods_are_closed_in_order(sandbox: Client) -> None:
    entity = f"e-{key()}"
    start = (await sandbox.clock()).replace(hour=0, minute=0, second=0, microsecond=0)
    await sandbox.advance(start + 4 * DAY)
    await close(sandbox, entity, start, start + DAY)
    skipped = await refusal(close(sandbox, entity, start + 2 * DAY, start + 3 * DAY))
    following = await close(sandbox, entity, start + DAY, start + 3 * DAY)

    assert skipped.reason == "PERIOD_OUT_OF_ORDER"
    assert following.period.locked_position > 0


async def test_closing_records_first_what_time_has_ended(sandbox: Client) -> None:
    entity = f"e-{key()}"
    start = (await sandbox.clock()).replace(hour=0, minute=0, second=0, microsecond=0) + DAY
    await sandbox.advance(start)
    wallet = await sandbox.open_wallet()
    await sell(sandbox, wallet, 100, 100, entity=entity, expire_time=timestamp(start + DAY / 2))
    await sandbox.advance(start + 2 * DAY)
    closed = await close(sandbox, entity, start, start + DAY)
    rows = await journal_days(sandbox, entity, start, start + DAY, closed.position)

    assert sum(row.amount.nanos for row in rows if row.account == "Revenue:Breakage") == -100
    assert sum(row.amount.nanos for row in rows) == 0


async def journal_days(
    client: Client, entity: str, from_day: datetime, to_day: datetime, position: int
) -> list[finance_commands_pb2.JournalDay]:
    """Return all rows of an entity."""
    request = finance_commands_pb2.ListJournalDaysRequest(
        from_time=timestamp(from_day),
        to_time=timestamp(to_day),
        currency_code="EUR",
        entity=entity,
        min_position=position,
        page_size=2,
    )
    found: list[finance_commands_pb2.JournalDay] = []
    while True:
        answer = await client.finance.ListJournalDays(request, timeout=CALL_SECONDS)
        found += answer.rows
        request.page_token = answer.next_page_token
        if not request.page_token:
            return found


async def test_the_roll_forward_tells_of_escheat_and_what_is_owed(sandbox: Client) -> None:
    entity = f"e-{key()}"
    wallet = await sandbox.open_wallet()
    lot = await sell(sandbox, wallet, 100, 100, entity=entity)
    request = finance_commands_pb2.RecordEscheatRequest(name=lot, idempotency_key=key(), fraction="0.2")
    await sandbox.finance.RecordEscheat(request, timeout=CALL_SECONDS)
    owed = await refund(sandbox, lot, amount_units=30)
    day = datetime.combine((await sandbox.clock()).date(), datetime.min.time(), UTC)
    rolled = finance_service_pb2.GetRollForwardRequest(
        from_time=timestamp(day),
        to_time=timestamp(day + DAY),
        currency_code="EUR",
        entity=entity,
        min_position=owed.position,
    )
    total = (await sandbox.finance.GetRollForward(rolled, timeout=CALL_SECONDS)).total

    assert (total.billings.nanos, total.escheat.nanos, total.refunds.nanos) == (100, 20, 30)
    assert (total.closing.nanos, total.refund_liability.nanos) == (50, 30)
