"""A service that is killed between storing a note and noting its record: both exist together in the end, once."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from credits.rating.v1 import credit_note_pb2, document_verification_pb2, invoice_service_pb2
from credits.rating.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from tests.fakes.fake_ledger import FakeLedger, start_fake_ledger
from tests.integration.rating.harness import CONTRACT, START
from tests.servers import free_port

NOTE = "contract.CreditNoteIssued.v1"


@asynccontextmanager
async def serving(url: str, ledger_address: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, Any]]:
    """Run a service as a process, to be killed at the end if it was not before."""
    address = f"127.0.0.1:{free_port()}"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "rating_service",
        "serve",
        env={
            **os.environ,
            "RATING_DATABASE_URL": url,
            "RATING_LISTEN": address,
            "RATING_LEDGER_ADDRESS": ledger_address,
            "RATING_SANDBOX": "1",
            "RATING_LOG_LEVEL": "error",
        },
    )
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            health: Any = health_pb2_grpc.HealthStub(channel)
            async with asyncio.timeout(30):
                while not await _serves(health):  # noqa: ASYNC110, it is the state of another process
                    await asyncio.sleep(0.05)
            yield process, InvoiceServiceStub(channel)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _serves(health: Any) -> bool:
    try:
        answer = await health.Check(health_pb2.HealthCheckRequest(), timeout=2)
    except grpc.aio.AioRpcError:
        return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


@pytest.mark.parametrize("is_recorded", [False, True], ids=["before the record", "after the record"])
async def test_a_note_survives_a_kill_around_its_record(
    rating_url: str, ledger: FakeLedger, is_recorded: bool
) -> None:
    ledger.now = datetime(2026, 2, 1, tzinfo=UTC)
    server, address = await start_fake_ledger(ledger)
    order = credit_note_pb2.IssueCreditNoteRequest(
        idempotency_key="k", settlement=credit_note_pb2.SETTLEMENT_REFUND, reason="outage", whole=True
    )
    async with serving(rating_url, address) as (process, invoices):
        cycle = invoice_service_pb2.IssueInvoiceRequest(contract=CONTRACT, waive_grace=True)
        cycle.cycle_time.FromDatetime(START)
        order.invoice = (await invoices.IssueInvoice(cycle)).invoice.name
        ledger.notes_stall(after_record=is_recorded)
        call = asyncio.ensure_future(invoices.IssueCreditNote(order))
        async with asyncio.timeout(20):
            await ledger.note_came.wait()
        process.kill()
        await process.wait()
        await asyncio.gather(call, return_exceptions=True)
    ledger.notes_go_on()
    assert sum(event.topic == NOTE for event in ledger.events) == int(is_recorded)

    async with serving(rating_url, address) as (_, invoices):
        again = await invoices.IssueCreditNote(order)
        request = document_verification_pb2.VerifyDocumentsRequest()
        reports = [report async for report in invoices.VerifyDocuments(request)]
    await server.stop(None)

    assert (again.replayed, again.credit_note.recorded_position) == (True, len(ledger.events))
    assert [event.topic for event in ledger.events].count(NOTE) == 1
    assert [found for report in reports for found in report.findings] == []
