"""A wallet that was updated, and its contract: who decides the policy when, over a real channel."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import grpc

from credits.ledger.v1 import agreement_pb2, contract_service_pb2, wallet_pb2, wallet_service_pb2
from tests.integration.ledger.client import CALL_SECONDS, CREDIT, HARD, SOFT, Client, key, refusal
from tests.integration.ledger.test_agreement_refusals import Agreements
from tests.integration.ledger.test_wallet_rules import change, read, update

MONTH_AT_MOST = timedelta(days=31)


async def listed(client: Client, customer: str, position: int) -> wallet_pb2.Wallet:
    """Return a customer's only wallet as the view has it."""
    request = wallet_service_pb2.ListWalletsRequest(customer=customer, min_position=position)
    [wallet] = (await client.wallets.ListWallets(request, timeout=CALL_SECONDS)).wallets
    return wallet


async def month_plan(agreements: Agreements) -> str:
    """Publish a plan of one HARD phase that ends after a month."""
    card = await agreements.card()
    await agreements.phase(card)
    phase = agreement_pb2.PlanPhase(key="main", rate_card=card, shortfall_mode=HARD, duration="P1M")
    request = contract_service_pb2.PublishPlanRequest(
        plan_id=f"p-{key()}",
        plan=agreement_pb2.Plan(asset=CREDIT, phases=[phase]),
        idempotency_key=key(),
    )
    response = await agreements.client.contracts.PublishPlan(request, timeout=CALL_SECONDS)
    return str(response.plan.name)


async def test_after_its_contract_a_wallet_is_as_it_was_told_last(sandbox: Client) -> None:
    agreements = Agreements(sandbox)
    customer = f"customers/c-{key()}"
    name = await sandbox.open_wallet(customer=customer)
    told: dict[str, Any] = {"shortfall_mode": SOFT, "overage_limit_units": 40}
    await update(sandbox, change(name, "overage_limit_units", "shortfall_mode", **told))
    contract = await agreements.sign(await month_plan(agreements), name, customer=customer)

    within = await read(sandbox, name)
    refused = await refusal(update(sandbox, change(name, "shortfall_mode", shortfall_mode=SOFT)))
    ruled = await update(sandbox, change(name, "rules.alerts"))
    await sandbox.advance(await sandbox.clock() + MONTH_AT_MOST)
    ended = await read(sandbox, name)

    assert (within.contract, within.shortfall_mode) == (contract, HARD)
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "POLICY_BY_CONTRACT")
    for wallet in (ended, await listed(sandbox, customer, ruled.position)):
        assert (wallet.contract, wallet.shortfall_mode, wallet.overage_limit_units) == ("", SOFT, 40)
    assert (await sandbox.debit(name, 40)).debit.overage_units == 40
