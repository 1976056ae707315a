"""The books of the month: closed once its invoices are issued, and read again after all that was learned later."""

from __future__ import annotations

from typing import Final, NamedTuple

from credits.ledger.v1 import finance_commands_pb2, finance_export_pb2, finance_reports_pb2
from deploy.demo.books import CURRENCY, PAGE, head_position
from deploy.demo.report import AccountFigures, BooksFigures, Check, MovedFigures
from deploy.demo.services import CALL_SECONDS_MAX, Services, instant_of, stamp
from deploy.demo.timeline import Timeline

ENTITY: Final = "accountingPeriods/default"
RECONCILE_SECONDS_MAX: Final = 300


class Closed(NamedTuple):
    """What was closed: the hash of its figures, and the figures."""

    figures_hash: str
    accounts: list[AccountFigures]


def close_months(services: Services, timeline: Timeline) -> Closed:
    """Close the months played, as one period."""
    request = finance_commands_pb2.CloseAccountingPeriodRequest(
        name=ENTITY,
        idempotency_key="demo",
        from_time=stamp(timeline.start),
        to_time=stamp(timeline.end),
    )
    closed = services.finance.CloseAccountingPeriod(request, timeout=CALL_SECONDS_MAX)
    return Closed(closed.period.figures_hash, accounts(services, timeline))


def books_figures(services: Services, timeline: Timeline, closed: Closed) -> BooksFigures:
    """Return the closed months as they stand now, what was posted later instead, and what the books reconcile to."""
    reconciled, differing = reconcile(services)
    return BooksFigures(
        figures_hash=closed.figures_hash,
        accounts=closed.accounts,
        accounts_now=accounts(services, timeline),
        moved=moved(services, timeline),
        reconciled=reconciled,
        differing=differing,
    )


def accounts(services: Services, timeline: Timeline) -> list[AccountFigures]:
    """Return the trial balance of the months played."""
    scope = finance_reports_pb2.ReportScope(
        from_time=stamp(timeline.start), to_time=stamp(timeline.end), currency_code=CURRENCY
    )
    request = finance_reports_pb2.GetTrialBalanceRequest(scope=scope, min_position=head_position(services))
    rows = services.finance.GetTrialBalance(request, timeout=CALL_SECONDS_MAX).rows
    return [
        AccountFigures(row.account, row.debits.nanos, row.credits.nanos, row.closing.nanos) for row in rows
    ]


def moved(services: Services, timeline: Timeline) -> list[MovedFigures]:
    """Return what counts in the months played and is posted after them, by account and reason."""
    request = finance_commands_pb2.ListJournalDaysRequest(
        from_time=stamp(timeline.end),
        to_time=stamp(timeline.next_end),
        currency_code=CURRENCY,
        moved_only=True,
        page_size=PAGE,
        min_position=head_position(services),
    )
    sums: dict[tuple[str, str], int] = {}
    first = timeline.next_end
    for row in services.finance.ListJournalDays(request, timeout=CALL_SECONDS_MAX).rows:
        key = row.account, row.movement
        sums[key] = sums.get(key, 0) + row.amount.nanos
        first = min(first, instant_of(row.posting_time))
    return [
        MovedFigures(account, movement, nanos, first) for (account, movement), nanos in sorted(sums.items())
    ]


def reconcile(services: Services) -> tuple[int, list[str]]:
    """Hold the journal against the log; return how many figures were compared, and what differs."""
    request = finance_export_pb2.ReconcileRequest()
    *_, last = services.finance.Reconcile(request, timeout=RECONCILE_SECONDS_MAX)
    differing = [f"{check.name}: {check.difference}" for check in last.checks if check.differing_count]
    if not last.done:
        differing.append("the reconciliation ended before it was done")
    return sum(check.compared_count for check in last.checks), differing


def check_closed(books: BooksFigures, *, learned_nanos: int) -> Check:
    """Check that no figure of a closed month has moved, and that what was learned later is posted after it."""
    later = sum(max(each.amount_nanos, 0) for each in books.moved)
    right = books.accounts == books.accounts_now != [] and later >= learned_nanos
    return Check(
        "the closed month's figures are what they were; what was learned later is posted after it",
        right and sum(each.amount_nanos for each in books.moved) == 0,
        f"{len(books.accounts)} accounts, {later:,} nanos debited and credited later",
    )


def check_reconciled(books: BooksFigures) -> Check:
    """Check that the books tie to the log, and their parts to each other."""
    detail = "; ".join(books.differing[:5]) or f"{books.reconciled:,} figures compared, none differs"
    return Check("`ledger finance reconcile` ties the books to the log", not books.differing, detail)
