"""Alerts against a naive account of each lot, kept from the facts alone.

The account knows of a lot only what was issued, used, held and withdrawn, and when it ended. The law: after
each fact stand just the alerts of the thresholds that lie between the figures before it and after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from fractions import Fraction

from hypothesis import given

from ledger_service.domain.events import (
    CreditsDebited,
    CreditsExpired,
    CreditsGranted,
    CreditsHeld,
    CreditsRolledOver,
    DebitReversed,
    DebtRepaid,
    Draw,
    Event,
    Fact,
    GrantExpiryExtended,
    GrantRefunded,
    GrantRevoked,
    HoldCaptured,
    HoldReleased,
    ThresholdCrossed,
)
from ledger_service.domain.values import AlertKind, CrossingDirection, ShortfallMode
from ledger_service.domain.wallet.alerts import measure
from tests.builders import WALLET
from tests.property.ledger.domain.histories import ALERTS, HOUR, Step, histories, modes, replayed

LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)
FAR_AHEAD = datetime(9999, 1, 1, tzinfo=UTC)
Said = tuple[AlertKind, int, CrossingDirection]


class Account:
    """One lot."""

    def __init__(self, begins: datetime, ends: datetime | None, units: int) -> None:
        self.begins = begins
        self.ends = ends
        self.issued = self.free = units
        self.held = 0
        self.is_over = False
        """It expired or was withdrawn: what comes back to it later is gone at once."""
        self.counts_until = FAR_AHEAD
        """For a lot without an end that was used up: when other credit came."""

    def is_used_up(self) -> bool:
        """Say whether nothing is left of it."""
        return not self.free and not self.held

    def counts(self, instant: datetime) -> bool:
        """Say whether it is part of the figures; up to its end, or at its end as long as it has something."""
        if self.is_over or instant < self.begins or not self.issued:
            return False
        if self.is_used_up() and self.ends is None:
            return instant < self.counts_until
        ends = self.ends or FAR_AHEAD
        return instant < ends or (instant == ends and self.free > 0)


class Accounts:
    """All lots of a wallet, and what was debited by the hour."""

    def __init__(self) -> None:
        self.lots: dict[int, Account] = {}
        self.debited: dict[int, int] = {}

    def figures(self, instant: datetime) -> tuple[int, int]:
        """Return the available units and the entitlement."""
        counted = [lot for lot in self.lots.values() if lot.counts(instant)]
        return sum(lot.free for lot in counted), sum(lot.issued for lot in counted)

    def take(self, draws: tuple[Draw, ...]) -> None:
        """Use free units."""
        for draw in draws:
            self.lots[draw.grant_version].free -= draw.amount_units

    def give(self, draws: tuple[Draw, ...]) -> None:
        """Free held units."""
        for draw in draws:
            self.lots[draw.grant_version].held -= draw.amount_units
            self.lots[draw.grant_version].free += draw.amount_units

    def add(self, fact: Fact[Event], version: int) -> None:  # noqa: C901, PLR0912
        """Count a fact."""
        match fact.event:
            case CreditsGranted(amount_units=units, expire_time=ends, series_version=series):
                for lot in self.lots.values():
                    if lot.ends is None and lot.is_used_up():
                        lot.counts_until = min(lot.counts_until, fact.effective_time)
                self.lots[version] = Account(fact.effective_time, ends, units)
                # What had expired when it was granted was never there.
                self.lots[version].is_over = not series and ends is not None and ends <= fact.record_time
            case CreditsDebited(draws=draws):
                self.take(draws)
            case CreditsHeld(slices=slices):
                self.take(slices)
                for each in slices:
                    self.lots[each.grant_version].held += each.amount_units
            case HoldCaptured(held_draws=held, returned=returned, draws=draws):
                self.give((*held, *returned))
                self.take((*held, *draws))
            case HoldReleased(returned=returned):
                self.give(returned)
            case DebitReversed(returned=back):
                for part in back:
                    lot = self.lots[part.grant_version]
                    lot.counts_until = FAR_AHEAD if lot.is_used_up() else lot.counts_until
                    lot.is_over = lot.is_over or (lot.ends or FAR_AHEAD) <= fact.effective_time
                    lot.free += part.amount_units
            case DebtRepaid(grant_version=grant, amount_units=units):
                self.lots[grant].free -= units
            case CreditsExpired(grant_version=grant, amount_units=units):
                self.lots[grant].free -= units
                self.lots[grant].issued = self.lots[grant].free
            case CreditsRolledOver(grant_version=grant, amount_units=units, lot=terms):
                self.lots[grant].free -= units
                self.lots[version] = Account(terms.effective_time, terms.expire_time, units)
            case GrantExpiryExtended(grant_version=grant, expire_time=ends):
                self.lots[grant].ends = ends
            case GrantRevoked(grant_version=grant, amount_units=units, clawback=clawback):
                self.withdraw(self.lots[grant], units, whole=not clawback)
            case GrantRefunded(grant_version=grant, amount_units=units):
                self.withdraw(self.lots[grant], units, whole=False)
            case _:
                pass

    @staticmethod
    def withdraw(lot: Account, units: int, *, whole: bool) -> None:
        """Withdraw units; a lot of which nothing is left then is over, until something comes back to it."""
        lot.free -= units
        lot.issued -= units
        if whole:
            lot.is_over = True
        elif lot.is_used_up():
            lot.counts_until = LONG_AGO
            lot.ends = lot.ends and min(lot.ends, LONG_AGO)


def said(before: tuple[int, int], after: tuple[int, int]) -> Iterator[Said]:
    """Yield the alerts between two figures, one by one as each threshold says."""
    rising, falling = CrossingDirection.RISING, CrossingDirection.FALLING
    if before[1] and after[1]:
        used = [Fraction(figures[1] - figures[0], figures[1]) * 100 for figures in (before, after)]
        for percent in ALERTS.entitlement_percents:
            if (used[0] >= percent) != (used[1] >= percent):
                yield AlertKind.ENTITLEMENT, percent, rising if used[1] >= percent else falling
    for units in ALERTS.low_balance_units:
        if (before[0] <= units) != (after[0] <= units):
            yield AlertKind.LOW_BALANCE, units, falling if after[0] <= units else rising


@given(modes, histories)
def test_the_figures_are_those_of_the_accounts(mode: ShortfallMode, history: list[Step]) -> None:
    ledger, now = replayed(mode, history)
    accounts = Accounts()
    for each in ledger.log:
        accounts.add(each.fact, each.version)

    for hours in range(4):
        instant = now + hours * HOUR
        assert tuple(measure(ledger.wallet(), instant)) == accounts.figures(instant)


@given(modes, histories)
def test_after_each_fact_stand_just_the_alerts_between_the_figures(
    mode: ShortfallMode, history: list[Step]
) -> None:
    ledger, _ = replayed(mode, history)
    accounts = Accounts()
    log = [each for each in ledger.log if each.stream == WALLET]
    index, answered = 0, LONG_AGO
    while index < len(log):
        fact, version = log[index].fact, log[index].version
        index += 1
        alerts: list[Fact[Event]] = []
        while index < len(log) and isinstance(log[index].fact.event, ThresholdCrossed):
            alerts.append(log[index].fact)
            index += 1
        instants = {each.effective_time for each in alerts} or {fact.record_time}
        [instant] = instants
        # A backdated grant that recurs catches up on the past, of which ended lots are forgotten.
        is_past = instant < answered
        answered = fact.record_time if fact.fingerprint else answered
        before = accounts.figures(instant)
        accounts.add(fact, version)
        after = accounts.figures(instant)
        told = [
            (event.kind, event.threshold, event.direction, (event.available_units, event.entitlement_units))
            for event in (each.event for each in alerts)
            if isinstance(event, ThresholdCrossed) and event.kind is not AlertKind.FAST_RISE
        ]
        if is_past:
            continue
        if alerts:
            assert sorted(told, key=str) == sorted(((*each, after) for each in said(before, after)), key=str)
        elif fact.effective_time == fact.record_time:
            assert list(said(before, after)) == []


@given(modes, histories)
def test_a_fast_rise_is_told_once_in_the_hour_that_exceeds_the_average(
    mode: ShortfallMode, history: list[Step]
) -> None:
    ledger, _ = replayed(mode, history)
    hours: dict[int, int] = {}
    first = min(int(each.fact.record_time.timestamp()) // 3600 for each in ledger.log)
    told: list[int] = []
    expected: list[int] = []
    for each in ledger.log:
        hour = int(each.fact.record_time.timestamp()) // 3600
        match each.fact.event:
            case CreditsDebited(amount_units=units) | HoldCaptured(amount_units=units):
                hours[hour] = hours.get(hour, 0) + units
                earlier = range(max(hour - 2, first), hour)
                average = Fraction(sum(hours.get(one, 0) for one in earlier), max(len(earlier), 1))
                if earlier and hours[hour] > Fraction("1.5") * average and hour not in expected:
                    expected.append(hour)
            case ThresholdCrossed(kind=AlertKind.FAST_RISE):
                told.append(hour)
            case _:
                pass

    assert told == [hour for hour in expected if hours[hour] > 0]
