"""After the invoices: prices change, the past is priced anew and usage comes late, and no issued invoice moves.

An invoice of the last month is kept, and read again after each step. Whatever the steps say about that month is on
the next month's invoice, as adjustments that name the one they correct.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from credits.rating.v1 import (
    document_verification_pb2,
    invoice_service_pb2,
    rating_service_pb2,
    rerating_service_pb2,
)
from deploy.demo.accounts import run_billing
from deploy.demo.customers import PACKS, Customer, PlanName
from deploy.demo.invoices import Invoice, await_records, issue
from deploy.demo.offer import CARD, CUT, publish_phase
from deploy.demo.replay import message_of
from deploy.demo.report import StepFigures
from deploy.demo.scene import Source, World
from deploy.demo.services import CALL_SECONDS_MAX, DemoFailed, Services, instant_of
from deploy.demo.timeline import GRACE
from deploy.demo.traffic import Usage

LATE_MODEL: Final = "claude-opus-4"
LATE_USAGES: Final = 20
LATE_TOKENS: Final = (120_000, 40_000, 8_000)
"""Input, cached and output tokens of each usage that comes late."""
VERIFICATION_SECONDS_MAX: Final = 300


class Corrected(NamedTuple):
    """What happened, and the invoices before and after."""

    customer: Customer
    prior: Invoice
    steps: list[StepFigures]
    next: Invoice
    late: list[Usage]
    documents: int
    """Invoices of all customers and months."""


class Verified(NamedTuple):
    """What the verification of all documents found."""

    documents: int
    findings: list[str]


class Keeper:
    """Keeps an invoice as it was issued and reads it again after each step."""

    def __init__(self, services: Services, invoice: Invoice) -> None:
        """Keep an invoice."""
        self.steps: list[StepFigures] = []
        self._services = services
        self._invoice = invoice

    def step(self, name: str, happen: Callable[[], str]) -> None:
        """Let something happen, which returns what it did, and compare the invoice."""
        before = self._read()
        detail = happen()
        after = self._read()
        same = before.document == after.document == self._invoice.document
        self.steps.append(StepFigures(name, detail, before.hash, after.hash, same))

    def _read(self) -> Invoice:
        request = invoice_service_pb2.GetInvoiceRequest(name=self._invoice.name)
        return self._services.invoices.GetInvoice(request, timeout=CALL_SECONDS_MAX).invoice


def correct(
    source: Source, world: World, customers: Sequence[Customer], invoices: Sequence[Invoice]
) -> Corrected:
    """Change prices, put the past right, send late usage, and bill the next month."""
    timeline = source.timeline
    prior = invoice_to_keep(invoices, timeline.cycle_starts[-2])
    customer = next(each for each in customers if each.contract == prior.contract)
    late = late_usages(customer, timeline.end)
    keeper = Keeper(world.services, prior)
    documents = len(invoices) + len(customers)

    def cut_again() -> str:
        return f"{publish(world, CUT, timeline.next_cut_time)} from {day(timeline.next_cut_time)}"

    def restore() -> str:
        phase = publish(world, CARD, timeline.restore_time, retroactive=True)
        return f"{phase} from {day(timeline.restore_time)}: {accept(world.services, phase)}"

    def bill() -> str:
        world.clock.advance(timeline.next_end + GRACE)
        run_billing(world.services)
        await_records(world.services, documents)
        return f"{len(customers)} invoices"

    with world.stages.stage("past put right, next month billed", total=4) as advance:
        for name, happen in (
            ("a price change in the middle of the next month", cut_again),
            ("a retroactive change: the month's cut ended earlier", restore),
            ("late usage of the invoiced month", lambda: record(world.services, late)),
            ("the next month is billed", bill),
        ):
            keeper.step(name, happen)
            advance(1)
    following = issue(world.services, prior.contract, timeline.end).invoice
    return Corrected(customer, prior, keeper.steps, following, late, documents)


def invoice_to_keep(invoices: Sequence[Invoice], cycle_start: datetime) -> Invoice:
    """Return the invoice of a month with the most overage, or else the most usage of who has no pack."""
    buyers = {f"customers/{pack.customer}" for pack in PACKS}
    return max(
        (
            each
            for each in invoices
            if each.plan != f"plans/{PlanName.SANDBOX.value}"
            and (overage_units(each) or each.customer not in buyers)
            and instant_of(each.cycle_start_time) == cycle_start
        ),
        key=lambda each: (overage_units(each), sum(line.amount_units for line in each.lines)),
    )


def overage_units(invoice: Invoice) -> int:
    """Return the units of an invoice's own month that no credit covered."""
    return sum(
        line.amount_units for line in invoice.lines if line.kind == invoice_service_pb2.LINE_KIND_OVERAGE
    )


def late_usages(customer: Customer, end: datetime) -> list[Usage]:
    """Return usages of the last hours of a month."""
    return [
        Usage(f"late-{n:02d}", customer, end - timedelta(minutes=n), LATE_MODEL, *LATE_TOKENS)
        for n in range(LATE_USAGES, 0, -1)
    ]


def publish(world: World, example: str, from_time: datetime, *, retroactive: bool = False) -> str:
    """Publish a phase of the rate card, or propose it; return its name."""
    published = publish_phase(
        example, from_time, directory=world.directory, ledger=world.ledger, retroactive=retroactive
    )
    return published.price_list.name


def accept(services: Services, phase: str) -> str:
    """Look at what a proposed phase changes and accept just that; return it in words."""
    look = rerating_service_pb2.ShowReratingRequest(name=phase)
    *_, shown = services.reratings.ShowRerating(look, timeout=CALL_SECONDS_MAX)
    request = rerating_service_pb2.AcceptReratingRequest(name=phase, token=shown.rerating.token)
    posted = sum(
        progress.HasField("adjustment")
        for progress in services.reratings.AcceptRerating(request, timeout=CALL_SECONDS_MAX)
    )
    return f"accepted, {posted} of {shown.total_cycles} months adjusted"


def record(services: Services, usages: Sequence[Usage]) -> str:
    """Record usages that were served. Raises DemoFailed."""
    request = rating_service_pb2.BatchRecordUsageRequest(usages=map(message_of, usages))
    results = services.rating.BatchRecordUsage(request, timeout=CALL_SECONDS_MAX).results
    if any(not each.HasField("response") for each in results):
        raise DemoFailed(f"late usage was not recorded: {results}")
    return f"{len(results)} usages of {day(usages[0].time)}"


def verify_documents(services: Services) -> Verified:
    """Have every invoice computed again from history, and compared byte by byte."""
    findings: list[str] = []
    last = document_verification_pb2.VerifyDocumentsResponse()
    request = document_verification_pb2.VerifyDocumentsRequest()
    for last in services.invoices.VerifyDocuments(request, timeout=VERIFICATION_SECONDS_MAX):
        findings += [f"{each.check} {each.document}: {each.description}" for each in last.findings]
    if not last.done:
        findings.append("the verification ended before it was done")
    return Verified(last.checked_documents, findings)


def day(time: datetime) -> str:
    """Return an instant as a day."""
    return f"{time:%Y-%m-%d}"
