"""Rules of a wallet: what may be asked for, and what an update changes."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from ledger_service.domain.commands import UpdateWallet
from ledger_service.domain.events import (
    AlertRules,
    AutoTopUp,
    Budget,
    FastRise,
    SpendCap,
    WalletRules,
    WalletUpdated,
)
from ledger_service.domain.refusals import (
    BudgetsOverlap,
    FieldMalformed,
    FieldNotAllowed,
    FieldRequired,
    FieldTooLong,
    NumberOutOfRange,
    PolicyByContract,
    Refusal,
    TimeMalformed,
)
from ledger_service.domain.values import Money, ShortfallMode
from ledger_service.domain.wallet.rules import check_rules, update_wallet
from ledger_service.domain.wallet.state import Policy, Wallet, own_policy
from ledger_service.domain.wallet.tape import Tape
from tests.builders import CREDIT

NOW = datetime(2026, 3, 1, tzinfo=UTC)
YEAR_ONE = datetime(1, 1, 1, tzinfo=UTC)
NAME = "wallets/acme"
CAP = SpendCap(100, "P1M", NOW)
BUDGET = Budget("bots", 10, NOW, api_key="key-7")
TOP_UP = AutoTopUp(10, Money("USD", 1), 1, amount_units=100)
RISE = FastRise("PT1H", 24, "3")


def wallet(*policies: Policy) -> Wallet:
    own = Policy(NOW, ShortfallMode.SOFT, 5, own=True)
    return Wallet("customers/acme", CREDIT, NOW, (own, *policies), version=1)


def updated(before: Wallet, command: UpdateWallet) -> tuple[WalletUpdated, Wallet]:
    drafts = update_wallet(before, command, NOW)
    tape = Tape(NAME, before, NOW)
    for draft in drafts:
        tape.add(draft.event, draft.effective_time)
    event = drafts[-1].event
    assert isinstance(event, WalletUpdated)
    return event, tape.wallet


def test_an_update_changes_what_it_names_and_leaves_the_rest() -> None:
    before = msgspec.structs.replace(wallet(), rules=WalletRules(late_usage_grace_seconds=60, spend_cap=CAP))
    command = UpdateWallet(NAME, ("rules.budgets",), rules=WalletRules(budgets=(BUDGET,)))

    event, after = updated(before, command)

    assert after.rules == WalletRules(60, CAP, (BUDGET,))
    assert event.rules == after.rules
    assert after.policies == before.policies


def test_an_update_of_all_rules_replaces_them() -> None:
    before = msgspec.structs.replace(wallet(), rules=WalletRules(late_usage_grace_seconds=60))
    _, after = updated(before, UpdateWallet(NAME, ("rules",), rules=WalletRules(spend_cap=CAP)))

    assert after.rules == WalletRules(spend_cap=CAP)


def test_an_update_of_the_policy_keeps_the_limit_it_does_not_name() -> None:
    _, after = updated(wallet(), UpdateWallet(NAME, ("shortfall_mode",), ShortfallMode.ADVANCE))

    assert own_policy(after) == Policy(NOW, ShortfallMode.ADVANCE, 5, own=True)


def test_the_policy_is_not_updated_while_a_contract_decides_it() -> None:
    bound = wallet(Policy(NOW, ShortfallMode.HARD, 0, "contracts/acme", "trial"))

    with pytest.raises(PolicyByContract):
        update_wallet(bound, UpdateWallet(NAME, ("overage_limit_units",)), NOW)
    assert update_wallet(bound, UpdateWallet(NAME, ("rules.alerts",)), NOW)


@pytest.mark.parametrize(
    ("paths", "refusal"),
    [
        ((), FieldRequired),
        (("rules", "customer"), FieldMalformed),
        (("shortfall_mode", "rules"), FieldMalformed),
    ],
)
def test_a_mask_names_known_fields_once_and_in_order(paths: tuple[str, ...], refusal: type[Refusal]) -> None:
    with pytest.raises(refusal) as raised:
        update_wallet(wallet(), UpdateWallet(NAME, paths), NOW)
    assert raised.value.field == "update_mask"


@pytest.mark.parametrize(
    "rules",
    [
        WalletRules(),
        WalletRules(35 * 86_400, CAP, (BUDGET,), AlertRules((1, 100), (5, 0), RISE), TOP_UP),
        WalletRules(spend_cap=SpendCap(0, "PT1H", NOW)),
        WalletRules(budgets=(BUDGET, Budget("people", 10, NOW, user="key-7", period="P1D"))),
        WalletRules(auto_top_up=msgspec.structs.replace(TOP_UP, amount_units=0, target_units=11)),
    ],
)
def test_rules_that_a_wallet_can_have(rules: WalletRules) -> None:
    check_rules(rules, field="rules")


@pytest.mark.parametrize(
    ("rules", "refusal", "field"),
    [
        (WalletRules(-1), NumberOutOfRange, "late_usage_grace"),
        (WalletRules(35 * 86_400 + 1), NumberOutOfRange, "late_usage_grace"),
        (WalletRules(spend_cap=SpendCap(-1, "P1M", NOW)), NumberOutOfRange, "spend_cap.amount_units"),
        (WalletRules(spend_cap=SpendCap(1, "month", NOW)), FieldMalformed, "spend_cap.period"),
        (WalletRules(spend_cap=SpendCap(1, "P1M", NOW, "Mars")), FieldMalformed, "spend_cap.zone"),
        (WalletRules(budgets=(BUDGET, BUDGET)), BudgetsOverlap, "budgets[1].budget_id"),
        (
            WalletRules(budgets=(BUDGET, msgspec.structs.replace(BUDGET, budget="other", period="P1D"))),
            BudgetsOverlap,
            "budgets[1]",
        ),
        (WalletRules(budgets=(Budget("b", 1, NOW),)), FieldRequired, "budgets[0]"),
        (WalletRules(budgets=(Budget("b", 1, NOW, "k", "u"),)), FieldRequired, "budgets[0]"),
        (WalletRules(budgets=(Budget("B!", 1, NOW, "k"),)), FieldMalformed, "budgets[0].budget_id"),
        (WalletRules(budgets=(Budget("b", 1, NOW, "k", period="x"),)), FieldMalformed, "budgets[0].period"),
        (WalletRules(budgets=(BUDGET,) * 1_001), FieldTooLong, "budgets"),
        (
            WalletRules(spend_cap=SpendCap(1, "P1M", YEAR_ONE, "America/New_York")),
            TimeMalformed,
            "spend_cap.anchor_time",
        ),
        (
            WalletRules(budgets=(Budget("b", 1, YEAR_ONE, "k", period="P1D", zone="America/New_York"),)),
            TimeMalformed,
            "budgets[0].anchor_time",
        ),
        (WalletRules(alerts=AlertRules((0,))), NumberOutOfRange, "alerts.entitlement_percents"),
        (WalletRules(alerts=AlertRules((101,))), NumberOutOfRange, "alerts.entitlement_percents"),
        (WalletRules(alerts=AlertRules((80, 50))), FieldMalformed, "alerts.entitlement_percents"),
        (
            WalletRules(alerts=AlertRules(low_balance_units=(1, 2))),
            FieldMalformed,
            "alerts.low_balance_units",
        ),
        (
            WalletRules(alerts=AlertRules(low_balance_units=tuple(range(21, 0, -1)))),
            FieldTooLong,
            "alerts.low_balance_units",
        ),
        (
            WalletRules(alerts=AlertRules(fast_rise=FastRise("P1M", 24, "3"))),
            FieldMalformed,
            "alerts.fast_rise.window",
        ),
        (
            WalletRules(alerts=AlertRules(fast_rise=FastRise("PT1H", 24, "1"))),
            NumberOutOfRange,
            "alerts.fast_rise.factor",
        ),
        (
            WalletRules(auto_top_up=msgspec.structs.replace(TOP_UP, target_units=200)),
            FieldRequired,
            "auto_top_up",
        ),
        (
            WalletRules(auto_top_up=msgspec.structs.replace(TOP_UP, amount_units=0, target_units=10)),
            NumberOutOfRange,
            "auto_top_up.target_units",
        ),
        (
            WalletRules(auto_top_up=msgspec.structs.replace(TOP_UP, back_off_max_seconds=3_599)),
            FieldNotAllowed,
            "auto_top_up.back_off_max",
        ),
        (
            WalletRules(auto_top_up=msgspec.structs.replace(TOP_UP, price=Money("usd", 1))),
            FieldMalformed,
            "auto_top_up.price",
        ),
    ],
)
def test_rules_that_no_wallet_can_have(rules: WalletRules, refusal: type[Refusal], field: str) -> None:
    with pytest.raises(Refusal) as raised:
        check_rules(rules, field="rules")

    assert type(raised.value) is refusal
    assert raised.value.field.startswith(f"rules.{field}")
