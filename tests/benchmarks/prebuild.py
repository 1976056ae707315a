"""Logs built in bulk: the events that the writer would have recorded, hash chain and keys included.

Events are made and folded by the domain's own functions and go into the table by COPY, ten times faster than
through the service. Record times begin a day ago, so that the server's clock goes on after them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
import psycopg

from ledger_service.application.ports import Snapshot
from ledger_service.application.writing.stream_cache import Entry, take_snapshot
from ledger_service.domain.commands import Debit, GrantCredits, OpenWallet
from ledger_service.domain.events import (
    Charge,
    ChargeLine,
    CreditsDebited,
    CreditsGranted,
    Draw,
    Event,
    Fact,
    FinanceTerms,
    WalletOpened,
)
from ledger_service.domain.identity import fingerprint, hash_key
from ledger_service.domain.streams import evolve_stream
from ledger_service.domain.topics import TOPIC_OF, encode_fact, hash_event
from ledger_service.domain.values import Asset, GrantCategory, Money, ShortfallMode
from ledger_service.domain.wallet.burn_down import DEFAULT_ORDER
from tests.benchmarks.jobs import wallet_name

CREDIT: Final = Asset("CREDIT", 6)
GRANTED_UNITS: Final = 10**15
GRANT_VERSIONS: Final = (2, 3)
"""A paid lot that never expires, and a promotional one that does, which debits draw first."""
EVENTS_WHEN_NEW: Final = 3
"""Events of a wallet before its first debit."""

PAID_FOR: Final = Money("USD", 10**15)
"""What the lots of priced debits were sold for."""
MODELS: Final = ("large", "small", "embedding")
YEAR: Final = timedelta(days=365)

_COPY: Final = """
COPY ledger.stored_events (originator_id, originator_version, topic, state, notification_id, key_hash)
FROM STDIN (FORMAT BINARY)"""

_COPY_SNAPSHOTS: Final = """
COPY ledger.snapshots (originator_id, originator_version, format, state) FROM STDIN (FORMAT BINARY)"""


class Row(msgspec.Struct, frozen=True, gc=False):
    """A row of the log, without its position."""

    stream: str
    version: int
    topic: str
    state: bytes
    key_hash: UUID


class WalletBuilder:
    """Appends to the stream of one wallet."""

    def __init__(self, index: int, *, begun: datetime) -> None:
        """Begin a wallet without events."""
        self.stream = wallet_name(index)
        self.entry = Entry()
        self._index = index
        self._begun = begun
        # Equal times would make a day's events one instant.
        self._step = timedelta(milliseconds=1)

    def open(self) -> Iterator[Row]:
        """Yield the opening and the two grants."""
        customer = f"customers/c{self._index:07d}"
        expire_time = self._begun + timedelta(days=365)
        opening = OpenWallet(self.stream, customer, CREDIT, ShortfallMode.HARD)
        yield self._append(WalletOpened(customer, CREDIT, ShortfallMode.HARD), "open", fingerprint(opening))
        for category, expires in ((GrantCategory.PAID, None), (GrantCategory.PROMOTIONAL, expire_time)):
            event = CreditsGranted(GRANTED_UNITS, category, expire_time=expires)
            command = GrantCredits(self.stream, GRANTED_UNITS, category, expire_time=expires)
            yield self._append(event, f"grant-{category.value}", fingerprint(command))

    def debit(self) -> Row:
        """Return a debit of one unit, drawn from the promotional lot."""
        event = CreditsDebited(1, (Draw(GRANT_VERSIONS[1], 1),), DEFAULT_ORDER)
        return self._append(event, f"prebuilt-{self.entry.version:07d}", _DEBIT_FINGERPRINT)

    def snapshot(self) -> Snapshot:
        """Return the snapshot that the writer would keep at this version."""
        return take_snapshot(self.stream, self.entry)

    def _append(self, event: Event, key: str, command_fingerprint: str) -> Row:
        entry, stream = self.entry, self.stream
        instant = self._begun + entry.version * self._step
        fact = Fact(event, instant, instant, entry.head_hash, "", key, command_fingerprint)
        topic, state = TOPIC_OF[type(event)], encode_fact(fact)
        entry.version += 1
        entry.state = evolve_stream(stream, entry.state, fact, entry.version)
        entry.head_hash = hash_event(stream, entry.version, topic, state)
        return Row(stream, entry.version, topic, state, UUID(bytes=hash_key(stream, key)))


class PricedBuilder(WalletBuilder):
    """Appends to the stream of one wallet: debits of three dimensions, drawn from one lot that was paid for."""

    def __init__(self, index: int, *, begun: datetime, step: timedelta) -> None:
        """Begin a wallet without events, of which each comes a step after the one before it."""
        super().__init__(index, begun=begun)
        self._step = step

    def open(self) -> Iterator[Row]:
        """Yield the opening and the sale."""
        opening = OpenWallet(self.stream, f"customers/c{self._index:07d}", CREDIT, ShortfallMode.HARD)
        opened = WalletOpened(opening.customer, CREDIT, ShortfallMode.HARD)
        yield self._append(opened, "open", fingerprint(opening))
        sale = GrantCredits(self.stream, GRANTED_UNITS, GrantCategory.PAID, consideration=PAID_FOR)
        event = CreditsGranted(
            GRANTED_UNITS, GrantCategory.PAID, consideration=PAID_FOR, finance=FinanceTerms(product="packs")
        )
        yield self._append(event, "grant", fingerprint(sale))

    def debit(self) -> Row:
        """Return a debit of some thousand units, with the charge that they pay."""
        model = MODELS[self.entry.version % len(MODELS)]
        units = 1_000 + self.entry.version
        lines = tuple(
            ChargeLine(name, units, "0.5", str(units // 2)) for name in ("input", "output", "image")
        )
        charge = Charge(
            contract="contracts/none",
            contract_phase="standard",
            rate_card_phase="rateCards/llm/phases/1",
            phase_hash="ab" * 32,
            lines=lines,
            exact_units=str(units),
            properties={"model": model},
        )
        event = CreditsDebited(units, (Draw(2, units),), DEFAULT_ORDER, feature="chat", charge=charge)
        return self._append(event, f"prebuilt-{self.entry.version:07d}", _DEBIT_FINGERPRINT)


_DEBIT_FINGERPRINT: Final = fingerprint(Debit(wallet_name(0), 1))


def build_wallets(url: str, count: int, *, events: int = 0) -> int:
    """Fill an empty log with wallets and `events` debits, spread evenly; return the newest position."""
    begun = _a_day_ago()

    def rows() -> Iterator[Row]:
        if not events:
            for index in range(count):
                yield from WalletBuilder(index, begun=begun).open()
            return
        wallets = [WalletBuilder(index, begun=begun) for index in range(count)]
        for wallet in wallets:
            yield from wallet.open()
        for number in range(events):
            yield wallets[number % count].debit()

    return _store(url, rows())


def build_books(url: str, count: int, *, events: int) -> int:
    """Fill an empty log with wallets and `events` priced debits over a year; return the newest position."""
    begun = _a_day_ago() - YEAR
    step = YEAR / (events // count + EVENTS_WHEN_NEW)

    def rows() -> Iterator[Row]:
        wallets = [PricedBuilder(index, begun=begun, step=step) for index in range(count)]
        for wallet in wallets:
            yield from wallet.open()
        for number in range(events):
            yield wallets[number % count].debit()

    return _store(url, rows())


def build_aged_wallets(url: str, event_counts: Sequence[int]) -> None:
    """Fill an empty log with one wallet for each count of events, with the snapshot of its last version."""
    begun = _a_day_ago()
    wallets = [WalletBuilder(index, begun=begun) for index in range(len(event_counts))]

    def rows() -> Iterator[Row]:
        for wallet, count in zip(wallets, event_counts, strict=True):
            yield from wallet.open()
            for _ in range(count - EVENTS_WHEN_NEW):
                yield wallet.debit()

    _store(url, rows())
    with psycopg.connect(url) as connection, connection.cursor().copy(_COPY_SNAPSHOTS) as copy:
        copy.set_types(["text", "int8", "int4", "bytea"])
        for snapshot in (wallet.snapshot() for wallet in wallets):
            copy.write_row((snapshot.stream, snapshot.version, snapshot.format, snapshot.state))


def _a_day_ago() -> datetime:
    return datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)


def _store(url: str, rows: Iterable[Row]) -> int:
    position = 0
    with psycopg.connect(url) as connection:
        with connection.cursor().copy(_COPY) as copy:
            copy.set_types(["text", "int8", "text", "bytea", "int8", "uuid"])
            for position, row in enumerate(rows, start=1):
                copy.write_row((row.stream, row.version, row.topic, row.state, position, row.key_hash))
        connection.commit()
        # What the load left to do is done now, not during the measurement.
        connection.autocommit = True
        connection.execute("VACUUM (ANALYZE, FREEZE) ledger.stored_events")
        connection.execute("CHECKPOINT")
    return position
