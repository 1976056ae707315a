"""Contract assets and contract liabilities: what is owed each way, netted by contract (ASC 606-10-45-1).

An entity presents a contract as one net figure: a contract liability where customers have paid for more than was
delivered, and a contract asset where more was delivered than billed. So of each contract the contract liability and the
unbilled receivable are set off, and only what remains adds up to the balance sheet. Invoiced receivables are no part of
it (45-4): they wait for nothing but time.

A wallet's credit belongs to the contract that binds the wallet on the day, else to the last one before it. Overage
belongs to the contract in whose time it was used. A wallet that no contract binds stands for itself, and what a
breakage pool has earned ahead of its lots stands beside them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Final, NamedTuple

import msgspec

from ledger_service.application.reading.agreed_contracts import AgreedContract, midnight, stood_at
from ledger_service.domain.finance.accounts import Account
from ledger_service.domain.finance.booked import BookedEntry

POOLS: Final = ""
"""Stands for the pools, which are of no wallet."""
_ALWAYS: Final = datetime.max.replace(tzinfo=UTC)


class ContractPosition(msgspec.Struct, frozen=True):
    """What is owed each way under one contract, in nanos. `source` is a contract, else a wallet or a breakage pool."""

    source: str
    wallet: str
    entity: str
    currency_code: str
    liability_nanos: int
    unbilled_nanos: int

    @property
    def net_nanos(self) -> int:
        """Return the contract asset; below zero it is a contract liability."""
        return self.unbilled_nanos - self.liability_nanos


class PositionTotal(msgspec.Struct, frozen=True):
    """The positions of an entity in a currency, in nanos: gross as the accounts are, and net as they are presented.

    unbilled - liability = assets - liabilities.
    """

    entity: str
    currency_code: str
    liability_nanos: int = 0
    unbilled_nanos: int = 0
    net_asset_nanos: int = 0
    net_liability_nanos: int = 0
    asset_count: int = 0
    liability_count: int = 0


class _Span(NamedTuple):
    contract: str
    from_time: datetime
    to_time: datetime


class _Key(NamedTuple):
    source: str
    entity: str
    currency_code: str


class WalletPositions:
    """Counts the positions of one wallet and its contracts at the beginning of a day."""

    def __init__(
        self, wallet: str, contracts: Iterable[AgreedContract], to_day: date, *, known_before: date | None
    ) -> None:
        """Begin before the wallet's first entry."""
        self._wallet = wallet
        self._to_day = to_day
        spans = []
        for agreed in contracts:
            stood = stood_at(agreed, midnight(to_day), known_before=known_before)
            if stood is not None:
                phases = stood.contract.phases
                spans.append(_Span(agreed.name, phases[0].from_time, phases[-1].to_time or _ALWAYS))
        self._spans = sorted(spans, key=lambda span: span.from_time)
        begun = [span.contract for span in self._spans if span.from_time < midnight(to_day)]
        self._owner = begun[-1] if begun else wallet
        self._sums: dict[_Key, list[int]] = {}

    def take(self, booked: BookedEntry) -> None:
        """Count an entry."""
        entry = booked.entry
        if entry.posting_day >= self._to_day:
            return
        of_wallet = entry.stream.startswith("wallets/")
        for line in entry.lines:
            if line.account is Account.CONTRACT_LIABILITY:
                source = self._owner if of_wallet else entry.stream
                self._figures(source, entry.entity, line.currency_code)[0] -= line.nanos
            elif line.account is Account.UNBILLED_RECEIVABLE:
                source = self._contract_at(entry.effective_time) if of_wallet else entry.stream
                self._figures(source, entry.entity, line.currency_code)[1] += line.nanos

    def positions(self) -> list[ContractPosition]:
        """Return the positions that are not zero each way, in the order of their names."""
        return [
            ContractPosition(key.source, self._wallet, key.entity, key.currency_code, liability, unbilled)
            for key, (liability, unbilled) in sorted(self._sums.items())
            if liability or unbilled
        ]

    def _figures(self, source: str, entity: str, currency_code: str) -> list[int]:
        return self._sums.setdefault(_Key(source, entity, currency_code), [0, 0])

    def _contract_at(self, instant: datetime) -> str:
        for span in self._spans:
            if span.from_time <= instant < span.to_time:
                return span.contract
        return self._wallet


class ContractPositions:
    """Sums of all positions. Takes the entries of the pools first, then contracts and entries wallet by wallet."""

    def __init__(self, to_day: date, *, known_before: date | None) -> None:
        """Count as of the beginning of a day, by what was recorded before another."""
        self._to_day, self._known_before = to_day, known_before
        self._wallet = WalletPositions(POOLS, (), to_day, known_before=known_before)
        self._sums: dict[tuple[str, str], PositionTotal] = {}

    def begin_wallet(self, wallet: str, contracts: Iterable[AgreedContract]) -> None:
        """Take up what was agreed for a wallet; its entries follow."""
        self._wallet = WalletPositions(wallet, contracts, self._to_day, known_before=self._known_before)

    def take(self, booked: BookedEntry) -> None:
        """Count an entry."""
        self._wallet.take(booked)

    def end_wallet(self) -> None:
        """Put the wallet's positions to the others, and forget them."""
        for each in self._wallet.positions():
            key = each.entity, each.currency_code
            total = self._sums.get(key, PositionTotal(*key))
            net = each.net_nanos
            self._sums[key] = PositionTotal(
                *key,
                total.liability_nanos + each.liability_nanos,
                total.unbilled_nanos + each.unbilled_nanos,
                total.net_asset_nanos + max(net, 0),
                total.net_liability_nanos + max(-net, 0),
                total.asset_count + (net > 0),
                total.liability_count + (net < 0),
            )

    def rows(self) -> list[PositionTotal]:
        """Return the sums, in the order of their names."""
        return [total for _, total in sorted(self._sums.items())]
