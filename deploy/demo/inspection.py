"""After the month: the books are read, checked from outside, and reported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from deploy.demo import checks
from deploy.demo.books import Books, credit_figures, head_position, open_books, projections, statement, verify
from deploy.demo.closing import books_figures, check_closed, check_reconciled, close_months
from deploy.demo.corrections import Corrected, correct, overage_units, verify_documents
from deploy.demo.customers import STATEMENT_OF, Customer
from deploy.demo.invoices import Invoice, invoice_figures
from deploy.demo.offer import PriceList, plan_terms
from deploy.demo.reckoning import Reckoning, grown_nanos, grown_units, restored
from deploy.demo.replay import Replay
from deploy.demo.report import (
    BooksFigures,
    Check,
    CorrectionFigures,
    PhaseFigures,
    Report,
    StatementFigures,
    UsageFigures,
    VerificationFigures,
)
from deploy.demo.scene import Source, World


class Played(NamedTuple):
    """What was played, for the inspection."""

    customers: Sequence[Customer]
    replay: Replay
    priced: Reckoning
    phases: list[PhaseFigures]
    invoices: list[Invoice]
    lag_events: int
    first_prices: PriceList
    cut_prices: PriceList


class Inspected(NamedTuple):
    """What the inspection found."""

    books: Books
    statement: list[StatementFigures]
    correction: CorrectionFigures
    closed: BooksFigures
    verification: VerificationFigures
    results: list[Check]


def inspect(source: Source, world: World, played: Played) -> Report:
    """Look at the books from outside, check them, put the past right, and report."""
    with world.stages.stage("books checked, month closed", total=4) as advance:
        books = open_books(world.services, played.customers, source.timeline)
        advance(1)
        lines = statement(world.services, f"wallets/{STATEMENT_OF}")
        advance(1)
        results = check_all(source, world, played, books)
        advance(1)
        closed = close_months(world.services, source.timeline)
    corrected = correct(source, world, played.customers, played.invoices)
    correction = correction_figures(source, played, corrected)
    results += check_correction(world, corrected, correction)
    with world.stages.stage("books reconciled", total=1):
        closing = books_figures(world.services, source.timeline, closed)
    results += [check_closed(closing, learned_nanos=correction.overage_nanos), check_reconciled(closing)]
    position = head_position(world.services)
    verification = verified(world, position)
    results.append(checks.check_verification(verification, position))
    return report(source, world, played, Inspected(books, lines, correction, closing, verification, results))


def check_all(source: Source, world: World, played: Played, books: Books) -> list[Check]:
    """Return what the checks found, all but the verification of the log."""
    outcome = played.replay.outcome
    return [
        checks.check_all_sent(source, outcome),
        checks.check_charges(played.phases, outcome),
        checks.check_floors(played.priced, books),
        checks.check_retries(outcome),
        checks.check_hard_cap(source, played.replay, played.customers),
        checks.check_invoices(played.invoices, outcome),
        checks.check_same_bytes(world.services, played.invoices[0]),
        checks.check_conservation(books),
        checks.check_deferred(books),
        checks.check_replays(books),
    ]


def check_correction(world: World, corrected: Corrected, correction: CorrectionFigures) -> list[Check]:
    """Return what the checks of the corrections found, every invoice computed again."""
    with world.stages.stage("invoices verified", total=corrected.documents) as advance:
        found = verify_documents(world.services)
        advance(found.documents)
    return [
        checks.check_untouched(corrected.prior, corrected.steps),
        checks.check_adjustments(correction),
        checks.check_documents(found.documents, found.findings, expected=corrected.documents),
    ]


def correction_figures(source: Source, played: Played, corrected: Corrected) -> CorrectionFigures:
    """Return what was learned about the prior invoice, with its amounts reckoned independently.

    The month's own credit is gone: what the retroactive change adds is drawn from the next month's included
    credit, as far as that goes, and late usage is overage.
    """
    key, prior, terms = corrected.customer.key, corrected.prior, plan_terms(corrected.customer.plan)
    price_again = partial(
        restored, first=played.first_prices, cut=played.cut_prices, timeline=source.timeline
    )
    billed = played.priced.pico_by_customer[key]
    again = price_again(played.replay.outcome.recorded)[key]
    repriced = grown_units(before=billed, after=again)
    late = grown_units(before=again, after=again + price_again(corrected.late)[key])
    overage = max(0, repriced - terms.included_units) + late
    return CorrectionFigures(
        invoice=prior.name,
        customer=prior.customer,
        steps=corrected.steps,
        next_invoice=invoice_figures(corrected.next),
        repriced_units=repriced,
        late_units=late,
        overage_units=overage,
        overage_nanos=grown_nanos(overage_units(prior), overage, price=terms.overage_price),
    )


def verified(world: World, position: int) -> VerificationFigures:
    """Verify the whole log, with progress."""
    with world.stages.stage("history verified", total=position) as advance:
        done = 0

        def on_progress(checked: int) -> None:
            nonlocal done
            advance(checked - done)
            done = checked

        return verify(world.services, on_progress=on_progress)


def report(source: Source, world: World, played: Played, found: Inspected) -> Report:
    """Return all that was found."""
    return Report(
        passed=all(check.passed for check in found.results),
        from_time=source.timeline.start,
        to_time=source.timeline.end,
        price_cut_time=source.timeline.cut_time,
        usage=usage_figures(source, played),
        customers_by_plan=dict(Counter(each.plan.value for each in played.customers)),
        invoices=[invoice_figures(each) for each in played.invoices],
        credit=credit_figures(found.books),
        statement_wallet=f"wallets/{STATEMENT_OF}",
        statement=found.statement,
        roll_forward=found.books.roll_forward,
        correction=found.correction,
        books=found.closed,
        verification=found.verification,
        projections=projections(world.services),
        lag_events_after_usage=played.lag_events,
        checks=found.results,
        stages=world.stages.figures,
        usages_per_second=usages_per_second(source, world),
    )


def usage_figures(source: Source, played: Played) -> UsageFigures:
    """Return what became of the usages."""
    outcome = played.replay.outcome
    return UsageFigures(
        source=source.name,
        seed=source.seed,
        sent=len(source.usages),
        recorded=len(outcome.recorded),
        refused_when_short=len(outcome.refused),
        recognised_when_sent_again=outcome.recognised,
        phases=played.phases,
        debited_units=sum(outcome.debited_units.values()),
        overage_units=sum(outcome.overage_units.values()),
    )


def usages_per_second(source: Source, world: World) -> int:
    """Return how many usages a second were replayed, milestones included."""
    milliseconds = next(each.milliseconds for each in world.stages.figures if each.name == "usage replayed")
    return len(source.usages) * 1000 // max(1, milliseconds)
