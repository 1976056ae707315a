"""Bills: what the amounts of an issued invoice or credit note move, and on which days.

- Overage was earned when it was used (unbilled receivable); an invoice makes it a receivable. So do adjustments of
  earlier cycles.
- A threshold invoice bills ahead of its cycle's invoice, which lists everything again and credits it: until then what
  it billed is contract liability.
- A prepaid commitment, billed for a span that is not over, is contract liability. Drawing it down pays for overage, and
  what is left at its end is breakage.
- All else is earned evenly by the second over the span that it was billed for (base fees, seats, proration, minimums,
  maximums, shortfalls of commitments): what was earned before the issue is unbilled receivable until then, what is not
  earned yet is contract liability. Without a span it is earned at the issue.
- Credit that a customer was given before, or is given because an invoice comes to less than nothing, is owed to him.
- Tax is owed to the state.

A credit note takes back what it names: of a span the days that have passed are taken off revenue at its issue, and the
days to come off the liability and off what they would have earned; of a prepaid commitment that runs, off the liability
and off what will be left of it at its end. It is paid, credited or set off. One that settles
what an invoice owes (CREDIT_DUE) takes back nothing once more: it says what becomes of what the customer has.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Final, NamedTuple

from ledger_service.domain.events import BilledAmount
from ledger_service.domain.finance.accounts import Account
from ledger_service.domain.finance.journal import Flow, Movement
from ledger_service.domain.finance.postings import BREAKAGE, PLAN
from ledger_service.domain.finance.schedule import earned_by_day
from ledger_service.domain.values import InvoiceKind, NoteSettlement

CLEARING: Final = frozenset({"OVERAGE", "ADJUSTMENT"})
"""Kinds that bill what was earned before as overage."""
CREDIT_DUE: Final = "CREDIT_DUE"
SETTLING: Final = frozenset({"CREDIT_APPLIED", CREDIT_DUE})
THRESHOLD_CREDIT: Final = "THRESHOLD_CREDIT"
COMMITMENT: Final = "COMMITMENT"
DRAW_DOWN: Final = "COMMITMENT_DRAW_DOWN"
COMMITMENT_OVERAGE: Final = "COMMITMENT_OVERAGE"

BILLED_OVERAGE: Final = Flow(Movement.INVOICE, Account.ACCOUNTS_RECEIVABLE, Account.UNBILLED_RECEIVABLE)
BILLED_AHEAD: Final = Flow(Movement.INVOICE, Account.ACCOUNTS_RECEIVABLE, Account.CONTRACT_LIABILITY)
BILLED_SURCHARGE: Final = Flow(Movement.INVOICE, Account.ACCOUNTS_RECEIVABLE, Account.REVENUE_OVERAGE)
BILLED_AT_ONCE: Final = Flow(Movement.INVOICE, Account.ACCOUNTS_RECEIVABLE, Account.REVENUE_PLAN)
BILLED_CREDIT: Final = Flow(Movement.INVOICE, Account.ACCOUNTS_RECEIVABLE, Account.CUSTOMER_CREDIT)
BILLED_TAX: Final = Flow(Movement.TAX, Account.ACCOUNTS_RECEIVABLE, Account.SALES_TAX_PAYABLE)
DRAWN_DOWN: Final = Flow(Movement.DRAW_DOWN, Account.CONTRACT_LIABILITY, Account.ACCOUNTS_RECEIVABLE)
EARNED_UNBILLED: Final = Flow(Movement.PLAN, Account.UNBILLED_RECEIVABLE, Account.REVENUE_PLAN)
ROUNDED: Final = Flow(Movement.ROUNDING, Account.ROUNDING, Account.UNBILLED_RECEIVABLE)
ROUNDED_BILL: Final = Flow(Movement.ROUNDING, Account.ACCOUNTS_RECEIVABLE, Account.ROUNDING)
SETTLED_BY: Final = {
    NoteSettlement.REFUND: Account.REFUND_LIABILITY,
    NoteSettlement.CREDIT: Account.CUSTOMER_CREDIT,
    NoteSettlement.OFFSET: Account.ACCOUNTS_RECEIVABLE,
}


class Moved(NamedTuple):
    """An amount that moves on a day."""

    flow: Flow
    day: date
    nanos: int


def billed(
    amount: BilledAmount, issue_time: datetime, *, kind: InvoiceKind, commitment_end: date | None
) -> Iterator[Moved]:
    """Yield what an amount of an invoice moves. `commitment_end` is that of the prepaid commitment drawn down."""
    issue_day = issue_time.astimezone(UTC).date()
    if kind is InvoiceKind.THRESHOLD or amount.kind == THRESHOLD_CREDIT:
        yield Moved(BILLED_AHEAD, issue_day, amount.nanos)
    elif amount.kind in CLEARING:
        yield Moved(BILLED_OVERAGE, issue_day, amount.nanos)
    elif amount.kind in SETTLING:
        yield Moved(BILLED_CREDIT, issue_day, amount.nanos)
    elif amount.kind == COMMITMENT_OVERAGE:
        yield Moved(BILLED_SURCHARGE, issue_day, amount.nanos)
    elif amount.kind == DRAW_DOWN:
        yield from drawn_down(-amount.nanos, issue_day, commitment_end or issue_day)
    elif (end := prepaid_until(amount, issue_time)) is not None:
        yield Moved(BILLED_AHEAD, issue_day, amount.nanos)
        yield Moved(BREAKAGE, end, amount.nanos)
    else:
        yield from _over_time(amount, issue_day)


def prepaid_until(amount: BilledAmount, issue_time: datetime) -> date | None:
    """Return the day on which a prepaid commitment ends, None for what is none."""
    if amount.kind != COMMITMENT or amount.to_time is None or amount.to_time <= issue_time:
        return None
    return amount.to_time.astimezone(UTC).date()


def credited(amount: BilledAmount, issue_time: datetime, settlement: NoteSettlement) -> Iterator[Moved]:
    """Yield what an amount of a credit note moves."""
    issue_day = issue_time.astimezone(UTC).date()
    owed = SETTLED_BY[settlement]
    if amount.kind == CREDIT_DUE:
        # The invoice that owes it has made it the customer's already; only what becomes of it is new.
        if owed is not Account.CUSTOMER_CREDIT:
            yield Moved(Flow(Movement.CREDIT_NOTE, Account.CUSTOMER_CREDIT, owed), issue_day, amount.nanos)
        return
    if amount.from_time is None or amount.to_time is None or amount.kind in CLEARING | SETTLING:
        earned = Account.REVENUE_OVERAGE if amount.kind in CLEARING else Account.REVENUE_PLAN
        yield Moved(Flow(Movement.CREDIT_NOTE, earned, owed), issue_day, amount.nanos)
        return
    if (end := prepaid_until(amount, issue_time)) is not None:
        yield Moved(Flow(Movement.CREDIT_NOTE, Account.CONTRACT_LIABILITY, owed), issue_day, amount.nanos)
        yield Moved(BREAKAGE, end, -amount.nanos)
        return
    passed = 0
    for day, nanos in earned_by_day(amount.nanos, amount.from_time, amount.to_time):
        if day < issue_day:
            passed += nanos
        else:
            yield Moved(PLAN, day, -nanos)
    yield Moved(Flow(Movement.CREDIT_NOTE, Account.REVENUE_PLAN, owed), issue_day, passed)
    to_come = amount.nanos - passed
    yield Moved(Flow(Movement.CREDIT_NOTE, Account.CONTRACT_LIABILITY, owed), issue_day, to_come)


def credited_tax(settlement: NoteSettlement) -> Flow:
    """Return how a credit note takes tax back."""
    return Flow(Movement.TAX, Account.SALES_TAX_PAYABLE, SETTLED_BY[settlement])


def drawn_down(nanos: int, issue_day: date, end: date) -> Iterator[Moved]:
    """Yield what overage that a prepaid commitment pays for moves."""
    yield Moved(DRAWN_DOWN, issue_day, nanos)
    # What is drawn down is not left at the end.
    yield Moved(BREAKAGE, max(end, issue_day), -nanos)


def _over_time(amount: BilledAmount, issue_day: date) -> Iterator[Moved]:
    if amount.from_time is None or amount.to_time is None or amount.from_time >= amount.to_time:
        yield Moved(BILLED_AT_ONCE, issue_day, amount.nanos)
        return
    before = 0
    for day, nanos in earned_by_day(amount.nanos, amount.from_time, amount.to_time):
        if day < issue_day:
            before += nanos
            yield Moved(EARNED_UNBILLED, day, nanos)
        else:
            yield Moved(PLAN, day, nanos)
    yield Moved(BILLED_OVERAGE, issue_day, before)
    yield Moved(BILLED_AHEAD, issue_day, amount.nanos - before)
