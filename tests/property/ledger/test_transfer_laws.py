"""Laws of transfers and chargebacks over two wallets, at every step of any history."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ledger_service.domain.commands import (
    AnyCommand,
    Debit,
    GrantCredits,
    PlaceHold,
    RefundGrant,
    ReleaseHold,
    ReturnTransfer,
    RevokeGrant,
    SettleTransfer,
)
from ledger_service.domain.events import (
    CreditsGranted,
    CreditsHeld,
    CreditsTransferredIn,
    CreditsTransferredOut,
    GrantChargedBack,
    GrantRefunded,
    ReceivableLowered,
    TransferReturned,
    TransferSettled,
)
from ledger_service.domain.invariants import broken_invariants
from ledger_service.domain.refusals import Refusal
from ledger_service.domain.values import GrantCategory, Money, ShortfallMode
from ledger_service.domain.wallet.state import in_transit_units, posted_units
from ledger_service.projections.bookkeeping.books import LotKey
from ledger_service.projections.events.wallet_events import read_wallet_events
from ledger_service.projections.wallets.wallet_tallies import Tallies
from ledger_service.projections.wallets.wallet_view import fold_wallet_view
from tests.builders import NOW, WALLET, Book, open_wallet
from tests.fakes.projection_log import MemoryJournal, stored
from tests.property.ledger.test_projections import cut
from tests.transfers import BETA, arrival, arrive, buy, chargeback, send, transfer, two_wallets

HOUR = timedelta(hours=1)
WALLETS = (WALLET, BETA)
KINDS = (
    *("buy", "buy", "gift", "debit", "debit", "hold", "release", "refund", "revoke", "charge_back"),
    *("send", "send", "send", "arrive", "arrive", "come_back", "settle"),
)
CUTS = st.lists(st.integers(0, 60), max_size=6)


class Act(msgspec.Struct, frozen=True):
    """One thing that somebody tries in one of two wallets."""

    kind: str
    wallet: str
    units: int
    nanos: int
    pick: int
    hours_later: int
    partly: bool


ACTS = st.lists(
    st.builds(
        Act,
        kind=st.sampled_from(KINDS),
        wallet=st.sampled_from(WALLETS),
        units=st.integers(1, 12),
        nanos=st.integers(0, 100),
        pick=st.integers(0, 4),
        hours_later=st.sampled_from([0, 0, 0, 1, 5]),
        partly=st.booleans(),
    ),
    max_size=40,
)


class Played:
    """Two wallets, and the transfers whose arrival is known by its key."""

    def __init__(self) -> None:
        self.ledger = Book()
        for name in WALLETS:
            self.ledger.run(open_wallet(wallet=name, mode=ShortfallMode.SOFT))
        self.arrived: set[tuple[str, int]] = set()
        self.now = NOW

    def play(self, act: Act) -> None:
        """Try an act; a refusal leaves nothing."""
        self.now += act.hours_later * HOUR
        try:
            if act.kind == "arrive":
                self._arrive(act)
            elif (command := self._command(act)) is not None:
                self.ledger.run(command, self.now)
        except Refusal:
            return

    def _arrive(self, act: Act) -> None:
        version = self._pick(act, CreditsTransferredOut)
        if version is None or (act.wallet, version) in self.arrived:
            return
        if version in {each.transfer_version for each in self.ledger.wallet(act.wallet).transfers}:
            self.ledger.run(arrival(self.ledger, version, wallet=act.wallet), self.now)
            self.arrived.add((act.wallet, version))

    def _command(self, act: Act) -> AnyCommand | None:
        match act.kind:
            case "buy" | "gift":
                return self._grant(act)
            case "debit":
                return Debit(act.wallet, act.units)
            case "hold":
                return PlaceHold(act.wallet, act.units, ttl=(1 + act.pick) * HOUR)
            case "send":
                other = BETA if act.wallet == WALLET else WALLET
                return transfer(act.units, wallet=act.wallet, destination=other)
            case "release":
                version = self._pick(act, CreditsHeld)
                return None if version is None else ReleaseHold(act.wallet, version)
            case "settle" | "come_back":
                return self._end(act)
            case _:
                version = self._pick(act, CreditsGranted, CreditsTransferredIn)
                if version is None:
                    return None
                if act.kind == "refund":
                    return RefundGrant(act.wallet, version, act.units if act.partly else 0)
                if act.kind == "revoke":
                    return RevokeGrant(act.wallet, version)
                nanos = act.nanos if act.partly else None
                return chargeback(self.ledger, version, nanos, wallet=act.wallet)

    def _grant(self, act: Act) -> GrantCredits:
        lasts = (None, 3, 6, 9, 50)[act.pick]
        return GrantCredits(
            act.wallet,
            act.units,
            GrantCategory.PAID if act.kind == "buy" else GrantCategory.PROMOTIONAL,
            expire_time=None if lasts is None else self.now + lasts * HOUR,
            consideration=Money("EUR", act.nanos) if act.kind == "buy" else None,
        )

    def _end(self, act: Act) -> SettleTransfer | ReturnTransfer | None:
        version = self._pick(act, CreditsTransferredOut)
        if version is None:
            return None
        # As the courier does it: what has arrived is settled, what has not may come back.
        if (act.wallet, version) in self.arrived:
            return SettleTransfer(act.wallet, version)
        return ReturnTransfer(act.wallet, version, "REFUSED") if act.kind == "come_back" else None

    def _pick(self, act: Act, *kinds: type) -> int | None:
        found = [
            each.version
            for each in self.ledger.log
            if each.stream == act.wallet and isinstance(each.fact.event, kinds)
        ]
        return found[-1 - act.pick % len(found)] if found else None

    def on_its_way(self) -> list[CreditsTransferredOut]:
        """Return what has left and neither arrived nor come back, from the log alone."""
        back = {
            (each.stream, each.fact.event.transfer_version)
            for each in self.ledger.log
            if isinstance(each.fact.event, TransferReturned)
        }
        return [
            each.fact.event
            for each in self.ledger.log
            if isinstance(each.fact.event, CreditsTransferredOut)
            and (each.stream, each.version) not in back | self.arrived
        ]


def played(acts: Sequence[Act]) -> Played:
    """Return the end of a history."""
    play = Played()
    for act in acts:
        play.play(act)
    return play


@given(ACTS)
def test_every_unit_is_somewhere_at_every_step(acts: list[Act]) -> None:
    play = Played()
    for act in acts:
        play.play(act)
        wallets = [play.ledger.wallet(name) for name in WALLETS]
        for name, wallet in zip(WALLETS, wallets, strict=True):
            last = next(each.fact for each in reversed(play.ledger.log) if each.stream == name)
            assert list(broken_invariants(wallet, last)) == []
        travelling = sum(each.amount_units for each in play.on_its_way())
        assert sum(wallet.granted_units for wallet in wallets) == travelling + sum(
            posted_units(wallet) + wallet.drawn_units + wallet.expired_units + wallet.revoked_units
            for wallet in wallets
        )
        assert travelling <= sum(in_transit_units(wallet) for wallet in wallets)


@given(ACTS)
def test_liability_is_what_lots_defer_and_what_is_on_its_way(acts: list[Act]) -> None:
    play = played(acts)
    store = MemoryJournal()
    store.apply([stored(play.ledger)])
    liability = 0
    for _, sums in sorted(store.sums_of("EUR").items()):
        liability += sums.liability_nanos

    travelling = sum(
        part.consideration.nanos
        for each in play.on_its_way()
        for part in each.slices
        if part.consideration is not None
    )
    assert liability == travelling + sum(lot.deferred_nanos for lot in store.lots.values())
    assert all(lot.deferred_nanos >= 0 for lot in store.lots.values())
    assert all(lot.deferred_nanos == 0 for lot in store.lots.values() if lot.used_up)


@given(ACTS)
def test_no_more_leaves_a_grant_than_was_paid_for_it(acts: list[Act]) -> None:
    ledger = played(acts).ledger
    paid_out: dict[tuple[str, int], int] = {}
    paid: dict[tuple[str, int], int] = {}
    for each in ledger.log:
        match each.fact.event:
            case CreditsGranted(consideration=money) if money is not None:
                paid[each.stream, each.version] = money.nanos
            case CreditsTransferredIn(lot=lot) if lot.consideration is not None:
                paid[each.stream, each.version] = lot.consideration.nanos
            case GrantRefunded(grant_version=version, refund=refund):
                key = (each.stream, version)
                paid_out[key] = paid_out.get(key, 0) + refund.nanos
            case GrantChargedBack(grant_version=version, amount=amount):
                key = (each.stream, version)
                paid_out[key] = paid_out.get(key, 0) + amount.nanos
            case _:
                pass

    for name in WALLETS:
        moved = ledger.wallet(name).moved
        for version, part in moved.items():
            assert part.nanos >= 0
            assert part.nanos + paid_out.get((name, version), 0) <= paid[name, version]
    assert all(nanos <= paid[key] for key, nanos in paid_out.items())


@given(ACTS)
def test_what_was_charged_back_was_withdrawn_or_is_owed(acts: list[Act]) -> None:
    ledger = played(acts).ledger
    amounts: dict[tuple[str, int], int] = {}
    withdrawn: dict[tuple[str, int], int] = {}
    for each in ledger.log:
        match each.fact.event:
            case GrantChargedBack(grant_version=version, amount=amount, receivable=receivable):
                amounts[each.stream, version] = amount.nanos
                withdrawn[each.stream, version] = amount.nanos - receivable.nanos
            case ReceivableLowered(grant_version=version, reduction=reduction):
                withdrawn[each.stream, version] += reduction.nanos
            case _:
                pass

    for (name, version), taken in amounts.items():
        owed = ledger.wallet(name).receivables[version].nanos
        assert owed >= 0
        assert withdrawn[name, version] + owed == taken
        lots = [lot for lot in ledger.wallet(name).lots if lot.grant_version == version]
        assert not owed or not any(lot.remaining_units for lot in lots), "nothing is left to use while owed"


@given(ACTS, CUTS)
def test_the_projections_are_the_same_however_the_log_is_cut(acts: list[Act], cuts: list[int]) -> None:
    log = stored(played(acts).ledger)
    whole, pieces = MemoryJournal(), MemoryJournal()
    whole.apply([log])
    view: Tallies = {}
    for piece in cut(log, cuts):
        pieces.apply([piece])
        fold_wallet_view(view, read_wallet_events(piece))
    once: Tallies = {}
    fold_wallet_view(once, read_wallet_events(log))

    assert (pieces.lots, pieces.sums) == (whole.lots, whole.sums)
    assert view == once


@given(ACTS)
def test_the_view_knows_what_is_left_owed_and_on_its_way(acts: list[Act]) -> None:
    ledger = played(acts).ledger
    tallies: Tallies = {}
    fold_wallet_view(tallies, read_wallet_events(stored(ledger)))

    for name in WALLETS:
        wallet, tally = ledger.wallet(name), tallies[name]
        open_transfers = {version for version, sent in tally.transfers.items() if sent is not None}
        assert open_transfers == {each.transfer_version for each in wallet.transfers}
        left = {}
        for version, lot in tally.lots.items():
            assert lot.issued is not None
            gone = lot.drawn_units + lot.expired_units + lot.revoked_units + lot.transferred_units
            left[version] = lot.issued.granted.amount_units - gone
            owed = wallet.receivables.get(version)
            assert lot.receivable_nanos == (owed.nanos if owed is not None else 0)
        assert {version: units for version, units in left.items() if units} == {
            lot.grant_version: lot.remaining_units + lot.held_units for lot in wallet.lots
        }


@given(st.integers(0, 10**6), st.lists(st.integers(1, 9), min_size=1, max_size=12))
def test_any_split_into_transfers_moves_the_whole_cost_basis(nanos: int, parts: list[int]) -> None:
    ledger = two_wallets()
    buy(ledger, sum(parts), nanos)

    for units in parts:
        arrive(ledger, send(ledger, units))

    there = [lot.consideration.nanos for lot in ledger.wallet(BETA).lots if lot.consideration is not None]
    assert sum(there) == nanos
    store = MemoryJournal()
    store.apply([stored(ledger)])
    assert store.lots[LotKey(WALLET, 2)].deferred_nanos == 0
    assert sum(lot.deferred_nanos for key, lot in store.lots.items() if key.wallet == BETA) == nanos


def test_the_acts_reach_what_the_laws_are_about() -> None:
    play = Played()
    for kind, wallet in (
        *(("buy", WALLET), ("buy", WALLET), ("send", WALLET), ("arrive", WALLET), ("settle", WALLET)),
        *(("send", WALLET), ("come_back", WALLET), ("hold", WALLET), ("charge_back", WALLET)),
        *(("release", WALLET), ("refund", BETA)),
    ):
        play.play(Act(kind, wallet, 5, 100, 0, 0, partly=False))

    assert {type(each.fact.event) for each in play.ledger.log} >= {
        *(CreditsTransferredOut, CreditsTransferredIn, TransferSettled, TransferReturned),
        *(GrantChargedBack, ReceivableLowered, GrantRefunded),
    }
