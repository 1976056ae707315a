"""How each refusal looks on the wire: one table, and google.rpc.Status with ErrorInfo.

The pair (domain, reason) is stable; the text is for people and may change. A refusal that names a request
field also carries BadRequest, one that is worth a later try carries RetryInfo.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import grpc
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2, status_pb2

from credits.ledger.v1 import meter_totals_pb2
from ledger_service.domain import refusals
from ledger_service.domain.refusals import Refusal
from ledger_service.domain.refusals import service as service_refusals
from ledger_service.rpc.charge_parts import write_total

ERROR_DOMAIN: Final = "ledger.credits"

Code = grpc.StatusCode
STATUS_OF: Final[Mapping[type[Refusal], grpc.StatusCode]] = {
    refusals.FieldRequired: Code.INVALID_ARGUMENT,
    refusals.FieldMalformed: Code.INVALID_ARGUMENT,
    refusals.FieldTooLong: Code.INVALID_ARGUMENT,
    refusals.FieldNotAllowed: Code.INVALID_ARGUMENT,
    refusals.NumberOutOfRange: Code.INVALID_ARGUMENT,
    refusals.AmountNotPositive: Code.INVALID_ARGUMENT,
    refusals.AmountOutOfRange: Code.OUT_OF_RANGE,
    refusals.ValueUnspecified: Code.INVALID_ARGUMENT,
    refusals.TimeMalformed: Code.INVALID_ARGUMENT,
    refusals.TimeInFuture: Code.OUT_OF_RANGE,
    refusals.TimesOutOfOrder: Code.INVALID_ARGUMENT,
    refusals.ChargeInconsistent: Code.INVALID_ARGUMENT,
    refusals.ChargeContractMismatch: Code.FAILED_PRECONDITION,
    refusals.TotalsStale: Code.ABORTED,
    refusals.TotalsNotKept: Code.FAILED_PRECONDITION,
    refusals.TotalsFull: Code.FAILED_PRECONDITION,
    refusals.WalletNotFound: Code.NOT_FOUND,
    refusals.WalletExists: Code.ALREADY_EXISTS,
    refusals.WalletIsClosed: Code.FAILED_PRECONDITION,
    refusals.WalletInUse: Code.FAILED_PRECONDITION,
    refusals.WalletNotEmpty: Code.FAILED_PRECONDITION,
    refusals.InsufficientCredit: Code.FAILED_PRECONDITION,
    refusals.OverageLimitExceeded: Code.FAILED_PRECONDITION,
    refusals.SpendCapExceeded: Code.FAILED_PRECONDITION,
    refusals.BudgetExceeded: Code.FAILED_PRECONDITION,
    refusals.HoldNotActive: Code.FAILED_PRECONDITION,
    refusals.HoldNotFound: Code.NOT_FOUND,
    refusals.HoldExpired: Code.FAILED_PRECONDITION,
    refusals.HoldAlreadyCaptured: Code.FAILED_PRECONDITION,
    refusals.HoldAlreadyReleased: Code.FAILED_PRECONDITION,
    refusals.BudgetsOverlap: Code.INVALID_ARGUMENT,
    refusals.CaptureExceedsHold: Code.FAILED_PRECONDITION,
    refusals.AsOfOverdrawn: Code.FAILED_PRECONDITION,
    refusals.DebitNotFound: Code.NOT_FOUND,
    refusals.ReversalExceedsDebit: Code.FAILED_PRECONDITION,
    refusals.GrantNotActive: Code.FAILED_PRECONDITION,
    refusals.GrantNotRefundable: Code.FAILED_PRECONDITION,
    refusals.RefundExceedsGrant: Code.FAILED_PRECONDITION,
    refusals.RefundExceedsTax: Code.FAILED_PRECONDITION,
    refusals.ExtensionNotLater: Code.FAILED_PRECONDITION,
    refusals.TransferToItself: Code.INVALID_ARGUMENT,
    refusals.GrantNotFound: Code.NOT_FOUND,
    refusals.GrantAlreadyChargedBack: Code.FAILED_PRECONDITION,
    refusals.ChargebackExceedsGrant: Code.FAILED_PRECONDITION,
    refusals.GrantNotPending: Code.FAILED_PRECONDITION,
    refusals.PendingGrantsFull: Code.RESOURCE_EXHAUSTED,
    refusals.TopUpsFull: Code.RESOURCE_EXHAUSTED,
    refusals.TopUpNotOpen: Code.FAILED_PRECONDITION,
    refusals.TopUpNotFound: Code.NOT_FOUND,
    refusals.TopUpAlreadySettled: Code.FAILED_PRECONDITION,
    refusals.BreakageEstimateOutOfRange: Code.INVALID_ARGUMENT,
    refusals.FractionOutOfRange: Code.INVALID_ARGUMENT,
    refusals.ExchangeRateRequired: Code.INVALID_ARGUMENT,
    refusals.FunctionalCurrencyFixed: Code.ALREADY_EXISTS,
    refusals.FunctionalCurrencyRequired: Code.FAILED_PRECONDITION,
    refusals.NotPaidFor: Code.FAILED_PRECONDITION,
    refusals.RefundNotFound: Code.FAILED_PRECONDITION,
    refusals.BreakagePoolExists: Code.ALREADY_EXISTS,
    refusals.BreakagePoolNotFound: Code.NOT_FOUND,
    refusals.BreakagePoolMismatch: Code.FAILED_PRECONDITION,
    refusals.PeriodAlreadyClosed: Code.FAILED_PRECONDITION,
    refusals.PeriodOutOfOrder: Code.FAILED_PRECONDITION,
    refusals.PeriodNotOver: Code.FAILED_PRECONDITION,
    refusals.CurrencyNotInBooks: Code.NOT_FOUND,
    refusals.EntityNotInBooks: Code.NOT_FOUND,
    refusals.JournalUnbalanced: Code.DATA_LOSS,
    refusals.IdempotencyKeyReused: Code.ALREADY_EXISTS,
    refusals.RateCardNotFound: Code.NOT_FOUND,
    refusals.RateCardExists: Code.ALREADY_EXISTS,
    refusals.PhaseOverlaps: Code.FAILED_PRECONDITION,
    refusals.PhaseInPast: Code.FAILED_PRECONDITION,
    refusals.ProposalNotOpen: Code.FAILED_PRECONDITION,
    refusals.RatesAmbiguous: Code.INVALID_ARGUMENT,
    refusals.CardsAmbiguous: Code.INVALID_ARGUMENT,
    refusals.TiersOutOfOrder: Code.INVALID_ARGUMENT,
    refusals.TiersIncomplete: Code.INVALID_ARGUMENT,
    refusals.BoundsOutOfOrder: Code.INVALID_ARGUMENT,
    refusals.PlanNotFound: Code.NOT_FOUND,
    refusals.PolicyByContract: Code.FAILED_PRECONDITION,
    refusals.ContractNotFound: Code.NOT_FOUND,
    refusals.ContractExists: Code.ALREADY_EXISTS,
    refusals.ContractNotInForce: Code.FAILED_PRECONDITION,
    refusals.ContractChanged: Code.ABORTED,
    refusals.PhaseNotFound: Code.NOT_FOUND,
    refusals.PhaseIsLast: Code.FAILED_PRECONDITION,
    refusals.CustomerMismatch: Code.FAILED_PRECONDITION,
    refusals.AssetMismatch: Code.FAILED_PRECONDITION,
    refusals.CurrencyMismatch: Code.INVALID_ARGUMENT,
    refusals.InvoiceExists: Code.ALREADY_EXISTS,
    refusals.InvoiceNotFound: Code.NOT_FOUND,
    refusals.AmountsUnbalanced: Code.INVALID_ARGUMENT,
    refusals.CreditNoteAboveInvoice: Code.FAILED_PRECONDITION,
    service_refusals.BatchTooLarge: Code.INVALID_ARGUMENT,
    service_refusals.GroupMalformed: Code.INVALID_ARGUMENT,
    service_refusals.GroupRefused: Code.FAILED_PRECONDITION,
    service_refusals.PageTokenMalformed: Code.INVALID_ARGUMENT,
    service_refusals.ClockWouldGoBack: Code.FAILED_PRECONDITION,
    service_refusals.DecisionFailed: Code.INTERNAL,
    service_refusals.QueueFull: Code.RESOURCE_EXHAUSTED,
    service_refusals.WatchersFull: Code.RESOURCE_EXHAUSTED,
    service_refusals.NotServing: Code.UNAVAILABLE,
    service_refusals.OutcomeUnknown: Code.UNAVAILABLE,
    service_refusals.Contended: Code.ABORTED,
    service_refusals.ProjectionBehind: Code.UNAVAILABLE,
}
RETRY_AFTER_NANOS: Final[Mapping[type[Refusal], int]] = {
    service_refusals.QueueFull: 100_000_000,
    service_refusals.WatchersFull: 500_000_000,
    service_refusals.NotServing: 500_000_000,
    service_refusals.OutcomeUnknown: 500_000_000,
    service_refusals.Contended: 50_000_000,
    service_refusals.ProjectionBehind: 200_000_000,
}
"""How long a caller had better wait before it tries again."""


def status_of(refusal: Refusal) -> status_pb2.Status:
    """Return the refusal as a rich status."""
    kind = type(refusal)
    status = status_pb2.Status(code=STATUS_OF[kind].value[0], message=refusal.description)
    status.details.add().Pack(
        error_details_pb2.ErrorInfo(reason=kind.reason, domain=ERROR_DOMAIN, metadata=refusal.metadata)
    )
    if refusal.field:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=refusal.field, description=refusal.description, reason=kind.reason
        )
        status.details.add().Pack(error_details_pb2.BadRequest(field_violations=[violation]))
    if isinstance(refusal, refusals.TotalsStale):
        totals = [write_total(total) for total in refusal.totals]
        status.details.add().Pack(meter_totals_pb2.StaleTotals(totals=totals))
    if kind in RETRY_AFTER_NANOS:
        delay = duration_pb2.Duration(nanos=RETRY_AFTER_NANOS[kind])
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return status


def status_of_fault(incident: str) -> status_pb2.Status:
    """Return what a caller is told of an unexpected error: nothing but an incident id."""
    status = status_pb2.Status(
        code=Code.INTERNAL.value[0],
        message=f"internal error; quote incident {incident} to the operator",
    )
    info = error_details_pb2.ErrorInfo(
        reason="INTERNAL", domain=ERROR_DOMAIN, metadata={"incident": incident}
    )
    status.details.add().Pack(info)
    return status
