"""The life of a contract over real channels: each change once, its retry, its refusals, and the command line."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import grpc
import pytest_asyncio
from google.protobuf.field_mask_pb2 import FieldMask

from credits.ledger.v1 import (
    agreement_pb2,
    billing_terms_pb2,
    contract_changes_pb2,
    contract_service_pb2,
    money_pb2,
    rate_card_service_pb2,
    wallet_service_pb2,
)
from tests.integration.ledger.client import (
    CREDIT,
    HARD,
    SOFT,
    Client,
    instant_of,
    key,
    refusal,
    send,
    timestamp,
)
from tests.integration.ledger.test_agreement_refusals import Agreements, told
from tests.servers import LedgerServer

MICROSECOND = timedelta(microseconds=1)
DAY = timedelta(days=1)
Code = grpc.StatusCode
EURO = money_pb2.Money(currency_code="EUR", nanos=10**9)
ENTITLED = {
    "features": ["chat"],
    "requests_per_minute": 60,
    "tokens_per_minute": 9_000,
    "alert_percents": [50, 100],
    "spend_cap_units": 7,
    "spend_cap_period": "P1D",
    "key_requests_per_minute": 6,
    "key_tokens_per_minute": 900,
    "slow_down_from_percent": 80,
    "slow_down_max_delay_ms": 2_000,
    "upgrade_hint": "plans/team",
    "included_units": 5,
    "included_roll_over": billing_terms_pb2.IncludedRollOver(percent="50", cap_units=2, times=3),
    "fee_timing": billing_terms_pb2.FEE_TIMING_ADVANCE,
    "seat_fee": EURO,
    "seats": 4,
    "minimum_spend": EURO,
    "maximum_spend": EURO,
    "commitment": billing_terms_pb2.Commitment(amount=EURO, period="P1Y", overage_factor="1.5", prepaid=True),
    "invoice_threshold": EURO,
    "tax_rates": [billing_terms_pb2.TaxRate(name="VAT", percent="19", jurisdiction="DE")],
}


class Signed:
    """A contract from the sandbox's now on: a trial of 14 days, HARD, and then standard, HARD."""

    def __init__(self, client: Client, name: str, wallet: str, card: str, start: datetime) -> None:
        self.client, self.name, self.wallet, self.card, self.start = client, name, wallet, card, start

    async def phases(self) -> list[tuple[str, int, int | None]]:
        """Return the contract's phases: key, first day and first day after it, counted from its start."""
        return spans((await self.read()).phases, self.start)

    async def read(self) -> agreement_pb2.Contract:
        """Read the contract."""
        request = contract_service_pb2.GetContractRequest(name=self.name)
        contract: agreement_pb2.Contract = (await send(self.client.contracts.GetContract, request)).contract
        return contract

    async def schedule(self, after: timedelta, *, idempotency_key: str = "", **fields: Any) -> Any:
        """Schedule a SOFT phase so long after the start."""
        change: dict[str, Any] = {
            "name": self.name,
            "terms": agreement_pb2.PlanPhase(key="dear", shortfall_mode=SOFT),
            "update_mask": FieldMask(paths=["key", "shortfall_mode"]),
        }
        request = contract_changes_pb2.ScheduleContractPhaseRequest(
            idempotency_key=idempotency_key or key(),
            from_time=timestamp(self.start + after),
            **change | fields,
        )
        return await send(self.client.contracts.ScheduleContractPhase, request)

    async def extend(self, after: timedelta, trial: str = "trial") -> Any:
        """Extend a trial."""
        request = contract_changes_pb2.ExtendTrialRequest(
            name=self.name, idempotency_key=key(), key=trial, end_time=timestamp(self.start + after)
        )
        return await send(self.client.contracts.ExtendTrial, request)

    async def change_plan(self, plan: str, **fields: Any) -> Any:
        """Change the plan, at once unless told."""
        terms: dict[str, Any] = {"timing": contract_changes_pb2.CHANGE_TIMING_AT_ONCE} | fields
        request = contract_changes_pb2.ChangePlanRequest(
            name=self.name, idempotency_key=key(), plan=plan, **terms
        )
        return await send(self.client.contracts.ChangePlan, request)

    async def end(self, after: timedelta) -> Any:
        """End the contract."""
        request = contract_changes_pb2.EndContractRequest(
            name=self.name, idempotency_key=key(), end_time=timestamp(self.start + after)
        )
        return await send(self.client.contracts.EndContract, request)


def spans(phases: Any, start: datetime) -> list[tuple[str, int, int | None]]:
    """Return key, first day and first day after it of phases."""
    return [
        (
            phase.key,
            (instant_of(phase.from_time) - start).days,
            (instant_of(phase.to_time) - start).days if phase.HasField("to_time") else None,
        )
        for phase in phases
    ]


async def publish_plan(client: Client, *phases: agreement_pb2.PlanPhase) -> str:
    """Publish a plan."""
    request = contract_service_pb2.PublishPlanRequest(
        plan_id=f"p-{key()}",
        plan=agreement_pb2.Plan(asset=CREDIT, phases=phases),
        idempotency_key=key(),
    )
    return str((await send(client.contracts.PublishPlan, request)).plan.name)


def phase_of(card: str, name: str, **fields: Any) -> agreement_pb2.PlanPhase:
    """Return terms, HARD unless told."""
    terms: dict[str, Any] = {"shortfall_mode": HARD} | fields
    return agreement_pb2.PlanPhase(key=name, rate_card=card, **terms)


@pytest_asyncio.fixture
async def signed(sandbox: Client) -> AsyncIterator[Signed]:
    """A contract on the sandbox."""
    agreements = Agreements(sandbox)
    card = await agreements.card()
    plan = await publish_plan(
        sandbox, phase_of(card, "trial", duration="P14D", **ENTITLED), phase_of(card, "standard")
    )
    wallet, start = await sandbox.open_wallet(), await sandbox.clock()
    name = await agreements.sign(plan, wallet, start_time=timestamp(start))
    yield Signed(sandbox, name, wallet, card, start)


async def test_a_phase_is_scheduled_once_and_its_retry_gets_the_first_answer(signed: Signed) -> None:
    first = await signed.schedule(3 * DAY, idempotency_key="one")
    await signed.schedule(5 * DAY)
    again = await signed.schedule(3 * DAY, idempotency_key="one")
    other = await refusal(signed.schedule(4 * DAY, idempotency_key="one"))

    assert spans(first.change.phases, signed.start) == [("dear", 3, 14), ("standard", 14, None)]
    assert await signed.phases() == [("trial", 0, 3), ("dear", 3, 5), ("dear", 5, 14), ("standard", 14, None)]
    assert (first.replayed, again.replayed) == (False, True)
    assert (again.change, again.position) == (first.change, first.position)
    assert told(other) == (Code.ALREADY_EXISTS, "IDEMPOTENCY_KEY_REUSED", "idempotency_key")
    assert other.metadata == {"differing_field": "from_time"}


async def test_what_a_phase_entitles_to_comes_back_and_may_be_changed_alone(signed: Signed) -> None:
    terms = agreement_pb2.PlanPhase(features=["code"], base_fee=money_pb2.Money(currency_code="EUR", nanos=1))
    await signed.schedule(DAY, terms=terms, update_mask=FieldMask(paths=["base_fee", "features"]))

    trial, changed, _ = (await signed.read()).phases

    expected = phase_of(signed.card, "trial", duration="P14D", **ENTITLED)
    assert trial.terms == expected
    del expected.features[:]
    expected.MergeFrom(terms)
    expected.duration = ""
    assert changed.terms == expected


async def test_a_wallet_follows_its_contract_to_the_microsecond(signed: Signed) -> None:
    wallet = wallet_service_pb2.GetWalletRequest(name=signed.wallet)
    await signed.schedule(DAY)
    await signed.end(2 * DAY)
    modes = []
    for instant in (DAY - MICROSECOND, DAY, 2 * DAY - MICROSECOND, 2 * DAY):
        await signed.client.advance(signed.start + instant)
        found = (await send(signed.client.wallets.GetWallet, wallet)).wallet
        modes.append((found.contract, found.shortfall_mode))

    assert modes == [(signed.name, HARD), (signed.name, SOFT), (signed.name, SOFT), ("", HARD)]


async def test_a_trial_is_extended(signed: Signed) -> None:
    answer = await signed.extend(20 * DAY)

    expected = [("trial", 0, 20), ("standard", 20, None)]
    assert spans(answer.change.phases, signed.start) == await signed.phases() == expected


async def test_a_plan_is_changed_at_once_or_where_the_cycle_ends(signed: Signed) -> None:
    other = await publish_plan(
        signed.client, phase_of(signed.card, "trial", duration="P7D"), phase_of(signed.card, "big")
    )
    at_end = await signed.change_plan(other, timing=contract_changes_pb2.CHANGE_TIMING_AT_CYCLE_END)
    ends = (instant_of(at_end.change.from_time) - signed.start).days
    assert 28 <= ends <= 31

    await signed.change_plan(other, from_time=timestamp(signed.start + 2 * DAY), take_trial=True)

    assert await signed.phases() == [("trial", 0, 2), ("trial", 2, 9), ("big", 9, None)]
    assert ((await signed.read()).plan, at_end.change.plan, at_end.change.plan_version) == (other, other, 1)


async def test_a_contract_ends_and_its_wallet_takes_another(signed: Signed) -> None:
    agreements = Agreements(signed.client)
    plan = await agreements.plan(signed.card)
    bound = await refusal(agreements.sign(plan, signed.wallet))
    answer = await signed.end(2 * DAY)
    early = await refusal(
        agreements.sign(plan, signed.wallet, start_time=timestamp(signed.start + 2 * DAY - MICROSECOND))
    )
    await agreements.sign(plan, signed.wallet, start_time=timestamp(signed.start + 2 * DAY))

    assert not answer.change.phases
    assert instant_of((await signed.read()).end_time) == signed.start + 2 * DAY
    for each in (bound, early):
        assert told(each) == (Code.ALREADY_EXISTS, "CONTRACT_EXISTS", "contract.wallet")


async def test_changes_that_cannot_be_are_refused_by_name(signed: Signed) -> None:
    await signed.client.advance(signed.start + MICROSECOND)
    refused = [
        await refusal(signed.schedule(timedelta())),
        await refusal(signed.schedule(DAY, name="contracts/none")),
        await refusal(signed.schedule(DAY, name="none")),
        await refusal(signed.schedule(DAY, update_mask=FieldMask())),
        await refusal(signed.schedule(DAY, update_mask=FieldMask(paths=["rate_card"]))),
        await refusal(signed.extend(14 * DAY)),
        await refusal(signed.extend(20 * DAY, "none")),
        await refusal(signed.extend(20 * DAY, "standard")),
        await refusal(signed.extend(20 * DAY, "")),
        await refusal(signed.change_plan("plans/none")),
        await refusal(signed.change_plan("plans/none", timing=0)),
        await refusal(signed.end(timedelta())),
    ]
    await signed.end(DAY)
    refused += [
        await refusal(signed.end(DAY)),
        await refusal(signed.schedule(DAY)),
        await refusal(signed.extend(20 * DAY)),
    ]

    assert [told(each)[1:] for each in refused] == [
        ("PHASE_IN_PAST", "from_time"),
        ("CONTRACT_NOT_FOUND", "name"),
        ("FIELD_MALFORMED", "name"),
        ("FIELD_REQUIRED", "update_mask"),
        ("FIELD_REQUIRED", "terms.rate_card"),
        ("EXTENSION_NOT_LATER", "end_time"),
        ("PHASE_NOT_FOUND", "key"),
        ("PHASE_IS_LAST", "key"),
        ("FIELD_REQUIRED", "key"),
        ("PLAN_NOT_FOUND", "plan"),
        ("VALUE_UNSPECIFIED", "timing"),
        ("PHASE_IN_PAST", "end_time"),
        ("CONTRACT_NOT_IN_FORCE", "end_time"),
        ("CONTRACT_NOT_IN_FORCE", "from_time"),
        ("PHASE_IS_LAST", "key"),
    ]


async def test_a_phase_of_a_card_is_withdrawn_before_it_begins_and_its_number_is_not_used_again(
    sandbox: Client,
) -> None:
    agreements = Agreements(sandbox)
    card = await agreements.card()
    start = await sandbox.clock()
    for seconds in (0, 10, 20):
        await agreements.phase(card, seconds)
    await sandbox.advance(start + timedelta(seconds=10))

    async def withdraw(phase: int, idempotency_key: str = "") -> Any:
        request = contract_changes_pb2.WithdrawRateCardPhaseRequest(
            name=f"{card}/phases/{phase}", idempotency_key=idempotency_key or key()
        )
        return await send(sandbox.rate_cards.WithdrawRateCardPhase, request)

    begun, unknown = await refusal(withdraw(2)), await refusal(withdraw(4))
    first, again = await withdraw(3, "one"), await withdraw(3, "one")
    gone = await refusal(withdraw(3))
    await agreements.phase(card, 5)
    read = await send(sandbox.rate_cards.GetRateCard, rate_card_service_pb2.GetRateCardRequest(name=card))

    assert told(begun) == (Code.FAILED_PRECONDITION, "PHASE_IN_PAST", "name")
    assert told(unknown) == told(gone) == (Code.NOT_FOUND, "PHASE_NOT_FOUND", "name")
    assert (first.name, first.replayed, again.replayed) == (f"{card}/phases/3", False, True)
    assert [phase.name.rpartition("/")[2] for phase in read.rate_card.phases] == ["1", "2", "4"]
    assert read.rate_card.phases[1].to_time == read.rate_card.phases[2].from_time


async def rating(server: LedgerServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of rating against the ledger."""
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "rating_service", *arguments],
        env={**os.environ, "RATING_LEDGER_ADDRESS": server.address, "COLUMNS": "140"},
        capture_output=True,
        text=True,
        check=False,
    )


async def test_a_contracts_life_from_the_command_line(running_sandbox: LedgerServer, signed: Signed) -> None:
    other = await publish_plan(signed.client, phase_of(signed.card, "big"))
    days = [(signed.start + number * DAY).isoformat() for number in range(60)]
    terms = ("--phase", "dear", "--mode", "soft", "--fee", "29.5 EUR", "--overage-price", "0.01 EUR")
    runs = [
        await rating(running_sandbox, "contract", *arguments)
        for arguments in (
            ("schedule", signed.name, "--at", days[20], *terms, "--included-units", "5", "--json"),
            ("extend-trial", signed.name, days[16]),
            ("change-plan", signed.name, other, "--at", days[30]),
            ("end", signed.name, "--at", days[40], "--key", "one"),
            ("end", signed.name, "--at", days[40], "--key", "one"),
            ("show", signed.name),
        )
    ]
    fresh = f"k-{key()}"
    wallet = ("--customer", "customers/acme", "--wallet", signed.wallet)
    runs.append(
        await rating(
            running_sandbox,
            "contract",
            "sign",
            fresh,
            *wallet,
            "--plan",
            other,
            "--start",
            days[40],
            "--json",
        )
    )
    bad = await rating(running_sandbox, "contract", "schedule", signed.name, "--fee", "29.5")

    assert [each.returncode for each in runs] == [0] * 7, [each.stderr for each in runs]
    first = json.loads(runs[0].stdout)["change"]["phases"][0]
    assert first["terms"]["base_fee"] == {"currency_code": "EUR", "nanos": "29500000000"}
    assert (first["terms"]["included_units"], first["terms"]["overage_price"]["price"]) == ("5", "0.01")
    assert "(done before)" not in runs[3].stdout
    assert "(done before)" in runs[4].stdout
    assert all(word in runs[5].stdout for word in ("trial", "standard", "dear", "big", "29.50 EUR"))
    assert json.loads(runs[6].stdout)["contract"]["name"] == f"contracts/{fresh}"
    assert bad.returncode == 2
    assert await signed.phases() == [
        ("trial", 0, 16),
        ("standard", 16, 20),
        ("dear", 20, 30),
        ("big", 30, 40),
    ]


async def test_a_phase_is_withdrawn_from_the_command_line(
    running_sandbox: LedgerServer, sandbox: Client
) -> None:
    agreements = Agreements(sandbox)
    card = await agreements.card()
    await agreements.phase(card, 1_000)

    withdrawn = await rating(running_sandbox, "card", "withdraw", f"{card}/phases/1")
    again = await rating(running_sandbox, "card", "withdraw", f"{card}/phases/1", "--json")

    assert withdrawn.stdout == f"{card}/phases/1: withdrawn\n"
    assert json.loads(again.stdout)["replayed"]


async def test_a_change_of_plan_can_be_asked_for_without_being_made(signed: Signed) -> None:
    other = await publish_plan(signed.client, phase_of(signed.card, "big"))

    asked = await signed.change_plan(other, validate_only=True)

    assert asked.change.plan == other
    assert (asked.position, asked.replayed) == (0, False)
    assert (await signed.read()).plan != other
    made = await signed.change_plan(other, expected_change_version=(await signed.read()).change_version)
    assert [phase.key for phase in made.change.phases] == [phase.key for phase in asked.change.phases]
    refused = await refusal(signed.change_plan(other, expected_change_version=1))
    assert (refused.code, refused.reason) == (Code.ABORTED, "CONTRACT_CHANGED")


async def test_a_change_that_is_only_asked_for_is_refused_like_one_that_is_made(signed: Signed) -> None:
    refused = await refusal(signed.change_plan("plans/none", validate_only=True))

    assert told(refused) == (Code.NOT_FOUND, "PLAN_NOT_FOUND", "plan")
