"""The report as a person reads it. Amounts are formatted from integers; nothing is computed but sums."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rich.console import Console

from deploy.demo.layout import (
    credits,  # noqa: A004, the word for the amount
    credits_of_text,
    day,
    instant,
    money,
    new_table,
    seconds,
    signed_credits,
    title,
)
from deploy.demo.report import (
    BooksFigures,
    CorrectionFigures,
    InvoiceFigures,
    LineFigures,
    Report,
    RollForwardFigures,
    StatementFigures,
)

HASH_DIGITS: Final = 12
"""Digits of a hash that are shown where two stand side by side."""
LAST_DEBITS: Final = 6
"""Debits of the statement that are shown: the last ones, beside every other line."""


def print_report(report: Report, console: Console) -> None:
    """Print all of it."""
    print_usage(report, console)
    for invoice in longest_of_each_plan(report.invoices):
        print_invoice(invoice, console)
    total = sum(each.total_nanos for each in report.invoices)
    console.print(f"All {len(report.invoices)} invoices: {money(total, report.roll_forward.currency_code)}\n")
    print_credit(report, console)
    print_statement(report, console)
    print_roll_forward(report.roll_forward, console)
    print_correction(report.correction, console)
    print_books(report, report.books, console)
    print_verification(report, console)
    print_checks(report, console)


def print_usage(report: Report, console: Console) -> None:
    """Print what was sent and what it cost, phase by phase, computed in two ways."""
    usage = report.usage
    title(console, f"Usage from {usage.source}, {day(report.from_time)} to {day(report.to_time)}")
    table = new_table(
        "rate card phase", ">usages", ">input", ">cached", ">output", ">tokens x prices", ">charges"
    )
    for phase in usage.phases:
        table.add_row(
            phase.phase,
            f"{phase.usages:,}",
            f"{phase.input_tokens:,}",
            f"{phase.cached_input_tokens:,}",
            f"{phase.output_tokens:,}",
            credits_of_text(phase.reckoned_units),
            credits_of_text(phase.charged_units),
        )
    console.print(table)
    console.print(
        f"{usage.sent:,} sent, {usage.recorded:,} recorded, {usage.refused_when_short:,} refused at the hard cap; "
        f"{credits(usage.debited_units)} credits debited, {credits(usage.overage_units)} of them overage.\n"
        f"The price cut applies from {instant(report.price_cut_time)}.\n"
    )


def print_invoice(invoice: InvoiceFigures, console: Console) -> None:
    """Print an invoice."""
    title(console, f"{invoice.name} · {invoice.customer} on {invoice.plan}")
    table = new_table("line", ">credits", ">price", ">debits", ">amount")
    for line in invoice.lines:
        table.add_row(
            what(line),
            credits(line.amount_units) if line.kind != "BASE_FEE" else "",
            line.unit_price,
            f"{line.debit_count:,}" if line.debit_count else "",
            money(line.amount_nanos, invoice.currency_code),
        )
    table.add_section()
    table.add_row("[bold]Total", "", "", "", f"[bold]{money(invoice.total_nanos, invoice.currency_code)}")
    console.print(table)
    console.print(
        f"Included: {credits(invoice.included_used_units)} used of {credits(invoice.included_units)}. "
        f"SHA-256 {invoice.hash}\n"
    )


def print_credit(report: Report, console: Console) -> None:
    """Print what became of all credit; the promotion and the short-lived pack show as expired."""
    title(console, "Credit of all wallets")
    table = new_table("category", ">grants", ">granted", ">drawn", ">expired", ">left")
    for row in report.credit:
        table.add_row(
            row.category.lower(),
            f"{row.grants:,}",
            *map(credits, (row.granted_units, row.drawn_units, row.expired_units, row.left_units)),
        )
    console.print(table)
    console.print()


def print_statement(report: Report, console: Console) -> None:
    """Print a statement: its last debits, and every line that is not a debit."""
    title(console, f"Statement of {report.statement_wallet}")
    table = new_table("#", "effective", "what", ">change", ">posted", ">overage")
    debits = [line.version for line in report.statement if line.is_debit]
    first_shown = debits[-LAST_DEBITS] if len(debits) > LAST_DEBITS else 0
    for group in grouped(report.statement, first_shown):
        if isinstance(group, int):
            table.add_row("", "", f"[dim]… {group:,} debits …", "", "", "")
        else:
            table.add_row(
                str(group.version),
                instant(group.effective_time),
                group.description,
                signed_credits(group.change_units),
                credits(group.posted_units),
                credits(group.overage_units) if group.overage_units else "",
            )
    console.print(table)


def grouped(lines: Iterable[StatementFigures], first_shown: int) -> Iterable[StatementFigures | int]:
    """Yield the lines to show, and in place of a run of debits before `first_shown` their number."""
    hidden = 0
    for line in lines:
        if line.is_debit and line.version < first_shown:
            hidden += 1
            continue
        if hidden:
            yield hidden
            hidden = 0
        yield line
    if hidden:
        yield hidden


def print_roll_forward(row: RollForwardFigures, console: Console) -> None:
    """Print how contract liability moved."""
    console.print()
    title(console, f"Deferred revenue, {day(row.from_time)} to {day(row.to_time)}")
    table = new_table("contract liability", ">amount")
    table.add_row("opening", money(row.opening_nanos, row.currency_code))
    table.add_row("+ billings (packs sold)", money(row.billings_nanos, row.currency_code))
    table.add_row("- recognised usage", money(row.recognised_usage_nanos, row.currency_code))
    table.add_row(
        "- recognised breakage (expired unused)", money(row.recognised_breakage_nanos, row.currency_code)
    )
    table.add_section()
    table.add_row("[bold]closing", f"[bold]{money(row.closing_nanos, row.currency_code)}")
    console.print(table)


def print_books(report: Report, books: BooksFigures, console: Console) -> None:
    """Print the trial balance of the closed months, and what was posted after them because it came too late."""
    console.print()
    currency = report.roll_forward.currency_code
    title(console, f"The books, {day(report.from_time)} to {day(report.to_time)}, closed before any of that")
    table = new_table("account", ">debits", ">credits", ">closing", ">now")
    for then, now in zip(books.accounts, books.accounts_now, strict=True):
        figures = (then.debits_nanos, then.credits_nanos, then.closing_nanos)
        same = "[green]the same[/]" if then == now else "[red]not the same[/]"
        table.add_row(then.account, *(money(nanos, currency) for nanos in figures), same)
    console.print(table)
    console.print(f"Figures by SHA-256 {books.figures_hash}\n")
    title(console, "Learned later, so posted to the first open day")
    table = new_table("posted", "why", "account", ">amount")
    for each in books.moved:
        table.add_row(
            day(each.posting_time), each.movement.lower(), each.account, money(each.amount_nanos, currency)
        )
    console.print(table)


def print_correction(correction: CorrectionFigures, console: Console) -> None:
    """Print what happened after an invoice was issued, its hash before and after, and the next invoice."""
    console.print()
    title(console, f"What happened after {correction.invoice} was issued to {correction.customer}")
    table = new_table("step", "what it did", "SHA-256 before", "and after", "bytes")
    for step in correction.steps:
        same = step.same_bytes and step.hash_before == step.hash_after
        table.add_row(
            step.name,
            step.detail,
            f"{step.hash_before[:HASH_DIGITS]}…",
            f"{step.hash_after[:HASH_DIGITS]}…",
            "[green]the same[/]" if same else "[red]not the same[/]",
        )
    console.print(table)
    console.print(
        "Reckoned, rate(all) - rate(billed): "
        f"{credits(correction.repriced_units)} credits by the retroactive change + "
        f"{credits(correction.late_units)} late, {credits(correction.overage_units)} of them overage for "
        f"{money(correction.overage_nanos, correction.next_invoice.currency_code)}. The next invoice says so:\n"
    )
    print_invoice(correction.next_invoice, console)


def print_verification(report: Report, console: Console) -> None:
    """Print the result of the full replay check and how far the projections are."""
    found = report.verification
    console.print()
    title(console, "Full replay check")
    result = "[green]no finding[/]" if not found.findings else f"[red]{len(found.findings)} findings[/]"
    console.print(
        f"{found.events:,} events in {found.streams:,} streams checked, rebuilt and compared "
        f"({', '.join(found.projections)}): {result}"
    )
    for finding in found.findings:
        console.print(f"  [red]{finding}[/]")
    lags = ", ".join(f"{each.name} {each.lag_events}" for each in report.projections)
    console.print(
        f"Projection lag in events: {lags} (right after the last usage {report.lag_events_after_usage:,})\n"
    )


def print_checks(report: Report, console: Console) -> None:
    """Print each check, and how long everything took."""
    title(console, "Checks")
    table = new_table("", "check", "detail")
    for check in report.checks:
        table.add_row("[green]✓" if check.passed else "[red]✗", check.name, check.detail)
    console.print(table)
    for stage in report.stages:
        console.print(f"[dim]{seconds(stage.milliseconds):>8} s  {stage.name}[/]")
    console.print(
        f"[dim]{seconds(sum(each.milliseconds for each in report.stages)):>8} s  in all; "
        f"{report.usages_per_second:,} usages/s, everything that happened meanwhile included[/]"
    )
    console.print(
        "[bold green]All checks passed.[/]" if report.passed else "[bold red]Not all checks passed.[/]"
    )


def what(line: LineFigures) -> str:
    """Return a line's description, with its quantities below it."""
    quantities = ", ".join(f"{quantity:,} {name}" for name, quantity in line.quantities.items())
    return f"{line.description}\n[dim]{quantities}[/]" if quantities else line.description


def longest_of_each_plan(invoices: Iterable[InvoiceFigures]) -> list[InvoiceFigures]:
    """Return, for each plan, the invoice with the most lines, the first of equals."""
    longest: dict[str, InvoiceFigures] = {}
    for invoice in invoices:
        if invoice.plan not in longest or len(invoice.lines) > len(longest[invoice.plan].lines):
            longest[invoice.plan] = invoice
    return list(longest.values())
