"""A breakage pool: a cohort of lots, sold to many customers on like terms, whose breakage is estimated together.

What the pool has earned is computed from the log (projections/journal); here is only what was agreed about it.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from ledger_service.domain.commands import CreateBreakagePool, RevisePoolEstimate
from ledger_service.domain.drafts import Draft
from ledger_service.domain.events import BreakagePoolCreated, Event, Fact, PoolEstimateRevised
from ledger_service.domain.finance.estimates import check_estimate, check_fraction
from ledger_service.domain.names import check_currency, check_id, check_text
from ledger_service.domain.refusals import (
    BreakagePoolExists,
    BreakagePoolMismatch,
    BreakagePoolNotFound,
    FieldRequired,
)
from ledger_service.domain.values import DEFAULT_ENTITY, UNITS_MAX, BreakageMethod


class BreakagePool(msgspec.Struct, frozen=True):
    """What was agreed about a pool."""

    created: BreakagePoolCreated
    create_time: datetime


def create_pool(pool: BreakagePool | None, command: CreateBreakagePool, now: datetime) -> list[Draft]:
    """Return the creation. Raises BreakagePoolExists, BreakageEstimateOutOfRange and what its fields raise."""
    check_currency(command.currency_code, field="pool.currency_code")
    if command.entity:
        check_id(command.entity, field="pool.entity")
    check_text(command.term, field="pool.term")
    check_text(command.jurisdiction, field="pool.jurisdiction")
    proportional = command.method is BreakageMethod.PROPORTIONAL
    if proportional and not command.expected_breakage:
        raise FieldRequired("a proportional pool needs an estimate", field="pool.expected_breakage")
    if not proportional and command.expected_breakage:
        raise BreakagePoolMismatch(
            f"a pool by method {command.method.value} has no estimate", field="pool.expected_breakage"
        )
    check_estimate(
        expected_breakage=command.expected_breakage, expected_redeemed_units=0, of_units=0, prefix="pool."
    )
    if command.escheat_fraction:
        check_fraction(command.escheat_fraction, field="pool.escheat_fraction")
    if pool is not None:
        raise BreakagePoolExists(f"{command.pool} was created before", field="pool_id")
    event = BreakagePoolCreated(
        command.currency_code,
        command.method,
        command.entity,
        command.term,
        command.jurisdiction,
        command.expected_breakage,
        command.escheat_fraction,
    )
    return [Draft(command.pool, event, now, answers=True)]


def revise_pool(pool: BreakagePool | None, command: RevisePoolEstimate, now: datetime) -> list[Draft]:
    """Return the revision. Raises BreakagePoolNotFound, BreakagePoolMismatch, BreakageEstimateOutOfRange."""
    if pool is None:
        raise BreakagePoolNotFound(f"{command.pool} does not exist", field="name")
    if pool.created.method is not BreakageMethod.PROPORTIONAL:
        raise BreakagePoolMismatch(f"{command.pool} is not estimated", field="name")
    if not command.expected_breakage and not command.expected_redeemed_units:
        raise FieldRequired("expected_breakage is required", field="expected_breakage")
    check_estimate(
        expected_breakage=command.expected_breakage,
        expected_redeemed_units=command.expected_redeemed_units,
        of_units=UNITS_MAX,
    )
    event = PoolEstimateRevised(command.expected_breakage, command.expected_redeemed_units)
    return [Draft(command.pool, event, now, answers=True)]


def check_member(
    pool: BreakagePool | None,
    name: str,
    *,
    currency_code: str,
    entity: str,
    field: str = "grant.finance.pool",
) -> None:
    """Refuse a lot that the pool cannot take. Raises BreakagePoolNotFound, BreakagePoolMismatch."""
    if pool is None:
        raise BreakagePoolNotFound(f"{name} does not exist", field=field)
    own = pool.created.entity or DEFAULT_ENTITY
    if pool.created.currency_code != currency_code or own != (entity or DEFAULT_ENTITY):
        raise BreakagePoolMismatch(
            f"{name} is in {pool.created.currency_code} for entity {own}",
            field=field,
        )


def evolve_pool(pool: BreakagePool | None, fact: Fact[Event], version: int) -> BreakagePool:  # noqa: ARG001
    """Return the state after an event of the pool's stream."""
    match fact.event:
        case BreakagePoolCreated() as created:
            return BreakagePool(created, fact.effective_time)
        case PoolEstimateRevised():
            assert pool is not None, "a pool's stream begins with its creation"
            return pool
        case _:
            raise AssertionError(f"{type(fact.event).__name__} is not an event of a breakage pool")
