"""The billing methods of InvoiceService on the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from credits.rating.v1 import billing_pb2, invoice_service_pb2_grpc
from rating_service.application.crediting.credit_due import CreditDue
from rating_service.application.invoicing.billing import Billing, ContractFailure, Progress
from rating_service.application.invoicing.list_cycles import CycleListing, CycleQuery, ListedCycle
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.domain.invoicing.billing import CycleState
from rating_service.rpc.credit_note_messages import credit_due
from rating_service.rpc.messages import read_instant, write_instant

STATES: Final = {
    CycleState.OPEN: billing_pb2.CYCLE_STATE_OPEN,
    CycleState.DRAFT: billing_pb2.CYCLE_STATE_DRAFT,
    CycleState.ISSUED: billing_pb2.CYCLE_STATE_ISSUED,
}


class BillingServicer(invoice_service_pb2_grpc.InvoiceServiceServicer):
    """Runs billing and lists cycles."""

    _billing: Billing
    _cycles: CycleListing
    _credit_due: CreditDue

    async def RunBilling(
        self, request: billing_pb2.RunBillingRequest, context: Any = None
    ) -> AsyncIterator[billing_pb2.RunBillingResponse]:
        """Bill what is due and report progress."""
        until = (
            read_instant(request.until_time, field="until_time") if request.HasField("until_time") else None
        )
        async for progress in self._billing.run(contract=request.contract, until=until):
            yield progress_message(progress)

    async def ListCycles(
        self, request: billing_pb2.ListCyclesRequest, context: Any = None
    ) -> billing_pb2.ListCyclesResponse:
        """List billing cycles."""
        query = CycleQuery(request.contract, _read_state(request.state), request.only_failed)
        page = await self._cycles.page(query, page_size=request.page_size, token=request.page_token)
        first = not request.page_token
        owing = (await self._credit_due.page(request.contract, page_size=0, token="")).owing if first else []
        return billing_pb2.ListCyclesResponse(
            cycles=map(cycle_message, page.cycles),
            next_page_token=page.next_page_token,
            credits_due=map(credit_due, owing),
        )


def progress_message(progress: Progress) -> billing_pb2.RunBillingResponse:
    """Return how far a run is."""
    return billing_pb2.RunBillingResponse(
        contracts_count=progress.contracts_count,
        contracts_done=progress.contracts_done,
        grants_count=progress.grants_count,
        invoices_count=progress.invoices_count,
        invoices=progress.invoices,
        failures=map(failure_message, progress.failures),
    )


def failure_message(failed: ContractFailure) -> billing_pb2.BillingFailure:
    """Return why a contract could not be billed."""
    failure = failed.failure
    message = billing_pb2.BillingFailure(
        contract=failed.contract, reason=failure.reason, message=failure.message, attempts=failure.attempts
    )
    write_instant(message.fail_time, failure.fail_time)
    if failure.cycle_start_time is not None:
        write_instant(message.cycle_start_time, failure.cycle_start_time)
    return message


def cycle_message(listed: ListedCycle) -> billing_pb2.BillingCycle:
    """Return a cycle."""
    message = billing_pb2.BillingCycle(
        contract=listed.contract, state=STATES[listed.state], invoice=listed.invoice
    )
    write_instant(message.cycle_start_time, listed.cycle.start_time)
    write_instant(message.cycle_end_time, listed.cycle.end_time)
    write_instant(message.issue_time, listed.issue_time)
    if listed.failure is not None:
        message.failure.CopyFrom(failure_message(ContractFailure(listed.contract, listed.failure)))
    return message


def _read_state(number: int) -> CycleState | None:
    if number == billing_pb2.CYCLE_STATE_UNSPECIFIED:
        return None
    for state, value in STATES.items():
        if value == number:
            return state
    raise RequestRefused(RequestReason.FIELD_MALFORMED, f"state {number} is none", field="state")
