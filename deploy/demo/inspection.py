"""After the month: the books are read, checked from outside, and reported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from deploy.demo import checks
from deploy.demo.books import Books, credit_figures, head_position, open_books, projections, statement, verify
from deploy.demo.customers import STATEMENT_OF, Customer
from deploy.demo.invoices import Invoice, invoice_figures
from deploy.demo.reckoning import Reckoning
from deploy.demo.replay import Replay
from deploy.demo.report import Check, PhaseFigures, Report, UsageFigures, VerificationFigures
from deploy.demo.scene import Source, World


class Played(NamedTuple):
    """What was played, for the inspection."""

    customers: Sequence[Customer]
    replay: Replay
    priced: Reckoning
    phases: list[PhaseFigures]
    invoices: list[Invoice]
    lag_events: int


def inspect(source: Source, world: World, played: Played) -> Report:
    """Look at the books from outside, check them, and report."""
    with world.stages.stage("books checked", total=2) as advance:
        books = open_books(world.services, played.customers, source.timeline)
        advance(1)
        results = check_all(source, world, played, books)
    verification = verified(world)
    results.append(checks.check_verification(verification, books))
    return report(source, world, played, books, verification, results)


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


def verified(world: World) -> VerificationFigures:
    """Verify the whole log, with progress."""
    with world.stages.stage("history verified", total=head_position(world.services)) as advance:
        done = 0

        def on_progress(checked: int) -> None:
            nonlocal done
            advance(checked - done)
            done = checked

        return verify(world.services, on_progress=on_progress)


def report(
    source: Source,
    world: World,
    played: Played,
    books: Books,
    verification: VerificationFigures,
    results: list[Check],
) -> Report:
    """Return all that was found."""
    wallet = f"wallets/{STATEMENT_OF}"
    return Report(
        passed=all(check.passed for check in results),
        from_time=source.timeline.start,
        to_time=source.timeline.end,
        price_cut_time=source.timeline.cut_time,
        usage=usage_figures(source, played),
        customers_by_plan=dict(Counter(each.plan.value for each in played.customers)),
        invoices=[invoice_figures(each) for each in played.invoices],
        credit=credit_figures(books),
        statement_wallet=wallet,
        statement=statement(world.services, wallet),
        roll_forward=books.roll_forward,
        verification=verification,
        projections=projections(world.services),
        lag_events_after_usage=played.lag_events,
        checks=results,
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
