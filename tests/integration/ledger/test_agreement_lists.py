"""Contracts and plans, listed by name and filter; further cards of a phase over the wire; cards that nobody uses."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.field_mask_pb2 import FieldMask

from credits.ledger.v1 import (
    agreement_lists_pb2,
    agreement_pb2,
    contract_changes_pb2,
    contract_service_pb2,
)
from tests.integration.ledger.client import Client, key, refusal, send, timestamp
from tests.integration.ledger.test_agreement_refusals import Agreements, told
from tests.integration.ledger.test_price_import import rating
from tests.servers import LedgerServer

Code = grpc.StatusCode


async def listed(client: Client, **fields: Any) -> list[str]:
    """Return the names of all contracts that a filter lets through, one a page."""
    request = agreement_lists_pb2.ListContractsRequest(page_size=1, **fields)
    names: list[str] = []
    while True:
        answer = await send(client.contracts.ListContracts, request)
        names += [contract.name for contract in answer.contracts]
        if not answer.next_page_token:
            return names
        request.page_token = answer.next_page_token


async def planned(client: Client, card: str) -> list[str]:
    """Return the names of the plans that name a card."""
    request = agreement_lists_pb2.ListPlansRequest(rate_card=card)
    return [plan.name for plan in (await send(client.contracts.ListPlans, request)).plans]


async def test_contracts_are_listed_by_name_and_filter(sandbox: Client) -> None:
    agree = Agreements(sandbox)
    card, other = await agree.card(), await agree.card()
    plan = await agree.plan(card)
    wallets = [await sandbox.open_wallet(), await sandbox.open_wallet()]
    names = [
        await agree.sign(plan, wallet, f"{letter}-{key()}")
        for letter, wallet in zip("ba", wallets, strict=True)
    ]
    draws = agreement_pb2.PhaseCard(rate_card=other, features=["draw"])
    terms = agreement_pb2.PlanPhase(additional_cards=[draws])
    tomorrow = await sandbox.clock() + timedelta(days=1)
    change = contract_changes_pb2.ScheduleContractPhaseRequest(
        name=names[0],
        idempotency_key=key(),
        from_time=timestamp(tomorrow),
        terms=terms,
        update_mask=FieldMask(paths=["additional_cards"]),
    )

    assert await planned(sandbox, other) == await listed(sandbox, rate_card=other) == []
    scheduled = (await send(sandbox.contracts.ScheduleContractPhase, change)).change

    assert list(scheduled.phases[0].terms.additional_cards) == [draws]
    assert await listed(sandbox, plan=plan) == sorted(names)
    assert await listed(sandbox, wallet=wallets[1]) == [names[1]]
    assert await listed(sandbox, rate_card=other) == [names[0]]
    assert await planned(sandbox, card) == [plan]
    assert set(names) <= set(await listed(sandbox))
    end = contract_changes_pb2.EndContractRequest(
        name=names[0], idempotency_key=key(), end_time=timestamp(tomorrow)
    )
    await send(sandbox.contracts.EndContract, end)
    assert await listed(sandbox, rate_card=other) == []


async def test_lists_refuse_what_no_list_can_be_asked_with(sandbox: Client) -> None:
    for fields, expected in (
        ({"page_size": 1_001}, "page_size"),
        ({"page_size": -1}, "page_size"),
        ({"page_token": "x"}, "page_token"),
        ({"customer": "acme"}, "customer"),
        ({"rate_card": "plans/x"}, "rate_card"),
    ):
        request = agreement_lists_pb2.ListContractsRequest(**fields)
        refused = await refusal(send(sandbox.contracts.ListContracts, request))
        assert told(refused)[::2] == (Code.INVALID_ARGUMENT, expected)


async def test_further_cards_that_tie_are_refused_by_name_on_the_wire(sandbox: Client) -> None:
    agree = Agreements(sandbox)
    card = await agree.card()
    tied = [
        agreement_pb2.PhaseCard(rate_card=card, match={"model": "a*"}),
        agreement_pb2.PhaseCard(rate_card=card, match={"model": "*b"}),
    ]

    refused = await refusal(agree.plan(card, additional_cards=tied))

    field = "plan.phases[0].additional_cards[1]"
    assert told(refused) == (Code.INVALID_ARGUMENT, "CARDS_AMBIGUOUS", field)
    plan = await agree.plan(card, additional_cards=tied[:1])
    read = await send(sandbox.contracts.GetPlan, contract_service_pb2.GetPlanRequest(name=plan))
    assert list(read.plan.phases[0].additional_cards) == tied[:1]


async def test_the_command_line_lists_contracts_and_warns_of_cards_that_nobody_uses(
    sandbox: Client, running_sandbox: LedgerServer, tmp_path: Path
) -> None:
    agree = Agreements(sandbox)
    name = f"c-{key()}"
    file = tmp_path / "card.yaml"
    from_time = (await sandbox.clock() + timedelta(days=1)).isoformat().replace("+00:00", "Z")
    file.write_text(
        f"rate_card: {name}\nasset: {{code: CREDIT, scale: 6}}\nphases:\n  - from_time: '{from_time}'\n"
        "    rates: [{dimension: tokens, unit_price: '1'}]\nunit_definitions: {tokens: a token}\n",
        encoding="utf-8",
    )
    unused = await rating(running_sandbox, "card", "publish", str(file))
    as_json = await rating(running_sandbox, "card", "check", str(file), "--json")
    plan = await agree.plan(f"rateCards/{name}")
    contract = await agree.sign(plan, await sandbox.open_wallet())
    used = await rating(running_sandbox, "card", "diff", str(file), f"rateCards/{name}", "--json")
    table = await rating(running_sandbox, "contract", "list", "--plan", plan)
    found = await rating(running_sandbox, "contract", "list", "--card", f"rateCards/{name}", "--json")

    assert unused.stderr == f"warning: no plan or contract in force uses rateCards/{name}\n"
    assert (unused.returncode, json.loads(as_json.stdout)["used"]) == (0, False)
    assert (used.stderr, json.loads(used.stdout)["used"]) == ("", True)
    assert contract in table.stdout
    assert [each["name"] for each in json.loads(found.stdout)["contracts"]] == [contract]
