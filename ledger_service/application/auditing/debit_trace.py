"""Tracing a debit: from the usage to the price, the units, the lots, and what became of it since.

Everything is read from the log: the wallet's stream is folded once, so that the carried fraction, the lots and the
cost basis are those of the instant of the debit. Cost basis is the part of a lot's consideration that a draw turns
into revenue, by the same cumulative rounding as recognition.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Final, Protocol

import msgspec

from ledger_service.application.auditing.charge_trace import ChargeTrace, trace_charge
from ledger_service.application.ports import LogReader, StoredEvent
from ledger_service.domain.events import (
    CreditsDebited,
    CreditsGranted,
    CreditsRolledOver,
    CreditsTransferredIn,
    DebitReversed,
    DebtRepaid,
    Draw,
    Event,
    Fact,
    GrantExpiryExtended,
    HoldCaptured,
    LotTerms,
)
from ledger_service.domain.refusals import DebitNotFound
from ledger_service.domain.topics import decode_fact
from ledger_service.domain.values import Asset
from ledger_service.domain.wallet.evolve import evolve
from ledger_service.domain.wallet.lots import from_grant, terms_of
from ledger_service.domain.wallet.state import ZERO, Wallet

EVENTS_PER_READ: Final = 500
"""Events folded before other calls have their turn: a few milliseconds."""


class LotRevenue(msgspec.Struct, frozen=True):
    """A paid lot's consideration, how much of the lot was drawn, and what of it is revenue by that."""

    currency_code: str
    consideration_nanos: int
    amount_units: int
    drawn_units: int
    recognised_nanos: int


class LotBook(Protocol):
    """Folds a wallet's stream into what its paid lots have recognised."""

    def fold(self, event: StoredEvent) -> None:
        """Add the next event."""

    def revenue(self, grant_version: int, *, more_units: int = 0) -> LotRevenue | None:
        """Return a paid lot as if so many more units were drawn; None for a lot without consideration."""


class DrawTrace(msgspec.Struct, frozen=True):
    """What one lot paid. `held_units` of it had been reserved by a hold; below 0, units went back."""

    grant_version: int
    terms: LotTerms
    amount_units: int
    held_units: int = 0
    late: bool = False
    before: LotRevenue | None = None
    after: LotRevenue | None = None

    @property
    def cost_basis_nanos(self) -> int:
        """Return the revenue that the draw made, or took back."""
        if self.before is None or self.after is None:
            return 0
        return self.after.recognised_nanos - self.before.recognised_nanos


class LaterTrace(msgspec.Struct, frozen=True):
    """What became of a debit: a reversal, or a repayment of its debt."""

    version: int
    effective_time: datetime
    record_time: datetime
    amount_units: int
    draws: tuple[DrawTrace, ...]
    overage_units: int = 0
    debt_units: int = 0


class DebitTrace(msgspec.Struct, frozen=True):
    """A debit or a capture, traced."""

    wallet: str
    version: int
    position: int
    asset: Asset
    fact: Fact[Event]
    event: CreditsDebited | HoldCaptured
    fraction_before: Decimal
    fraction_after: Decimal
    draws: tuple[DrawTrace, ...]
    reversals: tuple[LaterTrace, ...]
    repayments: tuple[LaterTrace, ...]
    charge: ChargeTrace | None


async def trace_debit(reader: LogReader, book: LotBook, wallet: str, version: int) -> DebitTrace:
    """Trace a debit, a capture or a late capture of a wallet. Raises DebitNotFound."""
    fold = _Fold(book, version)
    after = 0
    while True:
        events = await reader.read_stream(wallet, after=after, limit=EVENTS_PER_READ)
        for stored in events:
            fold.add(stored)
            after = stored.version
        if len(events) < EVENTS_PER_READ:
            break
        await asyncio.sleep(0)
    debit = fold.found
    if debit is None or fold.wallet is None:
        raise DebitNotFound(f"{wallet} has no debit {version}", field="name")
    charge = debit.event.charge
    return DebitTrace(
        wallet,
        version,
        debit.position,
        fold.wallet.asset,
        debit.fact,
        debit.event,
        debit.fraction_before,
        debit.fraction_after,
        debit.draws,
        tuple(fold.reversals),
        tuple(fold.repayments),
        None if charge is None else await trace_charge(reader, charge, fold.wallet.asset),
    )


class _Found(msgspec.Struct, frozen=True):
    position: int
    fact: Fact[Event]
    event: CreditsDebited | HoldCaptured
    fraction_before: Decimal
    fraction_after: Decimal
    draws: tuple[DrawTrace, ...]


class _Fold:
    """Folds a wallet's stream, event by event, and keeps what concerns one debit."""

    def __init__(self, book: LotBook, version: int) -> None:
        self.wallet: Wallet | None = None
        self.found: _Found | None = None
        self.reversals: list[LaterTrace] = []
        self.repayments: list[LaterTrace] = []
        self._book = book
        self._version = version
        self._terms: dict[int, LotTerms] = {}

    def add(self, stored: StoredEvent) -> None:
        """Add the next event."""
        fact = decode_fact(stored.topic, stored.state)
        event, before = fact.event, self.wallet
        draws: tuple[DrawTrace, ...] = ()
        # Before the lots are folded: a draw's cost basis begins where the lot stood.
        match event:
            case CreditsDebited() | HoldCaptured() if stored.version == self._version:
                draws = self._draws(event)
            case DebitReversed(debit_version=self._version, returned=returned):
                draws = tuple(self._draw(each.grant_version, -each.amount_units) for each in returned)
            case DebtRepaid():
                draws = self._repaid(event)
            case _:
                self._note_terms(stored.version, fact)
        self.wallet = evolve(before, fact, stored.version)
        self._book.fold(stored)
        match event:
            case CreditsDebited() | HoldCaptured() if stored.version == self._version:
                fraction = ZERO if before is None else before.carried_fraction
                self.found = _Found(
                    stored.position, fact, event, fraction, self.wallet.carried_fraction, draws
                )
            case DebitReversed(debit_version=self._version):
                later = LaterTrace(
                    stored.version,
                    fact.effective_time,
                    fact.record_time,
                    event.amount_units,
                    draws,
                    event.overage_units,
                    event.debt_units,
                )
                self.reversals.append(later)
            case DebtRepaid() if draws:
                units = sum(draw.amount_units for draw in draws)
                self.repayments.append(
                    LaterTrace(stored.version, fact.effective_time, fact.record_time, units, draws)
                )
            case _:
                pass

    def _note_terms(self, version: int, fact: Fact[Event]) -> None:
        match fact.event:
            case CreditsGranted() as granted:
                self._terms[version] = terms_of(from_grant(version, granted, fact.effective_time))
            case CreditsRolledOver(lot=terms) | CreditsTransferredIn(lot=terms):
                self._terms[version] = terms
            case GrantExpiryExtended(grant_version=grant, expire_time=expire_time):
                self._terms[grant] = msgspec.structs.replace(self._terms[grant], expire_time=expire_time)
            case _:
                pass

    def _draws(self, event: CreditsDebited | HoldCaptured) -> tuple[DrawTrace, ...]:
        """Return one draw a lot: a capture may take from a lot both what was held and more."""
        held = event.held_draws if isinstance(event, HoldCaptured) else ()
        late = event.late_grants if isinstance(event, CreditsDebited) else ()
        units = _by_grant((*held, *event.draws))
        reserved = _by_grant(held)
        return tuple(
            msgspec.structs.replace(
                self._draw(grant, amount), held_units=reserved.get(grant, 0), late=grant in late
            )
            for grant, amount in units.items()
        )

    def _repaid(self, event: DebtRepaid) -> tuple[DrawTrace, ...]:
        earlier = 0
        for each in event.repayments:
            if each.debit_version == self._version:
                return (self._draw(event.grant_version, each.amount_units, after_units=earlier),)
            earlier += each.amount_units
        return ()

    def _draw(self, grant: int, units: int, *, after_units: int = 0) -> DrawTrace:
        return DrawTrace(
            grant,
            self._terms[grant],
            units,
            before=self._book.revenue(grant, more_units=after_units),
            after=self._book.revenue(grant, more_units=after_units + units),
        )


def _by_grant(draws: Iterable[Draw]) -> dict[int, int]:
    units: dict[int, int] = {}
    for draw in draws:
        units[draw.grant_version] = units.get(draw.grant_version, 0) + draw.amount_units
    return units
