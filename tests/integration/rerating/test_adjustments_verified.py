"""`rating verify` prices the cycle behind each adjustment again, and finds one that history does not bear out."""

from __future__ import annotations

from typing import Any

import msgspec
import psycopg
import pytest

from credits.ledger.v1 import adjustment_pb2, rerating_pb2, wallet_pb2
from credits.rating.v1 import document_verification_pb2, invoice_service_pb2_grpc
from tests.integration.ledger.client import key
from tests.integration.rerating.customer import HOUR, Customer, rates, tiered

DIFFERS_FROM_HISTORY, DIFFERS_FROM_LEDGER = (
    "ADJUSTMENT_DIFFERS_FROM_HISTORY",
    "ADJUSTMENT_DIFFERS_FROM_LEDGER",
)


async def verified(customer: Customer) -> tuple[int, list[tuple[str, str]]]:
    """Return how many adjustments were checked, and the findings."""
    stub = invoice_service_pb2_grpc.InvoiceServiceStub(customer.gateway.channel)
    request = document_verification_pb2.VerifyDocumentsRequest(contract=customer.contract)
    answers = [answer async for answer in stub.VerifyDocuments(request)]
    findings = [(each.check, each.description) for answer in answers for each in answer.findings]
    return answers[-1].checked_adjustments, findings


async def used(customer: Customer) -> None:
    """Use 200 tokens and 8 calls, within the time that a phase for the past will cover."""
    await customer.gateway.pass_time(4 * HOUR)
    await customer.use(customer.start + 2 * HOUR, tokens=200, calls=4)
    await customer.use(customer.start + 3 * HOUR, calls=4)


async def adjusted(customer: Customer, tokens: str) -> Any:
    """Accept another price of a token and return its phase."""
    published = await customer.publish(rates(tokens=tokens), customer.start + HOUR)
    await customer.accept(published.phase.name)
    return published.phase


async def recorded(customer: Customer) -> dict[str, Any]:
    """Return the charge of the last adjustment, as the ledger has it."""
    events = await customer.ledger.events(stream=customer.wallet)
    charges = [msgspec.json.decode(each.state)["event"].get("charge") for each in events]
    found: list[dict[str, Any]] = [charge for charge in charges if charge and "adjustment" in charge]
    return found[-1]


async def forge(customer: Customer, **changes: Any) -> None:
    """Record one more adjustment that adds up, as a client could whom the ledger lets do so."""
    last = await recorded(customer)
    fields: dict[str, Any] = {
        "number": 2,
        "charged_units": last["adjustment"]["rated_units"],
        "watermark_position": customer.position,
    }
    exact = changes.pop("exact_units", "3")
    adjustment = adjustment_pb2.Adjustment(**fields | changes)
    adjustment.rated_units = str(int(adjustment.charged_units) + int(exact))
    for name in ("cycle_start_time", "cycle_end_time"):
        getattr(adjustment, name).FromJsonString(last["adjustment"][name])
    charge = wallet_pb2.Charge(
        contract=customer.contract,
        contract_phase="main",
        rate_card_phase=last["rate_card_phase"],
        phase_hash=last["phase_hash"],
        exact_units=exact,
        adjustment=adjustment,
    )
    request = rerating_pb2.RecordAdjustmentRequest(name=customer.wallet, idempotency_key=key(), charge=charge)
    customer.position = (await customer.ledger.wallets.RecordAdjustment(request)).position
    await customer.use(customer.start, tokens=1)


async def test_adjustments_up_down_and_of_meters_are_borne_out_by_history(customer: Customer) -> None:
    await used(customer)
    await adjusted(customer, "1.5")
    await customer.use(customer.start + 2 * HOUR, tokens=7)
    await adjusted(customer, "0.7513")
    counted = await customer.publish(
        [tiered("tokens", 50, "3", "2"), *rates(calls="5")[1:]], customer.start + HOUR
    )
    await customer.accept(counted.phase.name)
    await customer.use(customer.start + 2 * HOUR, tokens=9)

    assert await verified(customer) == (3, [])
    assert await customer.findings() == []


async def test_an_adjustment_that_history_does_not_bear_out_is_found(customer: Customer) -> None:
    await used(customer)
    await adjusted(customer, "1.5")
    await forge(customer)

    checked, [(check, description)] = await verified(customer)

    assert await customer.findings() == []
    assert (checked, check) == (2, DIFFERS_FROM_HISTORY)
    assert description == "by history nothing was left to be put right"


async def test_an_adjustment_that_did_not_know_another_would_be_paid_twice_and_is_found(
    customer: Customer,
) -> None:
    await used(customer)
    before = customer.position
    await adjusted(customer, "1.5")
    first = await recorded(customer)
    charged = first["adjustment"]["charged_units"]
    await forge(customer, charged_units=charged, exact_units=first["exact_units"], watermark_position=before)

    _, findings = await verified(customer)

    assert [check for check, _ in findings] == [DIFFERS_FROM_HISTORY]
    assert "it was decided before" in findings[0][1]


@pytest.mark.parametrize(
    ("said", "written", "check"),
    [
        pytest.param('"exact_units":"100"', '"exact_units":"90"', DIFFERS_FROM_LEDGER, id="the adjustment"),
        pytest.param('"exact_units":"240"', '"exact_units":"239"', DIFFERS_FROM_HISTORY, id="its usage"),
    ],
)
async def test_what_was_changed_where_it_was_followed_is_found(
    customer: Customer, rating_url: str, said: str, written: str, check: str
) -> None:
    await used(customer)
    await adjusted(customer, "1.5")
    async with await psycopg.AsyncConnection.connect(rating_url, autocommit=True) as lent:
        done = await lent.execute(
            "UPDATE rating.debits SET charge = replace(charge, %s, %s)"
            " WHERE wallet = %s AND strpos(charge, %s) > 0",
            (said, written, customer.wallet, said),
        )

    assert done.rowcount == 1
    assert {found for found, _ in (await verified(customer))[1]} == {check}
