"""Captures and reversals, followed from the log and onto invoices and their traces."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.integration.rating.harness import CONTRACT, DAY, START, WALLET, Service, usage
from tests.integration.rating.test_invoices import amounts, issue, preview, record, trace

FEBRUARY = datetime(2026, 2, 1, tzinfo=UTC)
GRACE = timedelta(hours=24)
CHARGE = {
    "contract": CONTRACT,
    "contract_phase": "main",
    "rate_card_phase": "rateCards/llm/phases/1",
    "phase_hash": "ab" * 32,
    "lines": [{"dimension": "input_tokens", "quantity": 3, "unit_price": "1", "exact_units": "9"}],
    "exact_units": "9",
}


async def reverse(
    service: Service, debit_version: int, units: int, *, at: datetime = FEBRUARY, **members: object
) -> None:
    """Let the ledger take units of a debit back."""
    event = {"debit_version": debit_version, "amount_units": units, **members}
    await service.ledger.publish(WALLET, "wallet.DebitReversed.v1", event, effective_time=at)


def version_of(service: Service, usage_id: str) -> int:
    """Return the version of the debit of a usage."""
    return next(each.version for each in service.ledger.events if f'"{usage_id}"'.encode() in each.state)


async def test_a_capture_of_included_credit_that_rolled_over_is_usage_paid_with_it(service: Service) -> None:
    terms = {"category": "INCLUDED", "priority": 0, "granted_units": 9, "effective_time": START.isoformat()}
    rolled = {"grant_version": 1, "amount_units": 9, "lot": terms, "recurrence": {}}
    carried = await service.ledger.publish(
        WALLET, "wallet.CreditsRolledOver.v1", rolled, effective_time=START
    )
    captured = {
        "hold_version": 3,
        "amount_units": 9,
        "held_draws": [[carried.version, 4]],
        "draws": [[carried.version, 2]],
        "overage_units": 2,
        "debt_units": 1,
        "burn_down_order": "default/1",
        "charge": CHARGE,
    }
    await service.ledger.publish(WALLET, "wallet.HoldCaptured.v1", captured, effective_time=START + DAY)
    invoice = await preview(service)

    assert [units for _, units, _ in amounts(invoice)] == [0, 7, 2]
    assert invoice.included_used_units == 6


async def test_a_debit_reversed_before_its_invoice_is_neither_billed_nor_traced(service: Service) -> None:
    await service.ledger.grant(WALLET, 4_000)
    await record(service, *[usage(f"u-{number}") for number in range(7)])
    await reverse(service, version_of(service, "u-3"), 3_000, overage_units=3_000)
    await reverse(service, version_of(service, "u-4"), 1_000, overage_units=1_000)
    service.ledger.now = FEBRUARY + GRACE
    invoice = (await issue(service)).invoice
    await reverse(service, version_of(service, "u-5"), 3_000, at=FEBRUARY + GRACE, overage_units=3_000)

    assert amounts(invoice)[1:] == [("USAGE", 4_000, 0), ("OVERAGE", 13_000, 30_000_000)]
    for line in invoice.lines[1:]:
        traced = await trace(service, invoice.name, line.line_id, size=2)
        assert len(traced) == line.debit_count
        assert sum(debit.amount_units for debit in traced) == line.amount_units
    usages = [debit.usage for debit in await trace(service, invoice.name, invoice.lines[2].line_id, size=2)]
    assert usages == ["u-1", "u-2", "u-4", "u-5", "u-6"]


async def test_a_reversal_after_the_invoice_changes_neither_it_nor_the_next(service: Service) -> None:
    await record(service, usage("u-a"), usage("u-b", at=FEBRUARY))
    service.ledger.now = FEBRUARY + GRACE
    invoice = (await issue(service)).invoice
    await reverse(service, version_of(service, "u-a"), 3_000, overage_units=3_000)

    assert (await issue(service)).invoice == invoice
    assert amounts(await preview(service, FEBRUARY))[2] == ("OVERAGE", 3_000, 10_000_000)
