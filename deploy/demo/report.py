"""What a run of the demo found: plain values, printed by `show` or as one JSON document.

Amounts are whole units (10^-6 credit) or nanos of a currency; exact amounts are decimal text.
"""

from __future__ import annotations

from datetime import datetime

import msgspec


class Check(msgspec.Struct, frozen=True):
    """One thing that was checked independently of the services."""

    name: str
    passed: bool
    detail: str


class PhaseFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The usages recorded under one phase of the rate card, and their price computed in two ways."""

    phase: str
    usages: int
    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    reckoned_units: str
    """By the demo, from the source's tokens and the YAML file's prices, in integers."""
    charged_units: str
    """By the services: the sum of the charges that the debits carry."""


class UsageFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the usages sent."""

    source: str
    seed: int
    sent: int
    recorded: int
    refused_when_short: int
    recognised_when_sent_again: int
    phases: list[PhaseFigures]
    debited_units: int
    overage_units: int


class LineFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an invoice."""

    kind: str
    description: str
    contract_phase: str
    rate_card_phase: str
    amount_units: int
    unit_price: str
    amount_nanos: int
    debit_count: int
    quantities: dict[str, int]
    adjusted_kind: str = ""
    """Of an adjustment: the kind of the line that it corrects, and below the invoice."""
    adjusted_invoice: str = ""


class InvoiceFigures(msgspec.Struct, frozen=True, kw_only=True):
    """An issued invoice."""

    name: str
    plan: str
    customer: str
    cycle_start_time: datetime
    cycle_end_time: datetime
    currency_code: str
    total_nanos: int
    included_units: int
    included_used_units: int
    lines: list[LineFigures]
    hash: str


class CategoryFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What became of all credit of one category, in units; what is left includes the next month's."""

    category: str
    grants: int
    granted_units: int
    drawn_units: int
    expired_units: int
    left_units: int


class StatementFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a wallet's statement."""

    version: int
    effective_time: datetime
    description: str
    change_units: int
    posted_units: int
    overage_units: int
    is_debit: bool


class RollForwardFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Contract liability over the months played, in nanos."""

    from_time: datetime
    to_time: datetime
    currency_code: str
    opening_nanos: int
    billings_nanos: int
    recognised_usage_nanos: int
    recognised_breakage_nanos: int
    closing_nanos: int


class VerificationFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The result of checking the whole log and every projection."""

    events: int
    streams: int
    projections: list[str]
    findings: list[str]


class ProjectionFigures(msgspec.Struct, frozen=True):
    """How far a projection has come."""

    name: str
    position: int
    lag_events: int


class StepFigures(msgspec.Struct, frozen=True):
    """Something that happened after an invoice was issued, and the invoice's hash before and after."""

    name: str
    detail: str
    hash_before: str
    hash_after: str
    same_bytes: bool


class CorrectionFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What was learned about an issued invoice, and the next one, which says so."""

    invoice: str
    customer: str
    steps: list[StepFigures]
    next_invoice: InvoiceFigures
    repriced_units: int
    """What the retroactive change adds, reckoned from the month's tokens and prices; likewise the others."""
    late_units: int
    overage_units: int
    """Those of both that no credit covers, and what they add to the money due."""
    overage_nanos: int


class AccountFigures(msgspec.Struct, frozen=True):
    """An account over the months played: debits are above zero."""

    account: str
    debits_nanos: int
    credits_nanos: int
    closing_nanos: int


class MovedFigures(msgspec.Struct, frozen=True):
    """What counts in a closed month and is posted after it, because it was learned later."""

    account: str
    movement: str
    amount_nanos: int
    posting_time: datetime


class BooksFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The books of the months played, when they were closed and after all that was learned later."""

    figures_hash: str
    accounts: list[AccountFigures]
    accounts_now: list[AccountFigures]
    moved: list[MovedFigures]
    reconciled: int
    """Figures that the reconciliation has compared."""
    differing: list[str]


class StageFigures(msgspec.Struct, frozen=True):
    """How long one stage took."""

    name: str
    milliseconds: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    passed: bool
    from_time: datetime
    to_time: datetime
    price_cut_time: datetime
    usage: UsageFigures
    customers_by_plan: dict[str, int]
    invoices: list[InvoiceFigures]
    credit: list[CategoryFigures]
    statement_wallet: str
    statement: list[StatementFigures]
    roll_forward: RollForwardFigures
    correction: CorrectionFigures
    books: BooksFigures
    verification: VerificationFigures
    projections: list[ProjectionFigures]
    lag_events_after_usage: int
    checks: list[Check]
    stages: list[StageFigures]
    usages_per_second: int
