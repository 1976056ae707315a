"""`rating verify`: are the issued documents still what history says they are?"""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from credits.rating.v1 import document_verification_pb2, invoice_service_pb2_grpc
from rating_service.cli.connection import open_service, print_message, printed_json

Answer = document_verification_pb2.VerifyDocumentsResponse


def verify(
    contract: Annotated[str, typer.Option(help="Only of contracts/{contract}; else of all.")] = "",
    as_json: Annotated[bool, printed_json()] = False,
) -> None:
    """Compute every issued invoice and credit note again and compare; exits 1 if anything differs.

    Bytes are compared with history as of each document's watermark, hashes with what the ledger recorded. The cycles
    behind adjustments by phases for the past are priced again.
    """
    verified = _verified(document_verification_pb2.VerifyDocumentsRequest(contract=contract))
    if as_json:
        print_message(verified)
    else:
        console = Console(highlight=False)
        for found in verified.findings:
            console.print(f"[red]{found.check}[/red] {found.document}: {escape(found.description)}")
        count = len(verified.findings)
        verdict = f"[red]{count:,} findings[/red]" if count else "[green]all as it must be[/green]"
        checked = f"{verified.checked_documents:,} documents, {verified.checked_adjustments:,} adjustments"
        console.print(f"{checked}: {verdict}")
    if verified.findings:
        raise typer.Exit(1)


def _verified(request: document_verification_pb2.VerifyDocumentsRequest) -> Answer:
    """Return the last report with all findings; a bar on stderr if somebody looks."""
    verified = Answer()
    columns = (TextColumn("Verifying"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with (
        open_service() as channel,
        Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress,
    ):
        bar = progress.add_task("", total=None)
        for answer in invoice_service_pb2_grpc.InvoiceServiceStub(channel).VerifyDocuments(request):
            findings = [*verified.findings, *answer.findings]
            verified.CopyFrom(answer)
            del verified.findings[:]
            verified.findings.extend(findings)
            progress.update(bar, completed=answer.checked_documents, total=answer.total_documents)
    return verified
