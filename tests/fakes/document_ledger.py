"""A ledger's book of issued documents, in memory: one position a document, and refusals on demand."""

from __future__ import annotations

from google.rpc import status_pb2

from rating_service.application.ports import LedgerRefused, LedgerUnavailableError
from rating_service.domain.documents.ledger_records import DocumentRecord


class FakeDocumentLedger:
    """Keeps records in the order in which they came."""

    def __init__(self) -> None:
        self.records: list[DocumentRecord] = []
        self.refused: set[str] = set()
        self.is_away = False

    async def record(self, record: DocumentRecord) -> int:
        """Record a document and return its position; again returns the same one."""
        if self.is_away:
            raise LedgerUnavailableError("away")
        if record.document in self.refused:
            raise LedgerRefused(status_pb2.Status(code=9, message="no"))
        for position, known in enumerate(self.records, start=1):
            if known.document == record.document:
                assert known == record, "another document under the same name"
                return position
        self.records.append(record)
        return len(self.records)

    @property
    def documents(self) -> list[str]:
        """Names of what is recorded."""
        return [record.document for record in self.records]
