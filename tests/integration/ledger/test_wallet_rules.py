"""A wallet's rules on the wire: given, read back, changed one by one, and retried."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from credits.ledger.v1 import money_pb2, wallet_pb2, wallet_rules_pb2, wallet_service_pb2
from tests.integration.ledger.client import CALL_SECONDS, CREDIT, CUSTOMER, HARD, SOFT, Client, key, refusal

Rules = wallet_rules_pb2.WalletRules
DEFAULT_PERCENTS = [50, 80, 100]
ALERTS = wallet_rules_pb2.AlertRules(
    entitlement_percents=[25, 100],
    low_balance_units=[500, 0],
    fast_rise=wallet_rules_pb2.FastRise(window="PT1H", windows=12, factor="2.5", minimum_units=9),
)
CAP = wallet_rules_pb2.SpendCap(amount_units=700, period="P1M", zone="Europe/Berlin")
BUDGETS = [
    wallet_rules_pb2.Budget(budget_id="bots", amount_units=70, api_key="key-7", period="P1D"),
    wallet_rules_pb2.Budget(budget_id="ann", amount_units=0, user="ann"),
]
TOP_UP = wallet_rules_pb2.AutoTopUp(
    threshold_units=10,
    target_units=500,
    price=money_pb2.Money(currency_code="EUR", nanos=5_000_000_000),
    price_units=100,
    per_day_max=2,
    per_month_max=9,
    back_off=Duration(seconds=60),
    back_off_max=Duration(seconds=600),
    valid_for="P1Y",
    zone="Europe/Berlin",
)


async def opened(ledger: Client, rules: Rules | None = None) -> str:
    """Open a wallet with rules as they are on the wire, absent ones included, and return its name."""
    request = wallet_service_pb2.OpenWalletRequest(
        wallet_id=f"w-{key()}",
        wallet=wallet_pb2.Wallet(customer=CUSTOMER, asset=CREDIT, rules=rules),
        idempotency_key="open",
    )
    return (await ledger.wallets.OpenWallet(request, timeout=CALL_SECONDS)).wallet.name


async def read(ledger: Client, name: str) -> wallet_pb2.Wallet:
    """Return a wallet."""
    request = wallet_service_pb2.GetWalletRequest(name=name)
    return (await ledger.wallets.GetWallet(request, timeout=CALL_SECONDS)).wallet


def change(
    name: str, *paths: str, idempotency_key: str = "", **fields: Any
) -> wallet_service_pb2.UpdateWalletRequest:
    """Return an update of what the paths name."""
    return wallet_service_pb2.UpdateWalletRequest(
        wallet=wallet_pb2.Wallet(name=name, **fields),
        update_mask=FieldMask(paths=paths),
        idempotency_key=idempotency_key or key(),
    )


async def update(
    ledger: Client, request: wallet_service_pb2.UpdateWalletRequest
) -> wallet_service_pb2.UpdateWalletResponse:
    """Send an update."""
    return await ledger.wallets.UpdateWallet(request, timeout=CALL_SECONDS)


async def test_a_wallet_without_rules_has_the_default_alerts_and_nothing_else(ledger: Client) -> None:
    wallet = await read(ledger, await opened(ledger))

    assert list(wallet.rules.alerts.entitlement_percents) == DEFAULT_PERCENTS
    assert not wallet.rules.alerts.low_balance_units
    assert not wallet.rules.alerts.HasField("fast_rise")
    assert not wallet.rules.HasField("spend_cap")
    assert not wallet.rules.HasField("auto_top_up")
    assert not wallet.rules.budgets


async def test_empty_alerts_are_none_and_absent_ones_the_default(ledger: Client) -> None:
    name = await opened(ledger, Rules(alerts=wallet_rules_pb2.AlertRules()))
    none = (await read(ledger, name)).rules.alerts

    await update(ledger, change(name, "rules.alerts"))
    default = (await read(ledger, name)).rules.alerts
    await update(ledger, change(name, "rules.alerts", rules=Rules(alerts=wallet_rules_pb2.AlertRules())))
    again = (await read(ledger, name)).rules.alerts

    assert [list(each.entitlement_percents) for each in (none, default, again)] == [[], DEFAULT_PERCENTS, []]


async def test_every_rule_given_at_opening_is_read_back(ledger: Client) -> None:
    given = Rules(
        late_usage_grace=Duration(seconds=3600),
        spend_cap=CAP,
        budgets=BUDGETS,
        alerts=ALERTS,
        auto_top_up=TOP_UP,
    )

    rules = (await read(ledger, await opened(ledger, given))).rules

    assert rules.late_usage_grace == given.late_usage_grace
    assert rules.alerts == ALERTS
    assert rules.auto_top_up == TOP_UP
    assert (rules.spend_cap.amount_units, rules.spend_cap.period) == (700, "P1M")
    assert [each.budget_id for each in rules.budgets] == ["bots", "ann"]
    # Absent anchors and zones have become the instants and zones that they stand for.
    assert rules.spend_cap.HasField("anchor_time")
    assert [each.zone for each in rules.budgets] == ["UTC", "UTC"]
    # What is read may be given back as it is.
    assert (await read(ledger, await opened(ledger, rules))).rules == rules


@pytest.mark.parametrize(
    ("path", "rules"),
    [
        ("rules.late_usage_grace", Rules(late_usage_grace=Duration(seconds=60))),
        ("rules.spend_cap", Rules(spend_cap=CAP)),
        ("rules.budgets", Rules(budgets=BUDGETS)),
        ("rules.alerts", Rules(alerts=ALERTS)),
        ("rules.auto_top_up", Rules(auto_top_up=TOP_UP)),
    ],
)
async def test_each_rule_is_set_and_taken_away_without_touching_another(
    ledger: Client, path: str, rules: Rules
) -> None:
    name = await opened(ledger)
    before = (await read(ledger, name)).rules
    field = path.removeprefix("rules.")

    response = await update(ledger, change(name, path, rules=rules))
    changed = (await read(ledger, name)).rules
    await update(ledger, change(name, path))
    back = (await read(ledger, name)).rules

    assert response.wallet.rules == changed
    assert changed != before
    changed.ClearField(field)  # type: ignore[arg-type]
    rest = Rules()
    rest.CopyFrom(before)
    rest.ClearField(field)  # type: ignore[arg-type]
    assert changed == rest
    assert back == before


@pytest.mark.parametrize(
    ("paths", "reason"),
    [
        ([], "FIELD_REQUIRED"),
        (["customer"], "FIELD_MALFORMED"),
        (["rules.alerts.fast_rise"], "FIELD_MALFORMED"),
        (["shortfall_mode", "name"], "FIELD_MALFORMED"),
    ],
)
async def test_a_mask_of_nothing_or_of_what_cannot_change_is_refused(
    ledger: Client, paths: list[str], reason: str
) -> None:
    name = await opened(ledger)

    refused = await refusal(update(ledger, change(name, *paths)))

    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
    assert refused.field == "update_mask"
    assert (await read(ledger, name)).version == 1


async def test_an_update_of_nobody_is_refused(ledger: Client) -> None:
    refused = await refusal(update(ledger, change("wallets/of-nobody", "rules")))

    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "WALLET_NOT_FOUND")


async def test_an_update_sent_again_is_answered_from_the_first(ledger: Client) -> None:
    name = await opened(ledger)
    request = change(name, "rules.alerts", idempotency_key="once", rules=Rules(alerts=ALERTS))
    first = await update(ledger, request)
    await update(ledger, change(name, "rules.alerts"))

    again = await update(ledger, request)

    assert (first.replayed, again.replayed) == (False, True)
    assert (again.wallet, again.position) == (first.wallet, first.position)
    assert list((await read(ledger, name)).rules.alerts.entitlement_percents) == DEFAULT_PERCENTS


async def test_the_same_key_with_another_update_is_refused_by_the_field_that_differs(ledger: Client) -> None:
    name = await opened(ledger)
    await update(ledger, change(name, "rules.alerts", idempotency_key="once", rules=Rules(alerts=ALERTS)))

    other = await refusal(update(ledger, change(name, "rules.alerts", idempotency_key="once")))
    wider = await refusal(
        update(ledger, change(name, "rules.alerts", "rules.budgets", idempotency_key="once"))
    )
    # What the mask does not name is not part of the call.
    same = change(name, "rules.alerts", idempotency_key="once", rules=Rules(alerts=ALERTS, spend_cap=CAP))

    assert (other.reason, other.metadata) == (
        "IDEMPOTENCY_KEY_REUSED",
        {"differing_field": "rules.alerts"},
    )
    assert wider.metadata == {"differing_field": "update_mask"}
    assert (await update(ledger, same)).replayed


async def test_the_wallet_view_shows_an_updated_policy(ledger: Client) -> None:
    customer = f"customers/c-{key()}"
    name = await ledger.open_wallet(customer=customer)

    done = await update(
        ledger,
        change(name, "overage_limit_units", "shortfall_mode", shortfall_mode=SOFT, overage_limit_units=40),
    )
    listed = await ledger.wallets.ListWallets(
        wallet_service_pb2.ListWalletsRequest(customer=customer, min_position=done.position),
        timeout=CALL_SECONDS,
    )

    [wallet] = listed.wallets
    assert (wallet.shortfall_mode, wallet.overage_limit_units, wallet.version) == (SOFT, 40, 2)
    assert (await ledger.debit(name, 40)).debit.overage_units == 40
    assert (await refusal(ledger.debit(name, 1))).reason == "OVERAGE_LIMIT_EXCEEDED"
    assert (await read(ledger, name)).shortfall_mode == SOFT != HARD
