"""Long work of finance in a process of its own: exports, reports that fold the log, and the reconciliation.

`python -m ledger_service.projections.finance_process` reads one line from standard input, the database and what is
asked for as JSON (a URL may hold a password, which a command line would show), and writes its answers as lines of JSON.
A refusal is a line too. When its input ends, whoever asked is gone, and it ends too.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

import msgspec
import psycopg

from ledger_service.application.exporting.export_ports import ExportRequest
from ledger_service.application.reporting.report_ports import (
    EntriesRequest,
    FoldRequest,
    PositionsRequest,
    ReconcileRequest,
)
from ledger_service.projections.connections import connect
from ledger_service.projections.reconciling.reconcile import reconcile
from ledger_service.projections.reports.entry_pages import list_entries
from ledger_service.projections.reports.export import export
from ledger_service.projections.reports.folded_reports import fold
from ledger_service.projections.reports.position_pages import list_positions

Job = ExportRequest | FoldRequest | EntriesRequest | PositionsRequest | ReconcileRequest


class Asked(msgspec.Struct, frozen=True):
    """What to do, and where."""

    url: str
    schema: str
    job: Job


def answers(asked: Asked) -> Iterator[Any]:
    """Yield the answers to a job. Raises psycopg.Error."""
    with connect(asked.url, schema=asked.schema) as connection:
        match asked.job:
            case ExportRequest() as request:
                yield from export(connection, asked.schema, request)
            case FoldRequest() as request:
                yield from fold(connection, asked.schema, request)
            case EntriesRequest() as request:
                yield list_entries(connection, asked.schema, request)
            case PositionsRequest() as request:
                yield list_positions(connection, asked.schema, request)
            case ReconcileRequest():
                yield from reconcile(connection, asked.url, asked.schema)


def main() -> None:
    """Do what standard input asks for."""
    asked = msgspec.json.decode(sys.stdin.buffer.readline(), type=Asked)
    threading.Thread(target=_end_with_input, daemon=True).start()
    try:
        for answer in answers(asked):
            sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
            sys.stdout.buffer.flush()
    except psycopg.OperationalError as error:
        sys.exit(f"the database cannot be read: {error}")


def _end_with_input() -> None:
    # Not through the buffer of sys.stdin: its lock would be held at exit by a thread that nothing wakes.
    while os.read(0, 1024):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
