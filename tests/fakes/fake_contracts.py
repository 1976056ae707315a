"""The ledger's book of documents behind a real gRPC server: facts in the fake ledger's log, one a key."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any, Protocol

from google.protobuf.timestamp_pb2 import Timestamp

from credits.ledger.v1 import billing_records_pb2, contract_service_pb2_grpc, history_service_pb2


class Log(Protocol):
    """The fake ledger's log, and where a test wants notes to stall."""

    note_came: asyncio.Event
    stall_before: asyncio.Event
    stall_after: asyncio.Event

    async def publish(
        self,
        stream: str,
        topic: str,
        event: dict[str, Any],
        *,
        effective_time: datetime | None = None,
        key: str = "",
    ) -> history_service_pb2.Event:
        """Append a fact."""


class FakeContracts(contract_service_pb2_grpc.ContractServiceServicer):
    """Records what it is told; who checks it are the ledger's own tests."""

    def __init__(self, ledger: Log) -> None:
        self._ledger = ledger
        self._positions: dict[tuple[str, str], int] = {}

    async def RecordInvoice(self, request: Any, context: Any) -> Any:  # noqa: N802, the name is the protos'
        issued = request.issued
        event = _document(issued) | {
            "invoice": issued.invoice,
            "kind": billing_records_pb2.InvoiceKind.Name(issued.kind).removeprefix("INVOICE_KIND_"),
            "cycle_start_time": _iso(issued.cycle_start_time),
            "cycle_end_time": _iso(issued.cycle_end_time),
            "watermark_position": issued.watermark_position,
        }
        position = await self._recorded(request, "contract.InvoiceIssued.v1", event)
        return billing_records_pb2.RecordInvoiceResponse(issued=issued, position=position)

    async def RecordCreditNote(self, request: Any, context: Any) -> Any:  # noqa: N802, the name is the protos'
        issued = request.issued
        event = _document(issued) | {
            "credit_note": issued.credit_note,
            "invoice": issued.invoice,
            "settlement": billing_records_pb2.NoteSettlement.Name(issued.settlement).removeprefix(
                "NOTE_SETTLEMENT_"
            ),
            "reason": issued.reason,
        }
        if not self._ledger.stall_before.is_set():
            self._ledger.note_came.set()
        await self._ledger.stall_before.wait()
        position = await self._recorded(request, "contract.CreditNoteIssued.v1", event)
        self._ledger.note_came.set()
        await self._ledger.stall_after.wait()
        return billing_records_pb2.RecordCreditNoteResponse(issued=issued, position=position)

    async def _recorded(self, request: Any, topic: str, event: dict[str, Any]) -> int:
        key = request.name, request.idempotency_key
        if key not in self._positions:
            fact = await self._ledger.publish(request.name, topic, event, key=request.idempotency_key)
            self._positions[key] = fact.position
        return self._positions[key]


def _document(issued: Any) -> dict[str, Any]:
    return {
        "document_hash": issued.document_hash,
        "issue_time": _iso(issued.issue_time),
        "currency_code": issued.currency_code,
        "amounts": [{"kind": amount.kind, "nanos": amount.nanos} for amount in issued.amounts],
        "tax_nanos": issued.tax_nanos,
        "total_nanos": issued.total_nanos,
    }


def _iso(instant: Timestamp) -> str:
    return instant.ToJsonString()
