"""The methods of InvoiceService that change plans, on the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration

from credits.rating.v1 import invoice_service_pb2_grpc, plan_change_pb2
from rating_service.application.changing_plans.migrate_contracts import (
    Migrated,
    Migration,
    MigrationRequest,
    MigrationState,
)
from rating_service.application.changing_plans.plan_change_ports import Timing
from rating_service.application.changing_plans.plan_changes import PlanChangeRequest, PlanChanging
from rating_service.application.names import check_idempotency_key
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.domain.invoicing.plan_change import PlanChangeFigures, PlanChangeLine
from rating_service.rpc.messages import money, read_instant, write_instant

TIMING: Final = {
    plan_change_pb2.PLAN_CHANGE_TIMING_AT_ONCE: Timing.AT_ONCE,
    plan_change_pb2.PLAN_CHANGE_TIMING_AT_CYCLE_END: Timing.AT_CYCLE_END,
}
STATES: Final = {
    MigrationState.PREVIEWED: plan_change_pb2.MIGRATION_STATE_PREVIEWED,
    MigrationState.CHANGED: plan_change_pb2.MIGRATION_STATE_CHANGED,
    MigrationState.UNCHANGED: plan_change_pb2.MIGRATION_STATE_UNCHANGED,
    MigrationState.REFUSED: plan_change_pb2.MIGRATION_STATE_REFUSED,
}


class PlanChangeServicer(invoice_service_pb2_grpc.InvoiceServiceServicer):
    """Changes plans, of one contract or of many."""

    _changing: PlanChanging
    _migration: Migration

    async def PreviewPlanChange(
        self, request: plan_change_pb2.PreviewPlanChangeRequest, context: Any = None
    ) -> plan_change_pb2.PreviewPlanChangeResponse:
        """Show what a change of plan would come to."""
        previewed = await self._changing.preview(
            PlanChangeRequest(
                contract=request.contract,
                plan=request.plan,
                plan_version=request.plan_version,
                timing=_read_timing(request.timing),
                from_time=_optional_instant(request),
                valid_for=_read_duration(request.valid_for) if request.HasField("valid_for") else None,
                take_trial=request.take_trial,
            )
        )
        return plan_change_pb2.PreviewPlanChangeResponse(
            change=plan_change(previewed.figures), token=previewed.token
        )

    async def CommitPlanChange(
        self, request: plan_change_pb2.CommitPlanChangeRequest, context: Any = None
    ) -> plan_change_pb2.CommitPlanChangeResponse:
        """Change the plan as it was shown."""
        check_idempotency_key(request.idempotency_key)
        done = await self._changing.commit(request.token, key=request.idempotency_key)
        return plan_change_pb2.CommitPlanChangeResponse(
            change=plan_change(done.figures), replayed=done.replayed, position=done.position
        )

    async def MigrateContracts(
        self, request: plan_change_pb2.MigrateContractsRequest, context: Any = None
    ) -> AsyncIterator[plan_change_pb2.MigrateContractsResponse]:
        """Change the plan of many contracts and tell of each."""
        migration = MigrationRequest(
            migration_id=request.migration_id,
            from_plan=request.from_plan,
            from_plan_version=request.from_plan_version,
            plan=request.plan,
            plan_version=request.plan_version,
            timing=_read_timing(request.timing),
            from_time=_optional_instant(request),
            take_trial=request.take_trial,
            validate_only=request.validate_only,
        )
        async for migrated in self._migration.run(migration):
            yield _migrated(migrated)


def plan_change(figures: PlanChangeFigures) -> plan_change_pb2.PlanChange:
    """Return what a change of plan comes to."""
    message = plan_change_pb2.PlanChange(
        contract=figures.contract,
        previous_plan=figures.previous_plan,
        previous_plan_version=figures.previous_plan_version,
        plan=figures.plan,
        plan_version=figures.plan_version,
        lines=map(_line, figures.lines),
        amount=money(figures.amount),
        previous_cycle_fees=money(figures.previous_cycle_fees),
        cycle_fees=money(figures.cycle_fees),
        previous_included_units=figures.previous_included_units,
        included_units=figures.included_units,
        previous_cycle_included_units=figures.previous_cycle_included_units,
        cycle_included_units=figures.cycle_included_units,
    )
    write_instant(message.from_time, figures.from_time)
    write_instant(message.cycle_start_time, figures.cycle.start_time)
    write_instant(message.cycle_end_time, figures.cycle.end_time)
    return message


def _line(line: PlanChangeLine) -> plan_change_pb2.PlanChangeLine:
    prorated = line.key.prorated_kind
    message = plan_change_pb2.PlanChangeLine(
        kind=line.key.kind.value,
        prorated_kind=prorated.value if prorated else "",
        contract_phase=line.key.contract_phase,
        amount=money(line.amount),
        exact_nanos=line.exact_nanos,
    )
    write_instant(message.from_time, line.from_time)
    write_instant(message.to_time, line.to_time)
    return message


def _migrated(migrated: Migrated) -> plan_change_pb2.MigrateContractsResponse:
    return plan_change_pb2.MigrateContractsResponse(
        contracts_count=migrated.contracts_count,
        contracts_done=migrated.contracts_done,
        contract=migrated.contract,
        state=STATES[migrated.state],
        change=plan_change(migrated.figures) if migrated.figures else None,
        reason=migrated.reason,
        message=migrated.message,
    )


def _read_timing(number: int) -> Timing:
    for value, timing in TIMING.items():
        if value == number:
            return timing
    raise RequestRefused(
        RequestReason.FIELD_REQUIRED, "timing must be AT_ONCE or AT_CYCLE_END", field="timing"
    )


def _optional_instant(
    request: plan_change_pb2.PreviewPlanChangeRequest | plan_change_pb2.MigrateContractsRequest,
) -> datetime | None:
    return read_instant(request.from_time, field="from_time") if request.HasField("from_time") else None


def _read_duration(duration: Duration) -> timedelta:
    try:
        return duration.ToTimedelta()
    except (OverflowError, ValueError):
        raise RequestRefused(
            RequestReason.NUMBER_OUT_OF_RANGE, "valid_for is no duration", field="valid_for"
        ) from None
