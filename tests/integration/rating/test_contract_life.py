"""Usage is priced by the phase in force at its effective time, whatever happens to the contract."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from credits.rating.v1 import invoice_service_pb2, rating_service_pb2
from tests.fakes.fake_ledger import FakeLedger, iso
from tests.integration.rating.harness import (
    CARD,
    CONTRACT,
    DAY,
    START,
    Service,
    publish_card,
    refused,
    running_service,
    usage,
)

MICROSECOND = timedelta(microseconds=1)
OTHER_CARD = "rateCards/other"


def phase(
    from_time: datetime, key: str, *, card: str = CARD, to_time: datetime | None = None
) -> dict[str, Any]:
    """Return a contract's phase as recorded."""
    terms = {"key": key, "rate_card": card, "shortfall_mode": "SOFT"}
    return {
        "from_time": iso(from_time),
        "terms": terms,
        **({"to_time": iso(to_time)} if to_time else {}),
    }


async def publish_other_card(ledger: FakeLedger) -> None:
    """Publish a card on which an input token costs five units."""
    asset = {"code": "CREDIT", "scale": 6}
    await ledger.publish(OTHER_CARD, "rate_card.RateCardCreated.v1", {"asset": asset})
    rates = [{"dimension": "input_tokens", "unit_price": "5", "unit_size": 1_000_000}]
    event = {"phase": 1, "from_time": iso(START), "rates": rates, "phase_hash": "9" * 64}
    await ledger.publish(OTHER_CARD, "rate_card.RateCardPhasePublished.v1", event)


async def schedule(ledger: FakeLedger, *phases: dict[str, Any]) -> None:
    """Schedule phases."""
    event = {"from_time": phases[0]["from_time"], "paths": ["rate_card"], "phases": phases}
    await ledger.publish(CONTRACT, "contract.ContractPhaseScheduled.v1", event)


async def charged(service: Service, usage_id: str, at: datetime) -> tuple[str, str]:
    """Record a usage; return the phase that it falls under and its units."""
    request = rating_service_pb2.RecordUsageRequest(usage=usage(usage_id, at=at, input_tokens=1_000))
    charge = (await service.rating.RecordUsage(request)).charge
    return charge.contract_phase, charge.lines[0].exact_units


async def not_in_force(service: Service, at: datetime) -> None:
    """Fail unless a usage cannot be rated because the contract is not in force."""
    request = rating_service_pb2.RecordUsageRequest(usage=usage("outside", at=at))
    answer = await service.rating.RecordUsage(request)
    assert answer.quarantined.reason == "CONTRACT_NOT_IN_FORCE"


@pytest.mark.parametrize("restarts", [False, True])
async def test_usage_follows_the_life_of_its_contract_to_the_microsecond(
    rating_url: str, ledger: FakeLedger, restarts: bool
) -> None:
    await publish_other_card(ledger)
    at, end = START + 10 * DAY, START + 20 * DAY
    async with running_service(rating_url, ledger) as service:
        before = await charged(service, "before", at)
        await schedule(ledger, phase(at, "dear", card=OTHER_CARD))
        await service.caught_up()
        same = [await charged(service, "u-1", at - MICROSECOND), await charged(service, "u-2", at)]
        if not restarts:
            await ended(service, end)
    if restarts:
        async with running_service(rating_url, ledger) as service:
            assert await charged(service, "u-3", at) == ("dear", "5000")
            await ended(service, end)

    assert before == ("main", "3000")
    assert same == [("main", "3000"), ("dear", "5000")]


async def ended(service: Service, end: datetime) -> None:
    """End the contract; its own time is priced as before, even if the usage arrives later."""
    await service.ledger.publish(CONTRACT, "contract.ContractEnded.v1", {"end_time": iso(end)})
    await service.caught_up()
    assert await charged(service, "late-1", end - MICROSECOND) == ("dear", "5000")
    assert await charged(service, "late-2", START) == ("main", "3000")
    await not_in_force(service, end)
    await not_in_force(service, START - MICROSECOND)


async def test_an_invoice_names_the_plan_of_its_own_cycle(service: Service) -> None:
    at = datetime.fromisoformat("2026-02-01T00:00:00+00:00")
    event = {
        "from_time": iso(at),
        "plan": "plans/max",
        "plan_version": 3,
        "timing": "AT_CYCLE_END",
        "phases": [phase(at, "big")],
        "previous_plan": "plans/pro",
        "previous_plan_version": 1,
        "previous_terms": phase(START, "main")["terms"],
    }
    await service.ledger.publish(CONTRACT, "contract.PlanChanged.v1", event)
    await service.caught_up()
    plans = []
    for instant in (at - MICROSECOND, at):
        request = invoice_service_pb2.PreviewInvoiceRequest(contract=CONTRACT)
        request.cycle_time.FromDatetime(instant)
        invoice = (await service.invoices.PreviewInvoice(request)).invoice
        plans.append((invoice.plan, invoice.total.nanos))

    assert plans == [("plans/pro", 20_000_000_000), ("plans/max", 0)]


async def test_a_contract_that_never_begins_prices_nothing(service: Service) -> None:
    await service.ledger.publish(CONTRACT, "contract.ContractEnded.v1", {"end_time": iso(START)})
    await service.caught_up()
    await not_in_force(service, START)
    request = invoice_service_pb2.PreviewInvoiceRequest(contract=CONTRACT)
    request.cycle_time.FromDatetime(START)

    answer = await refused(service.invoices.PreviewInvoice(request))

    assert answer[1] == "CYCLE_OUTSIDE_CONTRACT"


async def test_after_a_withdrawal_the_phase_before_lasts_again(service: Service) -> None:
    at = START + 10 * DAY
    await publish_card(service.ledger, phase=2, from_time=at, input_price="7")
    await service.caught_up()
    dear = await charged(service, "u-1", at)
    await service.ledger.publish(CARD, "rate_card.RateCardPhaseWithdrawn.v1", {"phase": 2})
    await service.caught_up()
    withdrawn = await charged(service, "u-2", at)
    await publish_card(service.ledger, phase=3, from_time=at, input_price="9")
    await service.caught_up()

    assert (dear, withdrawn) == (("main", "7000"), ("main", "3000"))
    assert await charged(service, "u-3", at - MICROSECOND) == ("main", "3000")
    assert await charged(service, "u-4", at) == ("main", "9000")
