"""The projected bill is the invoice that comes, if usage goes on as projected."""

from __future__ import annotations

import grpc

from credits.ledger.v1 import billing_terms_pb2, money_pb2
from credits.rating.v1 import (
    invoice_service_pb2,
    usage_report_service_pb2,
    usage_report_service_pb2_grpc,
)
from tests.integration.billing.test_billing_commands import rating
from tests.integration.billing.world import DAY, GRACE, World, terms

DOLLAR = 10**9
VAT = billing_terms_pb2.TaxRate(name="VAT", percent="20")


def usd(amount: int) -> money_pb2.Money:
    """Return whole dollars."""
    return money_pb2.Money(currency_code="USD", nanos=amount * DOLLAR)


async def forecast(world: World, contract: str) -> usage_report_service_pb2.GetForecastResponse:
    """Return the forecast of a contract, as of now."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{world.parts.served.port}") as channel:
        stub = usage_report_service_pb2_grpc.UsageReportServiceStub(channel)
        request = usage_report_service_pb2.GetForecastRequest(
            name=contract, min_position=await world.head(), include_bill=True
        )
        return await stub.GetForecast(request)


def sums(
    lines: list[tuple[invoice_service_pb2.LineKind.ValueType, int]],
) -> dict[str, int]:
    """Return nanos by kind, but those of no money."""
    found: dict[str, int] = {}
    for kind, nanos in lines:
        name = invoice_service_pb2.LineKind.Name(kind)[10:]
        found[name] = found.get(name, 0) + nanos
    return {kind: nanos for kind, nanos in found.items() if nanos}


async def test_the_projected_bill_is_the_invoice_that_comes(world: World) -> None:
    """At a dollar a day: the commitment covers the usage, and the minimum is not reached."""
    kinds = {"BASE_FEE": 20, "OVERAGE": 31, "MINIMUM": 29, "COMMITMENT": 60, "COMMITMENT_DRAW_DOWN": -31}
    commitment = billing_terms_pb2.Commitment(amount=usd(60), period="P1M", prepaid=True)
    agreed = terms(included_units=0, minimum_spend=usd(80), commitment=commitment, tax_rates=[VAT])
    contract = (await world.sign(agreed)).name
    for day in range(10):
        await world.ledger.advance(world.start + day * DAY)
        await world.use(contract, 500_000)
    await world.ledger.advance(world.start + 10 * DAY)
    projected = await forecast(world, contract)
    shown = await rating(world, "forecast", contract, group="usage")
    for day in range(10, 31):
        await world.ledger.advance(world.start + day * DAY)
        await world.use(contract, 500_000)
    await world.ledger.advance(world.at("02-01") + GRACE)
    await world.bill(contract)
    [invoice] = await world.issued(contract)

    expected = {kind: dollars * DOLLAR for kind, dollars in kinds.items()}
    assert sums([(line.kind, line.amount.nanos) for line in projected.projected_lines]) == expected
    assert sums([(line.kind, line.amount.nanos) for line in invoice.lines]) == expected
    assert (projected.projected_total, projected.projected_tax) == (invoice.total, invoice.tax)
    assert "Bill at the cycle's end" in shown.stdout
    assert "commitment draw down" in shown.stdout
