"""Holds the journal against the log it was folded from, and its parts against each other.

One pass over all wallets derives every entry and every lot anew. Then each check compares one thing that is stored with
what was derived, or with another stored thing that must be the same; a row that was changed by something else than the
projector is found by at least one of them. All is of one moment, as recorded; only the comparison with a rebuild, which
is the last, takes its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import psycopg

from ledger_service.application.report_ports import Check, ReconcileProgress
from ledger_service.projections.entry_source import READ_ONLY, EntrySource
from ledger_service.projections.projection import JOURNAL
from ledger_service.projections.rebuild import compare
from ledger_service.projections.reconcile_checks import Derived, check_accounts
from ledger_service.projections.reconcile_lots import LotChecks

PROGRESS_WALLETS: Final = 200


def reconcile(connection: psycopg.Connection[Any], url: str, schema: str) -> Iterator[ReconcileProgress]:
    """Yield how far it is, and the checks last. Raises psycopg.Error."""
    with connection.transaction():
        connection.execute(READ_ONLY)
        source = EntrySource(connection, schema)
        total, done = source.wallet_count(), 0
        derived = Derived()
        lots = LotChecks(connection, schema)
        for booked in source.pools():
            derived.take(booked)
        for each in source.wallets():
            for booked in each.entries:
                derived.take(booked)
                lots.take(booked)
            lots.end_wallet(each.wallet)
            done += 1
            if done % PROGRESS_WALLETS == 0:
                yield ReconcileProgress(done, total, source.position)
        checks = [
            *lots.checks(derived.over_time),
            *check_accounts(connection, schema, derived, source.exchange),
        ]
    yield ReconcileProgress(done, total, source.position)
    checks.append(_check_rebuild(url, schema))
    yield ReconcileProgress(done, total, source.position, done=True, checks=tuple(checks))


def _check_rebuild(url: str, schema: str) -> Check:
    comparison = compare(url, schema=schema, projections=[JOURNAL])[0]
    first = comparison.differences[0] if comparison.differences else None
    text = (
        ""
        if first is None
        else f"{first.table}: stored {first.live or 'nothing'}, rebuilt {first.rebuilt or 'nothing'}"
    )
    return Check("projection = rebuild", comparison.position, comparison.difference_count, text)
