"""What is checked about a played month. Each check compares what two independent ways give."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from credits.ledger.v1 import money_pb2, wallet_pb2
from deploy.demo.books import Books
from deploy.demo.customers import MODELS, Customer, PlanName
from deploy.demo.invoices import Invoice, issue
from deploy.demo.reckoning import PICO_PER_UNIT, Reckoning, sum_text
from deploy.demo.replay import Outcome, Replay
from deploy.demo.report import Check, CorrectionFigures, PhaseFigures, StepFigures, VerificationFigures
from deploy.demo.scene import Source
from deploy.demo.services import Services, instant_of
from deploy.demo.timeline import GRACE
from deploy.demo.traffic import Usage

TOO_MANY_TOKENS: Final = 1_000_000
"""In one request: costs more than a Sandbox customer's whole month."""


def check_all_sent(source: Source, outcome: Outcome) -> Check:
    """Check that each usage was recorded or refused, and that none that was served is refused."""
    recorded, refused = len(outcome.recorded), len(outcome.refused)
    return Check(
        "each usage is recorded once" + ("" if source.served else ", or refused for lack of credit"),
        recorded + refused == len(source.usages) and not (source.served and refused),
        f"{len(source.usages):,} sent, {recorded:,} recorded, {refused:,} refused",
    )


def check_charges(figures: Sequence[PhaseFigures], outcome: Outcome) -> Check:
    """Check that both computations agree to the last digit, and that no charge is of another phase."""
    agree = all(each.reckoned_units == each.charged_units for each in figures)
    counted = all(each.usages == outcome.count_by_phase[each.phase] for each in figures)
    only = outcome.count_by_phase.keys() <= {each.phase for each in figures}
    total = sum_text(each.charged_units for each in figures)
    return Check(
        "charges equal tokens x prices, exactly",
        agree and counted and only,
        f"{Decimal(total):,f} units over {len(outcome.recorded):,} usages, computed twice",
    )


def check_floors(reckoning: Reckoning, books: Books) -> Check:
    """Check that each wallet was debited the whole units of its exact sum, no more and no less."""
    debited = {key: balance.debited_units for key, balance in books.balances.items()}
    wrong = [
        key for key, units in debited.items() if units != reckoning.pico_by_customer[key] // PICO_PER_UNIT
    ]
    detail = f"{sum(debited.values()):,} units over {len(debited)} wallets"
    return Check("each wallet is debited the floor of its exact sum", not wrong, named(wrong) or detail)


def check_retries(outcome: Outcome) -> Check:
    """Check that what was sent again was recognised."""
    return Check(
        "usage sent again changes nothing",
        outcome.sent_again == outcome.recognised,
        f"{outcome.recognised:,} of {outcome.sent_again:,} answered from the record",
    )


def check_hard_cap(source: Source, replay: Replay, customers: Sequence[Customer]) -> Check:
    """Ask, for each Sandbox customer, for more than a month's credit, and check that it is refused."""
    capped = [each for each in customers if each.plan is PlanName.SANDBOX]
    time = source.timeline.end + GRACE
    refused = [
        replay.is_refused(Usage("too-much", each, time, MODELS[-1], TOO_MANY_TOKENS, 0, 0)) for each in capped
    ]
    overage = sum(replay.outcome.overage_units[each.key] for each in capped)
    return Check(
        "a Sandbox customer cannot go beyond the hard cap",
        all(refused) and (source.served or overage == 0),
        f"{sum(refused)} of {len(capped)} refused, nothing recorded",
    )


def check_invoices(invoices: Sequence[Invoice], outcome: Outcome) -> Check:
    """Check that the lines of all invoices hold every unit debited, once, and add up to the totals."""
    units = sum(line.amount_units for invoice in invoices for line in invoice.lines)
    adds_up = all(sum(line.amount.nanos for line in each.lines) == each.total.nanos for each in invoices)
    debited = sum(outcome.debited_units.values())
    return Check(
        "the invoices hold every unit debited, once",
        adds_up and units == debited,
        f"{units:,} units on {len(invoices)} invoices, {debited:,} debited",
    )


def check_same_bytes(services: Services, invoice: Invoice) -> Check:
    """Issue an invoice again and check that its bytes are the same."""
    again = issue(services, invoice.contract, instant_of(invoice.cycle_start_time))
    same = (
        again.replayed and again.invoice.document == invoice.document and again.invoice.hash == invoice.hash
    )
    return Check(
        "an invoice issued again has the same bytes", same, f"{invoice.name}, SHA-256 {invoice.hash}"
    )


def check_untouched(prior: Invoice, steps: Sequence[StepFigures]) -> Check:
    """Check that an issued invoice stayed what it was through every step, and that its hash is of its bytes."""
    hashes = {each for step in steps for each in (step.hash_before, step.hash_after)}
    same = all(step.same_bytes for step in steps) and hashes == {hashlib.sha256(prior.document).hexdigest()}
    return Check(
        "the prior invoice's bytes and hash are what they were after a price change, a retroactive change "
        "and late usage",
        same,
        f"{prior.name}, {len(prior.document):,} bytes, {len(steps)} steps",
    )


def check_adjustments(correction: CorrectionFigures) -> Check:
    """Check that the next invoice adjusts the prior one, and no other, by what was reckoned."""
    lines = [line for line in correction.next_invoice.lines if line.kind == "ADJUSTMENT"]
    units = sum(line.amount_units for line in lines)
    overage = sum(line.amount_units for line in lines if line.adjusted_kind == "OVERAGE")
    nanos = sum(line.amount_nanos for line in lines)
    reckoned = (
        correction.repriced_units + correction.late_units,
        correction.overage_units,
        correction.overage_nanos,
    )
    about_prior = {line.adjusted_invoice for line in lines} == {correction.invoice}
    return Check(
        "what was learned later is an adjustment on the next invoice",
        about_prior and (units, overage, nanos) == reckoned,
        f"{units:,} units, {overage:,} of them overage for {nanos:,} nanos, as reckoned"
        if (units, overage, nanos) == reckoned
        else f"{(units, overage, nanos)}, reckoned {reckoned}",
    )


def check_documents(documents: int, findings: Sequence[str], *, expected: int) -> Check:
    """Check that every invoice was computed again and that none differed."""
    return Check(
        "`rating verify` recomputes every invoice to the byte",
        not findings and documents == expected,
        "; ".join(findings[:5]) or f"{documents:,} of {expected:,} invoices, no finding",
    )


def check_conservation(books: Books) -> Check:
    """Check for each wallet: granted = posted + pending + debited - overage + expired."""
    wrong = [
        key
        for key, balance in books.balances.items()
        if sum(grant.amount_units for grant in books.grants[key])
        != balance.posted_units
        + balance.pending_units
        + balance.debited_units
        - balance.overage_units
        + balance.expired_units
    ]
    total = sum(grant.amount_units for each in books.grants.values() for grant in each)
    return Check(
        "no unit is lost or made in any wallet", not wrong, named(wrong) or f"{total:,} units granted"
    )


def check_replays(books: Books) -> Check:
    """Check that each wallet's events, folded anew, give its balance."""
    wrong = [
        key for key, balance in books.balances.items() if amounts(books.replayed[key]) != amounts(balance)
    ]
    detail = f"{len(books.balances)} wallets"
    return Check("each wallet replayed gives its balance", not wrong, named(wrong) or detail)


def check_verification(verification: VerificationFigures, position: int) -> Check:
    """Check that the verification saw the whole log and found nothing."""
    return Check(
        "the whole log and every projection verify",
        not verification.findings and verification.events == position,
        "; ".join(verification.findings[:5]) or f"{verification.events:,} events, no finding",
    )


def amounts(balance: wallet_pb2.Balance) -> tuple[int, ...]:
    """Return the units of a balance that are effective; next month's credit is recorded, and in no replay yet."""
    return (
        balance.posted_units,
        balance.held_units,
        balance.overage_units,
        balance.debited_units,
        balance.expired_units,
    )


def check_deferred(books: Books) -> Check:
    """Check the roll-forward against the packs: what was paid, and the share of each that is gone."""
    paid = [
        grant
        for each in books.grants.values()
        for grant in each
        if grant.category == wallet_pb2.GRANT_CATEGORY_PAID
    ]
    row = books.roll_forward
    billed = sum(grant.consideration.nanos for grant in paid)
    earned = sum(gone_nanos(grant.consideration, grant) for grant in paid)
    recognised = row.recognised_usage_nanos + row.recognised_breakage_nanos
    right = (row.opening_nanos, row.billings_nanos, recognised, row.closing_nanos) == (
        0,
        billed,
        earned,
        billed - earned,
    )
    return Check(
        "deferred revenue is what the packs still owe",
        right,
        f"{len(paid)} packs, {earned:,} of {billed:,} nanos recognised",
    )


def gone_nanos(consideration: money_pb2.Money, grant: wallet_pb2.Grant) -> int:
    """Return the consideration of the units that are drawn or expired, rounded half up."""
    gone = grant.drawn_units + grant.expired_units
    return (2 * consideration.nanos * gone + grant.amount_units) // (2 * grant.amount_units)


def named(wrong: Sequence[str]) -> str:
    """Return which ones are wrong, in short; "" for none."""
    return f"wrong: {', '.join(wrong[:5])}{' …' if len(wrong) > 5 else ''}" if wrong else ""
