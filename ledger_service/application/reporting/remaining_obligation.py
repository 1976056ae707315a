"""The remaining performance obligation of a day: contract liability, and what contracts promise that is not billed yet.

ASC 606-10-50-13 asks for the whole transaction price of what is promised and not delivered, billed or not. What was
billed is contract liability, credit and what is sold over time. To it comes what contracts promise as fixed
consideration (see domain/agreement/promises.py) and was neither billed nor earned by the day:

- fees of the days to come, less what bills have billed ahead of them;
- commitments, less what usage has drawn down or a bill has billed ahead, and minimums, less the usage of their cycle.

A credit note lowers the price of what it is on: it takes liability away, or revenue of days that have passed, and
nothing is promised anew for it (606-10-32-42 to 32-45). But what it gave back of a fee that was billed ahead counts
against what the cycle's invoice returns once other fees apply, so as much more is still to be billed.

A bill counts from its issue (on what is agreed see agreed_contracts). Usage that is billed as it is used is no part of
it (50-14(b), 55-18). To say what that leaves out it is estimated: what the contract earned so in the year before, or
since it began, goes on for the rest of its term, beyond what is committed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Final, NamedTuple

import msgspec

from ledger_service.application.reading.agreed_contracts import AgreedContract, Billed, midnight, stood_at
from ledger_service.application.reporting.billed_fees import after, counted_of_notes, fees_ahead
from ledger_service.application.reporting.liability_bands import OBLIGATION_MONTHS, add_months
from ledger_service.application.reporting.liability_parts import LiabilityParts, LiabilityRow, PartKind
from ledger_service.application.reporting.report_scope import ReportScope
from ledger_service.domain.agreement.contract import Contract
from ledger_service.domain.agreement.cycles import MICROSECOND
from ledger_service.domain.agreement.promises import (
    Committed,
    Promised,
    Term,
    commitments,
    fees,
    minimums,
    term_at,
)
from ledger_service.domain.events import BilledAmount
from ledger_service.domain.finance.booked import BookedEntry
from ledger_service.domain.finance.methods import round_half_up

COMMITMENT: Final = "COMMITMENT"
RATE_MINIMUM: Final = "RATE_MINIMUM"
"""Bills what usage should have cost at least: it draws commitments and minimums down as usage does."""
CENT_NANOS: Final = 10_000_000
"""Less than that of a fee is what the rounding of its bill has left."""
PAST: Final = timedelta(days=365)
"""Usage of how long a time before tells how much is to come."""


class _Window(NamedTuple):
    from_time: datetime
    to_time: datetime
    currency_code: str


class _Known(msgspec.Struct):
    """A contract as it stood, with what was billed of it. Mutable: part of the accumulator."""

    name: str
    entity: str
    contract: Contract
    billed: Sequence[Billed]
    credited: Sequence[Billed]
    term: Term
    usage: dict[_Window, int] = {}
    """Overage earned in windows of time, in nanos."""


class RemainingObligation:
    """Counts for one day. Takes the contracts and then the entries of one wallet after another."""

    def __init__(self, scope: ReportScope) -> None:
        """Count as of the beginning of the scope's last day."""
        to_day = scope.to_day
        self._at = midnight(to_day)
        self._scope = scope
        self._parts = LiabilityParts(to_day)
        self._edges = [midnight(add_months(to_day, months)) for months in OBLIGATION_MONTHS]
        self._contracts: list[_Known] = []

    def begin_wallet(self, contracts: Iterable[AgreedContract]) -> None:
        """Take up what was agreed for a wallet; its entries follow."""
        for agreed in contracts:
            stood = stood_at(agreed, self._at, known_before=self._scope.known_before)
            if stood is None:
                continue
            term = term_at(stood.contract, self._at)
            known = _Known(agreed.name, agreed.entity, stood.contract, stood.billed, stood.credited, term)
            if known.term.is_short:
                self._parts.short_streams.add(known.name)
            for window in self._windows(known):
                known.usage[window] = 0
            self._contracts.append(known)

    def take(self, booked: BookedEntry) -> None:
        """Count an entry."""
        self._parts.take(booked)
        entry = booked.entry
        if booked.overage is not None and entry.posting_day < self._at.date():
            self._count_usage(entry.effective_time, booked.overage.currency_code, booked.overage.nanos)

    def end_wallet(self) -> None:
        """Put the wallet's parts to the others, and forget them."""
        self._parts.end_wallet()
        for known in self._contracts:
            self._count_fees(known)
            committed = self._count_commitments(known)
            self._count_usage_to_come(known, committed)
        self._contracts.clear()
        self._parts.short_streams.clear()

    def rows(self) -> list[LiabilityRow]:
        """Return what is owed, and what is promised beside it."""
        return self._parts.rows()

    def _windows(self, known: _Known) -> Iterator[_Window]:
        """Yield the spans of which usage must be known, up to the day."""
        at, until = self._at, known.term.to_time
        for period in commitments(known.contract, at, until):
            if period.from_time < at:
                yield _Window(period.from_time, at, period.currency_code)
        for promised in minimums(known.contract, at, until):
            if promised.from_time < at:
                yield _Window(promised.from_time, at, promised.currency_code)
        for phase in known.contract.phases:
            price = phase.terms.overage_price
            if price is not None:
                yield self._past(known, price.currency_code)

    def _past(self, known: _Known, currency_code: str) -> _Window:
        begin = max(known.contract.phases[0].from_time, self._at - PAST)
        return _Window(begin, self._at, currency_code)

    def _count_usage(self, instant: datetime, currency_code: str, nanos: int) -> None:
        for known in self._contracts:
            for window in known.usage:
                if window.currency_code == currency_code and window.from_time <= instant < window.to_time:
                    known.usage[window] += nanos

    def _used(self, known: _Known, from_time: datetime, to_time: datetime, currency_code: str) -> int:
        """Return the usage money of a span, up to the day."""
        minimum = sum(
            amount.nanos
            for currency, amount, _ in known.billed
            if amount.kind == RATE_MINIMUM
            and currency == currency_code
            and _begins_in(amount, from_time, to_time)
        )
        return minimum + known.usage.get(_Window(from_time, self._at, currency_code), 0)

    def _count_fees(self, known: _Known) -> None:
        """Count the fees of the term: what is billed ahead ends somewhere, and what lies after it is promised whole."""
        at, until = self._at, known.term.to_time
        ahead = fees_ahead(known.billed, at)
        covered = min(max((each.amount.to_time or at for each in ahead), default=at), until)
        left: dict[str, Fraction] = {}
        for each in fees(known.contract, at, covered):
            left[each.currency_code] = left.get(each.currency_code, Fraction(0)) + each.nanos
        for billed in ahead:
            unbilled = counted_of_notes(known.contract, known.credited, billed, at) - after(billed.amount, at)
            left[billed.currency_code] = left.get(billed.currency_code, Fraction(0)) + unbilled
        for currency, nanos in left.items():
            if nanos >= CENT_NANOS:
                self._add(known, PartKind.FEES, currency, covered, nanos)
        for begin, end in self._spans(max(covered, at), until):
            for each in fees(known.contract, begin, end):
                self._add(known, PartKind.FEES, each.currency_code, each.to_time, each.nanos)

    def _count_commitments(self, known: _Known) -> dict[str, Fraction]:
        """Count commitments and minimums, and return what of usage they hold, by currency."""
        at, until = self._at, known.term.to_time
        held: dict[str, Fraction] = {}
        left: list[tuple[Committed, Fraction]] = []
        for period in commitments(known.contract, at, until):
            rest = self._rest_of(known, period)
            # A prepaid amount that is billed is liability, of which usage draws first.
            unbilled = max(min(rest, period.nanos - self._billed(known, period)), Fraction(0))
            short = known.term.is_short and period.whole.is_short
            self._add(known, PartKind.COMMITMENT, period.currency_code, period.to_time, unbilled, short=short)
            held[period.currency_code] = held.get(period.currency_code, Fraction(0)) + rest
            left.append((period, rest))
        for promised in minimums(known.contract, at, until):
            missing = promised.nanos
            if promised.from_time < at:
                used = self._used(known, promised.from_time, promised.to_time, promised.currency_code)
                missing = max(missing - used, Fraction(0))
            left, missing = _absorbed(left, promised, missing)
            self._add(known, PartKind.COMMITMENT, promised.currency_code, promised.to_time, missing)
            held[promised.currency_code] = held.get(promised.currency_code, Fraction(0)) + missing
        return held

    def _rest_of(self, known: _Known, period: Committed) -> Fraction:
        """Return what of a commitment usage has not drawn down."""
        used = self._used(known, period.from_time, period.to_time, period.currency_code)
        return max(period.nanos - max(used, 0), Fraction(0))

    def _billed(self, known: _Known, period: Committed) -> int:
        return sum(
            amount.nanos
            for currency, amount, _ in known.billed
            if amount.kind == COMMITMENT
            and currency == period.currency_code
            and _begins_in(amount, period.from_time, period.to_time)
        )

    def _count_usage_to_come(self, known: _Known, held: dict[str, Fraction]) -> None:
        """Estimate the usage of the rest of the term beyond what is committed, from that of the time before."""
        at, until = self._at, known.term.to_time
        begin = max(at, known.contract.phases[0].from_time)
        prices = (phase.terms.overage_price for phase in known.contract.phases)
        for currency in sorted({price.currency_code for price in prices if price is not None}):
            window = self._past(known, currency)
            passed, to_come = window.to_time - window.from_time, until - begin
            if passed <= timedelta() or to_come <= timedelta():
                continue
            rate = Fraction(known.usage[window], passed // MICROSECOND)
            whole = to_come // MICROSECOND
            expected = max(rate * whole - held.get(currency, Fraction(0)), Fraction(0))
            counted = 0
            for _, end in self._spans(begin, until):
                nanos = round_half_up(expected * Fraction((end - begin) // MICROSECOND, whole))
                self._add(known, PartKind.USAGE, currency, end, Fraction(nanos - counted))
                counted = nanos

    def _spans(self, from_time: datetime, to_time: datetime) -> Iterator[Term]:
        """Yield a span cut where bands of time end."""
        begin = from_time
        for end in (*(edge for edge in self._edges if from_time < edge < to_time), to_time):
            if begin < end:
                yield Term(begin, end)
            begin = end

    def _add(
        self,
        known: _Known,
        kind: PartKind,
        currency_code: str,
        to_time: datetime,
        nanos: Fraction,
        *,
        short: bool | None = None,
    ) -> None:
        """Count an amount that is revenue before an instant, at the latest."""
        if self._scope.entity not in {"", known.entity} or self._scope.currency_code not in {
            "",
            currency_code,
        }:
            return
        last_day = (to_time - MICROSECOND).date()
        short = known.term.is_short if short is None else short
        self._parts.add_promise(
            LiabilityRow(kind, known.entity, currency_code, None, last_day, 0, round_half_up(nanos), short)
        )


def _absorbed(
    left: Sequence[tuple[Committed, Fraction]], promised: Promised, missing: Fraction
) -> tuple[list[tuple[Committed, Fraction]], Fraction]:
    """Return commitments and a minimum after the usage that fulfils the one fulfils the other."""
    found: list[tuple[Committed, Fraction]] = []
    for period, rest in left:
        taken = Fraction(0)
        if (
            period.currency_code == promised.currency_code
            and period.from_time <= promised.from_time < period.to_time
        ):
            taken = min(rest, missing)
        found.append((period, rest - taken))
        missing -= taken
    return found, missing


def _begins_in(amount: BilledAmount, from_time: datetime, to_time: datetime) -> bool:
    return amount.from_time is not None and from_time <= amount.from_time < to_time
