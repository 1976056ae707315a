"""The books as the services show them: balances, grants, statements, contract liability and the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from credits.ledger.v1 import finance_service_pb2, history_service_pb2, wallet_pb2, wallet_service_pb2
from deploy.demo.customers import Customer
from deploy.demo.report import (
    CategoryFigures,
    ProjectionFigures,
    RollForwardFigures,
    StatementFigures,
    VerificationFigures,
)
from deploy.demo.services import CALL_SECONDS_MAX, Services, instant_of, stamp
from deploy.demo.timeline import Timeline

PAGE: Final = 1_000
DEBITED_TOPIC: Final = "wallet.CreditsDebited.v1"
CURRENCY: Final = "USD"
VERIFICATION_SECONDS_MAX: Final = 300


class Books(NamedTuple):
    """The books at one position of the log; by the key of the customer where there is one for each."""

    position: int
    roll_forward: RollForwardFigures
    balances: dict[str, wallet_pb2.Balance]
    replayed: dict[str, wallet_pb2.Balance]
    """The balances that come out when each wallet's events are folded anew."""
    grants: dict[str, Sequence[wallet_pb2.Grant]]


def open_books(services: Services, customers: Sequence[Customer], timeline: Timeline) -> Books:
    """Return the books as they are now, once every projection has come so far."""
    position = head_position(services)
    return Books(
        position=position,
        roll_forward=roll_forward(services, timeline, min_position=position),
        balances={each.key: balance(services, each) for each in customers},
        replayed={each.key: replayed_balance(services, each) for each in customers},
        grants={each.key: grants(services, each, min_position=position) for each in customers},
    )


def balance(services: Services, customer: Customer) -> wallet_pb2.Balance:
    """Return a customer's balance."""
    request = wallet_service_pb2.GetBalanceRequest(name=customer.wallet)
    return services.wallets.GetBalance(request, timeout=CALL_SECONDS_MAX).balance


def replayed_balance(services: Services, customer: Customer) -> wallet_pb2.Balance:
    """Return the balance to which a customer's events fold."""
    request = history_service_pb2.ReplayWalletRequest(name=customer.wallet)
    return services.history.ReplayWallet(request, timeout=CALL_SECONDS_MAX).balance


def grants(services: Services, customer: Customer, *, min_position: int) -> Sequence[wallet_pb2.Grant]:
    """Return the grants of a customer, of which no one here has more than a page."""
    request = wallet_service_pb2.ListGrantsRequest(
        name=customer.wallet, page_size=PAGE, min_position=min_position
    )
    return services.wallets.ListGrants(request, timeout=CALL_SECONDS_MAX).grants


def credit_figures(books: Books) -> list[CategoryFigures]:
    """Return what became of the credit, category by category."""
    found: dict[wallet_pb2.GrantCategory.ValueType, list[wallet_pb2.Grant]] = {}
    for grant in (grant for each in books.grants.values() for grant in each):
        found.setdefault(grant.category, []).append(grant)
    return [
        CategoryFigures(
            category=wallet_pb2.GrantCategory.Name(category).removeprefix("GRANT_CATEGORY_"),
            grants=len(group),
            granted_units=sum(grant.amount_units for grant in group),
            drawn_units=sum(grant.drawn_units for grant in group),
            expired_units=sum(grant.expired_units for grant in group),
            left_units=sum(grant.remaining_units for grant in group),
        )
        for category, group in sorted(found.items())
    ]


def roll_forward(services: Services, timeline: Timeline, *, min_position: int) -> RollForwardFigures:
    """Return contract liability over the months played."""
    request = finance_service_pb2.GetRollForwardRequest(
        from_time=stamp(timeline.start),
        to_time=stamp(timeline.end),
        currency_code=CURRENCY,
        min_position=min_position,
    )
    row = services.finance.GetRollForward(request, timeout=CALL_SECONDS_MAX).total
    return RollForwardFigures(
        from_time=instant_of(row.from_time),
        to_time=instant_of(row.to_time),
        currency_code=CURRENCY,
        opening_nanos=row.opening.nanos,
        billings_nanos=row.billings.nanos,
        recognised_usage_nanos=row.recognised_usage.nanos,
        recognised_breakage_nanos=row.recognised_breakage.nanos,
        closing_nanos=row.closing.nanos,
    )


def statement(services: Services, wallet: str) -> list[StatementFigures]:
    """Return every line of a wallet's statement."""
    return [
        StatementFigures(
            version=line.version,
            effective_time=instant_of(line.effective_time),
            description=line.description,
            change_units=line.change_units,
            posted_units=line.posted_units,
            overage_units=line.overage_units,
            is_debit=line.topic == DEBITED_TOPIC,
        )
        for line in statement_lines(services, wallet)
    ]


def statement_lines(services: Services, wallet: str) -> Iterator[wallet_pb2.StatementLine]:
    """Yield the lines of a statement, page by page."""
    token = ""
    while True:
        request = wallet_service_pb2.ListStatementLinesRequest(name=wallet, page_size=PAGE, page_token=token)
        page = services.wallets.ListStatementLines(request, timeout=CALL_SECONDS_MAX)
        yield from page.lines
        token = page.next_page_token
        if not token:
            return


def verify(services: Services, *, on_progress: Callable[[int], None]) -> VerificationFigures:
    """Check the whole log and every projection; report how many events are checked."""
    findings: list[str] = []
    last = history_service_pb2.VerifyHistoryResponse()
    request = history_service_pb2.VerifyHistoryRequest()
    for last in services.history.VerifyHistory(request, timeout=VERIFICATION_SECONDS_MAX):
        findings += [f"{each.check} {each.subject}: {each.description}" for each in last.findings]
        on_progress(last.checked_events)
    if not last.done:
        findings.append("the verification ended before it was done")
    return VerificationFigures(
        events=last.checked_events,
        streams=last.stream_count,
        projections=list(last.projections),
        findings=findings,
    )


def projections(services: Services) -> list[ProjectionFigures]:
    """Return how far each projection has come."""
    request = history_service_pb2.ListProjectionsRequest()
    found = services.history.ListProjections(request, timeout=CALL_SECONDS_MAX).projections
    return [ProjectionFigures(each.name, each.position, each.lag_events) for each in found]


def head_position(services: Services) -> int:
    """Return the position of the newest event."""
    request = history_service_pb2.ReadEventsRequest(page_size=1)
    return services.history.ReadEvents(request, timeout=CALL_SECONDS_MAX).head_position
