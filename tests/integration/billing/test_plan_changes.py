"""Changes of plan over real channels: what is shown is what is billed, and what is no longer true is refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import grpc
import pytest

from credits.ledger.v1 import agreement_pb2, contract_changes_pb2, contract_service_pb2, money_pb2
from credits.rating.v1 import invoice_service_pb2, plan_change_pb2
from tests.integration.billing.world import GRACE, MICROSECOND, World, terms
from tests.integration.ledger.client import key, timestamp

AT_ONCE = plan_change_pb2.PLAN_CHANGE_TIMING_AT_ONCE
AT_CYCLE_END = plan_change_pb2.PLAN_CHANGE_TIMING_AT_CYCLE_END
DOLLAR = 10**9


def usd(nanos: int) -> money_pb2.Money:
    """Return US dollars."""
    return money_pb2.Money(currency_code="USD", nanos=nanos)


def dear(**fields: Any) -> agreement_pb2.PlanPhase:
    """Return terms of 60 USD and 4,000 units a cycle."""
    return terms("dear", **{"base_fee": usd(60 * DOLLAR), "included_units": 4_000} | fields)


async def preview(
    world: World, contract: str, plan: str, **fields: Any
) -> plan_change_pb2.PreviewPlanChangeResponse:
    """Preview a change at once unless told."""
    request = plan_change_pb2.PreviewPlanChangeRequest(
        contract=contract, plan=plan, **{"timing": AT_ONCE} | fields
    )
    answer: plan_change_pb2.PreviewPlanChangeResponse = await world.invoices.PreviewPlanChange(request)
    return answer


async def commit(
    world: World, token: str, idempotency_key: str = ""
) -> plan_change_pb2.CommitPlanChangeResponse:
    """Commit a preview."""
    request = plan_change_pb2.CommitPlanChangeRequest(token=token, idempotency_key=idempotency_key or key())
    answer: plan_change_pb2.CommitPlanChangeResponse = await world.invoices.CommitPlanChange(request)
    return answer


async def refused(call: Any) -> tuple[grpc.StatusCode, str]:
    """Return code and details of a call that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await call
    return failure.value.code(), str(failure.value.details())


async def plan_of(world: World, contract: str) -> str:
    """Return the plan that a contract leads to."""
    request = contract_service_pb2.GetContractRequest(name=contract)
    return str((await world.ledger.contracts.GetContract(request)).contract.plan)


def lines(change: plan_change_pb2.PlanChange) -> list[tuple[str, int]]:
    """Return kind and amount of each line."""
    return [(line.kind, line.amount.nanos) for line in change.lines]


async def test_what_is_shown_is_what_the_invoice_bills(world: World) -> None:
    contract = await world.sign()
    plan = await world.publish_plan(dear())
    middle = world.at("01-16T12:00:00")
    shown = await preview(world, contract.name, plan, from_time=timestamp(middle))

    assert lines(shown.change) == [("PRORATION_CREDIT", -10 * DOLLAR), ("PRORATION_CHARGE", 30 * DOLLAR)]
    assert shown.change.amount == usd(20 * DOLLAR)
    assert (shown.change.previous_cycle_fees, shown.change.cycle_fees) == (usd(20 * DOLLAR), usd(60 * DOLLAR))
    assert (shown.change.previous_included_units, shown.change.included_units) == (1_000, 2_500)
    done = await commit(world, shown.token)
    assert done.change == shown.change
    await world.ledger.advance(world.at("02-01"))
    request = invoice_service_pb2.PreviewInvoiceRequest(contract=contract.name)
    request.cycle_time.FromDatetime(world.start)
    invoice = (await world.invoices.PreviewInvoice(request)).invoice
    assert invoice.net == usd(20 * DOLLAR + shown.change.amount.nanos)
    assert await world.granted(contract.wallet) == []
    await world.bill(contract.name)
    granted = await world.granted(contract.wallet)
    assert sum(units for from_time, _, units in granted if from_time < world.at("02-01")) == 2_500


async def test_a_commit_is_done_once_and_its_retry_gets_the_first_answer(world: World) -> None:
    contract = await world.sign()
    plan = await world.publish_plan(dear())
    shown = await preview(world, contract.name, plan)

    first = await commit(world, shown.token, "one")
    again = await commit(world, shown.token, "one")

    assert (first.replayed, again.replayed) == (False, True)
    assert (again.position, again.change) == (first.position, first.change)
    assert await refused(commit(world, shown.token)) == (
        grpc.StatusCode.ABORTED,
        f"{contract.name} has changed since the preview: preview again",
    )


async def test_a_preview_is_stale_once_the_contract_has_changed(world: World) -> None:
    contract = await world.sign()
    plan = await world.publish_plan(dear())
    shown = await preview(world, contract.name, plan)
    request = contract_changes_pb2.ScheduleContractPhaseRequest(
        name=contract.name,
        from_time=timestamp(world.at("03-01")),
        terms=agreement_pb2.PlanPhase(base_fee=usd(1)),
        idempotency_key=key(),
    )
    request.update_mask.paths.append("base_fee")
    await world.ledger.contracts.ScheduleContractPhase(request)

    code, _ = await refused(commit(world, shown.token))

    assert code is grpc.StatusCode.ABORTED
    assert await plan_of(world, contract.name) != plan


@pytest.mark.parametrize(("late", "is_fine"), [(-MICROSECOND, True), (MICROSECOND, False)])
async def test_a_preview_is_valid_until_the_change_takes_effect(
    world: World, late: timedelta, is_fine: bool
) -> None:
    contract = await world.sign()
    plan = await world.publish_plan(dear())
    shown = await preview(world, contract.name, plan)
    await world.ledger.advance(world.start + timedelta(minutes=2) + late)

    if is_fine:
        assert not (await commit(world, shown.token)).replayed
    else:
        assert (await refused(commit(world, shown.token)))[0] is grpc.StatusCode.FAILED_PRECONDITION
        assert await plan_of(world, contract.name) != plan


async def test_a_change_where_the_cycle_ends_costs_nothing_in_this_one(world: World) -> None:
    contract = await world.sign()
    plan = await world.publish_plan(dear())
    shown = await preview(world, contract.name, plan, timing=AT_CYCLE_END)

    assert shown.change.from_time.ToDatetime() == world.at("02-01").replace(tzinfo=None)
    assert lines(shown.change) == [("BASE_FEE", -20 * DOLLAR), ("BASE_FEE", 60 * DOLLAR)]
    assert shown.change.cycle_start_time == shown.change.from_time
    await commit(world, shown.token)
    await world.ledger.advance(world.at("02-01") + GRACE)
    await world.bill(contract.name)
    assert [each.total for each in await world.issued(contract.name)] == [usd(20 * DOLLAR)]


async def test_what_a_preview_cannot_show_is_refused_by_name(world: World) -> None:
    contract = await world.sign()
    plan = await world.publish_plan(dear())
    euros = await world.publish_plan(
        dear(
            base_fee=money_pb2.Money(currency_code="EUR", nanos=1),
            overage_price=money_pb2.UnitPrice(currency_code="EUR", price="1"),
        )
    )
    name, past = contract.name, timestamp(world.start - MICROSECOND)

    assert "one invoice would hold EUR, USD" in (await refused(preview(world, name, euros)))[1]
    assert "lies before the server's clock" in (await refused(preview(world, name, plan, from_time=past)))[1]
    assert "does not exist" in (await refused(preview(world, "contracts/none", plan)))[1]
    assert "does not exist" in (await refused(preview(world, name, "plans/none")))[1]
    assert "timing" in (await refused(preview(world, name, plan, timing=0)))[1]
    at_end = preview(world, name, plan, timing=AT_CYCLE_END, from_time=timestamp(world.at("02-01")))
    assert "the end of the cycle" in (await refused(at_end))[1]
    assert "token" in (await refused(commit(world, "")))[1]
    shown = await preview(world, name, plan)
    assert "token" in (await refused(commit(world, shown.token[:-8])))[1]
    assert "token" in (await refused(commit(world, "x" + shown.token[1:])))[1]


async def migrated(
    world: World, from_plan: str, plan: str, **fields: Any
) -> list[plan_change_pb2.MigrateContractsResponse]:
    """Return what became of each contract."""
    request = plan_change_pb2.MigrateContractsRequest(
        migration_id="m", from_plan=from_plan, plan=plan, plan_version=1, timing=AT_CYCLE_END, **fields
    )
    return [answer async for answer in world.invoices.MigrateContracts(request)]


async def test_a_migration_changes_each_contract_once_and_goes_on_where_it_broke_off(world: World) -> None:
    old, new = await world.publish_plan(), await world.publish_plan(dear())
    signed = sorted([(await world.sign(plan=old)).name for _ in range(5)])
    other = await world.sign()
    refusing = await world.sign(plan=old)
    end = contract_changes_pb2.EndContractRequest(
        name=refusing.name, end_time=timestamp(world.at("01-20")), idempotency_key=key()
    )
    await world.ledger.contracts.EndContract(end)

    shown = await migrated(world, old, new, validate_only=True)
    request = plan_change_pb2.MigrateContractsRequest(
        migration_id="m", from_plan=old, plan=new, plan_version=1, timing=AT_CYCLE_END
    )
    call = world.invoices.MigrateContracts(request)
    broken_off: list[Any] = [await call.read() for _ in range(2)]
    call.cancel()
    resumed = await migrated(world, old, new)
    again = await migrated(world, old, new)

    names = sorted([*signed, refusing.name])
    for run in (shown, resumed, again):
        assert [each.contract for each in run] == names
        assert [each.contracts_done for each in run] == list(range(1, 7))
    assert {each.state for each in broken_off} <= {
        plan_change_pb2.MIGRATION_STATE_CHANGED,
        plan_change_pb2.MIGRATION_STATE_REFUSED,
    }
    states = {each.contract: each.state for each in again}
    assert states.pop(refusing.name) == plan_change_pb2.MIGRATION_STATE_REFUSED
    assert set(states.values()) == {plan_change_pb2.MIGRATION_STATE_UNCHANGED}
    (stopped,) = [each for each in again if each.contract == refusing.name]
    assert stopped.reason == "CONTRACT_NOT_IN_FORCE"
    for name in signed:
        changes = await world.ledger.events(stream=name)
        assert [event.topic for event in changes].count("contract.PlanChanged.v1") == 1
    assert await plan_of(world, other.name) != new
    figures = {each.contract: each.change.amount.nanos for each in shown if each.HasField("change")}
    assert figures == dict.fromkeys(signed, 40 * DOLLAR)
