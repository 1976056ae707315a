"""A wallet against a naive model of another shape.

The model keeps no lots, no totals and nothing that is due: only the list of what was asked and accepted. At every
check it starts again from nothing, turns each grant into single units and lets time, debits, holds and reversals
move each unit by itself, looking through all of them for the one to take.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any, NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ledger_service.application.ports import LoadedStream, StoredEvent
from ledger_service.application.writing.stream_cache import restore, take_snapshot
from ledger_service.domain.calendar import add_period
from ledger_service.domain.commands import (
    AnyCommand,
    CaptureHold,
    CloseWallet,
    Debit,
    ExtendGrant,
    GrantCredits,
    OverHold,
    PlaceHold,
    RefundGrant,
    ReleaseHold,
    ReverseDebit,
    RevokeGrant,
    UpdateWallet,
)
from ledger_service.domain.refusals import (
    CaptureExceedsHold,
    ExtensionNotLater,
    GrantNotActive,
    GrantNotRefundable,
    HoldNotActive,
    InsufficientCredit,
    OverageLimitExceeded,
    RefundExceedsGrant,
    Refusal,
    ReversalExceedsDebit,
    WalletInUse,
    WalletIsClosed,
    WalletNotEmpty,
)
from ledger_service.domain.topics import TOPIC_OF, encode_fact
from ledger_service.domain.values import GrantCategory, ShortfallMode
from ledger_service.domain.wallet.room import cap_uses
from ledger_service.domain.wallet.settle import settled
from ledger_service.domain.wallet.state import debt_units, posted_units
from tests.builders import (
    CONTRACT,
    NOW,
    WALLET,
    Book,
    book,
    capture,
    create_rate_card,
    extend,
    grant,
    open_wallet,
    plan_phase,
    publish_phase,
    publish_plan,
    recurring,
    refund,
    release,
    revoke,
    sign_contract,
)
from tests.property.ledger.domain.histories import (
    ALERTS,
    HOUR,
    SETTLE,
    Step,
    cap_updates,
    charged_debits,
    debit_offsets,
    debits,
    grant_offsets,
    grants,
    holds,
    lifetimes,
    modes,
    purchases,
)
from tests.property.ledger.domain.naive_caps import NaiveCaps, Who, refuse_beyond
from tests.property.ledger.domain.naive_totals import NaiveTotals, metered_debit, metered_lines

LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)
FAR_AHEAD = datetime(9999, 1, 1, tzinfo=UTC)
BEFORE_CLOSING = 8
"""Commands that a wallet takes before it may be closed, so that there is something to see afterwards."""
RANK = ["PROMOTIONAL", "INCLUDED", "PAID"]


class Unit:
    """One unit of credit."""

    def __init__(
        self, version: int, number: int, asked: GrantCredits, span: tuple[datetime, datetime]
    ) -> None:
        self.version = version
        self.number = number
        self.asked = asked
        self.begins, self.ends = span
        self.is_now = "free"

    def serves(self, feature: str, instant: datetime) -> bool:
        """Say whether it may pay for something at an instant."""
        in_scope = self.asked.scope == () or feature in self.asked.scope
        return self.is_now == "free" and self.begins <= instant < self.ends and in_scope

    def place(self) -> tuple[Any, ...]:
        """Return its place in the burn-down order."""
        rank = RANK.index(self.asked.category.value)
        scoped_first = 0 if self.asked.scope else 1
        return (self.asked.priority, self.ends, rank, scoped_first, self.begins, self.number)

    def kind(self) -> tuple[Any, ...]:
        """Return what can be seen of it from outside."""
        return (self.asked.priority, self.begins, self.ends, self.asked.category, self.asked.scope)


class Paid:
    """What paid for a debit so far."""

    def __init__(self, feature: str, instant: datetime, who: Who, recorded: datetime, version: int) -> None:
        self.feature = feature
        self.instant = instant
        self.who = who
        self.recorded = recorded
        self.version = version
        self.units: list[Unit] = []
        self.overage = 0
        self.owed = 0

    def left(self) -> int:
        """Return what of the debit was not reversed."""
        return self.overage + self.owed + len(self.units)


class Told(NamedTuple):
    """A policy from an instant on, and how many commands had been accepted when the wallet was told."""

    from_time: datetime
    mode: ShortfallMode
    limit: int
    after_commands: int


class NaiveWallet:
    """Everything that happened to a wallet, played again from nothing."""

    def __init__(self, policies: list[Told]) -> None:
        self.policies = policies
        self.applied = 0
        self.units: list[Unit] = []
        self.grants = 0
        self.debits: dict[int, Paid] = {}
        self.holds: dict[int, tuple[list[Unit], datetime, Who]] = {}
        self.caps = NaiveCaps()
        self.series: dict[int, tuple[GrantCredits, datetime, int]] = {}
        self.revoked: set[int] = set()
        self.closed = False
        self.totals = NaiveTotals()

    # Time

    def pass_time(self, now: datetime) -> None:
        """Do what falls due, instant by instant."""
        while (instant := min(self.due(), default=FAR_AHEAD)) <= now:
            for version, (slices, timeout, _) in list(self.holds.items()):
                if timeout <= instant:
                    self.free(slices)
                    del self.holds[version]
            self.end_units(instant)
            for version, (asked, anchor, number) in list(self.series.items()):
                if self.boundary(asked, anchor, number) <= instant:
                    self.issue(version, asked, anchor, number + 1)
            self.repay(instant)

    def due(self) -> Iterator[datetime]:
        """Yield every instant at which time does something."""
        yield from (unit.ends for unit in self.units if unit.is_now == "free")
        yield from (timeout for _, timeout, _ in self.holds.values())
        yield from (self.boundary(*each) for each in self.series.values())
        yield from (instant for instant, _, _ in self.payments())

    @staticmethod
    def boundary(asked: GrantCredits, anchor: datetime, number: int) -> datetime:
        """Return the end of a period."""
        assert asked.recurrence is not None
        return add_period(anchor, asked.recurrence.period, asked.recurrence.zone, times=number)

    def issue(self, version: int, asked: GrantCredits, anchor: datetime, number: int) -> None:
        """Make the units of a period; those after the first have no version of their own."""
        assert asked.recurrence is not None
        begins = anchor if number == 1 else self.boundary(asked, anchor, number - 1)
        span = (begins, self.boundary(asked, anchor, number))
        self.make(version if number == 1 else 0, asked, span)
        self.series[version] = (asked, anchor, number)
        if number == asked.recurrence.period_count:
            del self.series[version]

    def make(self, version: int, asked: GrantCredits, span: tuple[datetime, datetime]) -> None:
        """Make the units of a grant."""
        self.grants += 1
        self.units += [Unit(version, self.grants, asked, span) for _ in range(asked.amount_units)]

    def end_units(self, instant: datetime) -> None:
        """Revoke and expire free units whose time is over."""
        for unit in self.units:
            if unit.is_now == "free" and (unit.version in self.revoked or self.closed):
                unit.is_now = "revoked"
            if unit.is_now == "free" and unit.ends <= instant:
                unit.is_now = "expired"

    def payments(self) -> Iterator[tuple[datetime, Paid, Unit]]:
        """Yield every way in which a free unit could pay for a debt, with the instant from which it could."""
        for paid in self.debits.values():
            for unit in self.units if paid.owed else ():
                instant = max(unit.begins, paid.instant)
                if unit.serves(paid.feature, instant):
                    yield instant, paid, unit

    def repay(self, now: datetime) -> None:
        """Pay debts unit by unit: earliest first, oldest debt first, in burn-down order."""
        order = list(self.debits.values())
        while ways := [each for each in self.payments() if each[0] <= now]:
            _, paid, unit = min(ways, key=lambda each: (each[0], order.index(each[1]), each[2].place()))
            unit.is_now = "used"
            paid.units.append(unit)
            paid.owed -= 1

    @staticmethod
    def free(units: list[Unit]) -> None:
        """Give units back."""
        for unit in units:
            unit.is_now = "free"

    # Commands: each refuses before it changes anything that matters, for a refused model is thrown away

    def apply(self, command: AnyCommand, now: datetime, version: int) -> None:  # noqa: C901
        """Do what a command asks. Raises Refusal."""
        if self.closed and isinstance(
            command, GrantCredits | PlaceHold | ExtendGrant | UpdateWallet | CloseWallet
        ):
            raise WalletIsClosed("")
        if self.closed and isinstance(command, Debit) and not command.delivered:
            raise WalletIsClosed("")
        match command:
            case CloseWallet():
                self.close(command, now)
            case GrantCredits():
                self.grant(command, now, version)
            case Debit():
                self.debit(command, now, version)
            case PlaceHold():
                self.hold(command, now, version)
            case CaptureHold():
                self.capture(command, now, version)
            case ReleaseHold():
                self.free(self.held(command.hold_version))
                del self.holds[command.hold_version]
                self.lapse(now)
            case ReverseDebit():
                self.reverse(command, now)
            case RevokeGrant() | RefundGrant() | ExtendGrant():
                self.withdraw(command, now)
            case UpdateWallet():
                self.caps.give(command.rules, version)
            case _:
                raise AssertionError(command)

    def close(self, command: CloseWallet, now: datetime) -> None:
        """Close."""
        # The contract that may be signed has no end.
        if self.holds or len(self.policies) > 1 or any(paid.owed for paid in self.debits.values()):
            raise WalletInUse("")
        if not command.forfeit and (self.series or any(unit.is_now == "free" for unit in self.units)):
            raise WalletNotEmpty("")
        self.closed = True
        self.series.clear()
        self.end_units(now)

    def grant(self, command: GrantCredits, now: datetime, version: int) -> None:
        """Grant."""
        begins = command.effective_time or now
        if command.recurrence is not None:
            self.issue(version, command, begins, 1)
        else:
            self.make(version, command, (begins, command.expire_time or FAR_AHEAD))
        self.repay(now)

    def hold(self, command: PlaceHold, now: datetime, version: int) -> None:
        """Hold."""
        who = (command.api_key, command.user, command.feature)
        refuse_beyond(self.rooms(who, now), command.amount_units)
        units = self.take(command.amount_units, command.feature, now)
        if len(units) < command.amount_units:
            raise InsufficientCredit("")
        for unit in units:
            unit.is_now = "held"
        ttl = timedelta(minutes=10) if command.ttl is None else command.ttl
        self.holds[version] = (units, now + ttl, who)

    def rooms(self, who: Who, now: datetime) -> list[tuple[int, str]]:
        """Return the room that the caps leave somebody."""
        held = [(holder, len(slices)) for slices, _, holder in self.holds.values()]
        return self.caps.rooms(who, list(self.debits.values()), held, now)

    def take(self, amount: int, feature: str, instant: datetime) -> list[Unit]:
        """Use units up, one by one, as many as there are."""
        taken: list[Unit] = []
        while len(taken) < amount and (
            usable := [unit for unit in self.units if unit.serves(feature, instant)]
        ):
            unit = min(usable, key=Unit.place)
            unit.is_now = "used"
            taken.append(unit)
        return taken

    def debit(self, command: Debit, now: datetime, version: int) -> None:
        """Debit."""
        instant = command.effective_time or now
        amount = command.amount_units
        if command.charge is not None:
            amount = self.totals.charge(command.charge, instant)
        who = (command.api_key, command.user, command.feature)
        rooms = [] if command.delivered else self.rooms(who, now)
        paid = Paid(command.feature, instant, who, now, version)
        if command.take_available:
            if not any(unit.serves(command.feature, instant) for unit in self.units):
                raise InsufficientCredit("")
            amount = min([amount, *(max(room, 0) for room, _ in rooms)])
            refuse_beyond(rooms, amount or 1)
        paid.units = self.take(amount, command.feature, instant)
        if command.take_available:
            amount = len(paid.units)
        refuse_beyond(rooms, amount)
        self.fall_short(paid, amount - len(paid.units), delivered=command.delivered)
        self.debits[version] = paid
        self.repay(now)

    def fall_short(self, paid: Paid, missing: int, *, delivered: bool) -> None:
        """Record what no unit covers as the policy says."""
        known = [each for each in self.policies if each.after_commands <= self.applied]
        in_force = [each for each in known if each.from_time <= paid.instant]
        _, mode, limit, _ = max(in_force, key=lambda policy: policy.from_time)
        if missing and not delivered:
            if mode is ShortfallMode.HARD:
                raise InsufficientCredit("")
            before = sum(each.overage + each.owed for each in self.debits.values())
            if limit and before + missing > limit:
                raise OverageLimitExceeded("")
        if mode is ShortfallMode.ADVANCE and not self.closed:
            paid.owed = missing
        else:
            paid.overage = missing

    def held(self, version: int) -> list[Unit]:
        """Return what a hold reserves."""
        if version not in self.holds:
            raise HoldNotActive("")
        return self.holds[version][0]

    def capture(self, command: CaptureHold, now: datetime, version: int) -> None:
        """Capture."""
        slices = self.held(command.hold_version)
        rooms = self.rooms(self.holds[command.hold_version][2], now)
        _, timeout, who = self.holds.pop(command.hold_version)
        feature = who[2]
        paid = Paid(feature, now, who, now, version)
        paid.units, rest = slices[: command.amount_units], slices[command.amount_units :]
        excess = command.amount_units - len(paid.units)
        if excess and command.over_hold is OverHold.REJECT:
            raise CaptureExceedsHold("")
        refuse_beyond(rooms, excess)
        for unit in paid.units:
            unit.is_now = "used"
        extra = self.take(excess, feature, now)
        paid.units += extra
        self.fall_short(paid, excess - len(extra), delivered=False)
        self.debits[version] = paid
        if command.final:
            self.free(rest)
        elif rest:
            self.holds[command.hold_version] = (rest, timeout, who)
        self.lapse(now)

    def lapse(self, now: datetime) -> None:
        """End what came back too late, and pay with the rest."""
        self.end_units(now)
        self.repay(now)

    def reverse(self, command: ReverseDebit, now: datetime) -> None:
        """Reverse unit by unit: overage, then debt, then the unit that was taken last."""
        paid = self.debits[command.debit_version]
        left = paid.left()
        if not left or command.amount_units > left:
            raise ReversalExceedsDebit("")
        for _ in range(command.amount_units or left):
            if paid.overage:
                paid.overage -= 1
            elif paid.owed:
                paid.owed -= 1
            else:
                self.free([paid.units.pop()])
        self.lapse(now)

    def withdraw(self, command: RevokeGrant | RefundGrant | ExtendGrant, now: datetime) -> None:
        """Revoke, refund or extend."""
        version = command.grant_version
        mine = [unit for unit in self.units if unit.version == version]
        free = [unit for unit in mine if unit.is_now == "free"]
        is_gone = version in self.revoked or not any(unit.is_now in ("free", "held") for unit in mine)
        if is_gone and not (isinstance(command, RevokeGrant) and version in self.series):
            raise GrantNotActive("")
        match command:
            case RevokeGrant():
                self.revoked.add(version)
                self.series.pop(version, None)
                self.end_units(now)
            case RefundGrant(amount_units=asked):
                self.refund(mine[0].asked, free, asked)
            case ExtendGrant(expire_time=later):
                self.extend(mine, later, now)

    @staticmethod
    def refund(granted: GrantCredits, free: list[Unit], asked: int) -> None:
        """Refund."""
        if granted.consideration is None:
            raise GrantNotRefundable("")
        if not free or asked > len(free):
            raise RefundExceedsGrant("")
        for unit in free[: asked or len(free)]:
            unit.is_now = "revoked"

    def extend(self, mine: list[Unit], later: datetime | None, now: datetime) -> None:
        """Extend."""
        if mine[0].asked.recurrence is not None or mine[0].ends <= now:
            raise GrantNotActive("")
        if mine[0].ends == FAR_AHEAD or (later is not None and later <= mine[0].ends):
            raise ExtensionNotLater("")
        for unit in mine:
            unit.ends = later or FAR_AHEAD
        self.repay(now)


Past = list[tuple[datetime, int, AnyCommand]]
Totals = dict[str, Any]


def played(past: Past, policies: list[Told], now: datetime) -> NaiveWallet:
    """Return a naive wallet after everything that was accepted."""
    naive = NaiveWallet(policies)
    for at, version, command in past:
        naive.pass_time(at)
        naive.apply(command, at, version)
        naive.applied += 1
    naive.pass_time(now)
    return naive


def totals_of(naive: NaiveWallet, now: datetime) -> Totals:
    """Return what can be said about a naive wallet."""
    states = Counter(unit.is_now for unit in naive.units)
    return {
        "granted": len(naive.units),
        "posted": states["free"] + states["held"],
        "drawn": states["used"],
        "expired": states["expired"],
        "revoked": states["revoked"],
        "overage": sum(paid.overage for paid in naive.debits.values()),
        "owed": {version: paid.owed for version, paid in naive.debits.items() if paid.owed},
        "free": Counter(unit.kind() for unit in naive.units if unit.is_now == "free"),
        "held": Counter(unit.kind() for unit in naive.units if unit.is_now == "held"),
        "fraction": naive.totals.charged - naive.totals.debited,
        "totals": naive.totals.counted(),
        "caps": {
            cap.name: (
                cap.used(naive.debits.values(), now),
                sum(len(slices) for slices, _, who in naive.holds.values() if cap.is_for(who)),
            )
            for cap in naive.caps.caps
        },
    }


class WalletMachine(RuleBasedStateMachine):
    """Drives a wallet and the model side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Book()
        self.past: Past = []
        self.policies: list[Told] = []
        self.now = NOW
        self.signed = False

    @initialize(mode=modes, limit=st.sampled_from([0, 0, 5]))
    def open(self, mode: ShortfallMode, limit: int) -> None:
        """Open the wallet."""
        self.ledger = book(
            create_rate_card(),
            publish_phase(),
            publish_plan(
                plan_phase("first", duration="P1D", mode=ShortfallMode.SOFT),
                plan_phase("second", mode=ShortfallMode.HARD),
            ),
            open_wallet(mode=mode, overage_limit_units=limit, alerts=ALERTS),
        )
        self.policies = [Told(LONG_AGO, mode, limit, 0)]

    def both(self, command: AnyCommand) -> None:
        """Send a command to the wallet, which must answer as the model does."""
        naive = played(self.past, self.policies, self.now)
        try:
            naive.apply(command, self.now, 0)
        except Refusal as refusal:
            with pytest.raises(type(refusal)):
                self.ledger.run(command, self.now)
            return
        recorded = self.ledger.run(command, self.now)
        version = next(each.version for each in recorded if each.fact.fingerprint)
        self.past.append((self.now, version, command))

    def versions(self, *kinds: type) -> list[int]:
        """Return the versions of what commands of some kinds caused, newest first."""
        return [version for _, version, command in self.past[::-1] if isinstance(command, kinds)]

    @rule(step=st.sampled_from([timedelta(microseconds=1), HOUR, 2 * HOUR, 5 * HOUR, 24 * HOUR]))
    def time_passes(self, step: timedelta) -> None:
        """Let time pass."""
        self.now += step

    @rule(command=grants | purchases, offset=grant_offsets, lifetime=lifetimes)
    def grant(self, command: GrantCredits, offset: timedelta | None, lifetime: timedelta | None) -> None:
        """Grant."""
        self.both(Step(timedelta(), command, offset, lifetime).at(self.now, self.ledger))

    @rule(
        units=st.integers(1, 9),
        period=st.sampled_from(["PT1H", "PT5H", "P1D"]),
        count=st.sampled_from([1, 2, 3, 0]),
        offset=grant_offsets,
    )
    def grant_again_and_again(self, units: int, period: str, count: int, offset: timedelta | None) -> None:
        """Grant for every period."""
        command = grant(units, recurrence=recurring(period, count=count))
        self.both(Step(timedelta(), command, offset).at(self.now, self.ledger))

    @rule(command=debits | charged_debits, offset=debit_offsets)
    def debit(self, command: Debit, offset: timedelta | None) -> None:
        """Debit."""
        self.both(Step(timedelta(), command, offset).at(self.now, self.ledger))

    @rule(lines=metered_lines, offset=debit_offsets)
    def debit_by_totals(self, lines: list[tuple[str, int, str, int]], offset: timedelta | None) -> None:
        """Debit usage that was priced on running totals, sometimes on wrong ones; some of it gives back."""
        known = played(self.past, self.policies, self.now).totals
        effective_time = None if offset is None else self.now + offset
        self.both(metered_debit(known, effective_time or self.now, lines, effective_time))

    @rule(command=cap_updates)
    def cap(self, command: UpdateWallet) -> None:
        """Give other caps."""
        self.both(command)

    @rule(command=holds)
    def hold(self, command: PlaceHold) -> None:
        """Hold."""
        self.both(command)

    @precondition(lambda self: self.versions(PlaceHold))
    @rule(data=st.data(), units=st.integers(0, 12), final=st.booleans(), over=st.sampled_from(list(OverHold)))
    def capture(self, data: st.DataObject, units: int, final: bool, over: OverHold) -> None:
        """Capture."""
        version = data.draw(st.sampled_from(self.versions(PlaceHold)))
        self.both(capture(version, units, final=final, over_hold=over))

    @precondition(lambda self: self.versions(PlaceHold))
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        """Release."""
        self.both(release(data.draw(st.sampled_from(self.versions(PlaceHold)))))

    @precondition(lambda self: self.versions(Debit, CaptureHold))
    @rule(data=st.data(), units=st.integers(0, 9))
    def reverse(self, data: st.DataObject, units: int) -> None:
        """Reverse."""
        version = data.draw(st.sampled_from(self.versions(Debit, CaptureHold)))
        self.both(self.ledger.reversal(version, units))

    @precondition(lambda self: self.versions(GrantCredits))
    @rule(data=st.data(), what=st.sampled_from(["revoke", "refund", "extend"]), units=st.integers(0, 9))
    def withdraw(self, data: st.DataObject, what: str, units: int) -> None:
        """Revoke, refund or extend."""
        version = data.draw(st.sampled_from(self.versions(GrantCredits)))
        later = self.now + units * HOUR if units else None
        commands: dict[str, AnyCommand] = {
            "revoke": revoke(version),
            "refund": refund(version, units),
            "extend": extend(version, later),
        }
        self.both(commands[what])

    @precondition(lambda self: len(self.past) > BEFORE_CLOSING)
    @rule(forfeit=st.booleans())
    def close(self, forfeit: bool) -> None:
        """Close."""
        self.both(CloseWallet(WALLET, forfeit))

    @rule()
    def sweep(self) -> None:
        """Settle."""
        self.ledger.run(SETTLE, self.now)

    @precondition(lambda self: not self.signed and self.ledger.wallet().close_time is None)
    @rule(hours=st.integers(-30, 30))
    def sign(self, hours: int) -> None:
        """Sign a contract: SOFT without limit for a day, then HARD."""
        start = self.now + hours * HOUR

        self.ledger.run(sign_contract(contract=CONTRACT, start_time=start), self.now)

        self.policies.append(Told(start, ShortfallMode.SOFT, 0, len(self.past)))
        self.policies.append(Told(start + 24 * HOUR, ShortfallMode.HARD, 0, len(self.past)))
        self.signed = True

    @rule(with_snapshot=st.booleans())
    def restart(self, with_snapshot: bool) -> None:
        """Forget the state and fold it again from stored bytes."""
        stored = tuple(
            StoredEvent(1, each.stream, each.version, TOPIC_OF[type(each.fact.event)], encode_fact(each.fact))
            for each in self.ledger.log
            if each.stream == WALLET
        )
        entry = restore(WALLET, LoadedStream(None, stored))
        if with_snapshot:
            entry = restore(WALLET, LoadedStream(take_snapshot(WALLET, entry), ()))
        assert entry.state is not None
        self.ledger.states[WALLET] = entry.state

    @invariant()
    def the_wallet_is_what_the_model_says(self) -> None:
        """Compare all that can be said about the wallet now."""
        if not self.ledger.states:
            return
        wallet = settled(self.ledger.wallet(), self.now)
        free, held = Counter[tuple[Any, ...]](), Counter[tuple[Any, ...]]()
        for lot in wallet.lots:
            ends = lot.expire_time or FAR_AHEAD
            kind = (lot.priority, lot.effective_time, ends, lot.category, lot.scope)
            free[kind] += lot.remaining_units
            held[kind] += lot.held_units

        assert totals_of(played(self.past, self.policies, self.now), self.now) == {
            "granted": wallet.granted_units,
            "posted": posted_units(wallet),
            "drawn": wallet.drawn_units,
            "expired": wallet.expired_units,
            "revoked": wallet.revoked_units,
            "overage": wallet.overage_units,
            "owed": {debt.debit_version: debt.amount_units for debt in wallet.debts},
            "free": +free,
            "held": +held,
            "fraction": Fraction(wallet.carried_fraction),
            "totals": {
                (cycle.cycle_start_time, meter): (total.quantity, total.usages)
                for cycle in wallet.totals
                for meter, total in cycle.meters.items()
            },
            "caps": {
                use.terms.budget: (use.used_units, use.held_units) for use in cap_uses(wallet, self.now)
            },
        }
        assert sum(free.values()) + sum(held.values()) == posted_units(wallet)
        assert debt_units(wallet) >= 0


WalletMachine.TestCase.settings = settings(max_examples=settings().max_examples // 2, stateful_step_count=40)
TestWalletAgainstTheModel = WalletMachine.TestCase


def test_the_model_ranks_every_category() -> None:
    assert sorted(RANK) == sorted(category.value for category in GrantCategory)
