"""Recognition cases: lots sold, used and expired, and the revenue that finance reads from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from decimal import Decimal
from functools import partial
from itertools import groupby
from typing import Final

from credits.ledger.v1 import money_pb2, wallet_pb2
from tests.acceptance.cases.amounts import check_precision, scale_for, to_nanos
from tests.acceptance.cases.fields import Fields, timestamp
from tests.acceptance.cases.recognition_figures import (
    Books,
    ExpectedRow,
    Journal,
    Period,
    compare_journal,
    period_figures,
    read_journal,
)
from tests.acceptance.cases.recognition_lots import Currencies, Lot, read_history
from tests.acceptance.cases.timeline import Playing, Rank, Script, Session, Step
from tests.acceptance.cases.verdicts import Unsupported, compare, number
from tests.acceptance.cases.wallet_ops import CATEGORIES
from tests.acceptance.cases.wallet_play import Reading, WalletPlay

DESCRIPTIONS: Final = ("id", "kind", "title", "source", "note")
PRECISION_DEFAULT: Final = Decimal("0.01")
METHODS: Final = ("none", "remote")
DRAW_ORDERS: Final = (["expiry", "granted", "id"], ["expiry", "promo first", "granted", "id"])
"""Orders that the ledger has, in the words of the files; without promotional lots they are the same."""
WORDS: Final[Mapping[str, str]] = {
    "expiry (none last)": "expiry",
    "promo": "promo first",
    "grant date": "granted",
    "lot id": "id",
}
MICROSECOND: Final = timedelta(microseconds=1)
DAY: Final = timedelta(days=1)


class RecognitionPlay:
    """One recognition case while it is played."""

    def __init__(self, wallet: WalletPlay, currencies: Currencies) -> None:
        """Sell nothing yet."""
        self.wallet = wallet
        self.currencies = currencies
        self.lots: dict[str, Lot] = {}
        self.expiries: list[datetime] = []
        self.units_left: dict[Period, dict[str, Decimal]] = {}

    async def look_at_lots(self, period: Period, session: Session) -> None:
        """Note what is left in each lot at the very end of a period."""
        reading = Reading(session, self.wallet)
        left = {lot_id: await reading.spendable(lot_id) for lot_id in self.wallet.grants}
        self.units_left[period] = {lot_id: units or Decimal(0) for lot_id, units in left.items()}

    async def books(self, session: Session, horizon: datetime) -> Books:
        """Return all that finance says. Raises Unsupported where there is overage."""
        if any(debit.overage_units for debit in self.wallet.debits.values()):
            raise Unsupported("revenue from overage")
        position = self.wallet.position
        histories = {
            lot_id: await read_history(session, lot, position, horizon) for lot_id, lot in self.lots.items()
        }
        for lot_id, history in histories.items():
            days = history.until(horizon)
            self.wallet.playing.expect(f"days of {lot_id}, added up,", history.total, days)
            self.wallet.playing.expect(f"closing of {lot_id}", days.liability, history.closing)
        return Books(self.lots, histories, self.units_left)


def plan_recognition_case(raw: Mapping[str, object], playing: Playing, currencies: Currencies) -> Script:
    """Return the script of a recognition case. Raises Unsupported."""
    case = Fields(raw, place="")
    case.ignore(*DESCRIPTIONS)
    if case.text("kind", "ledger") != "ledger":
        raise Unsupported(f"kind {case.text('kind')}")
    method, precision = _read_policy(case.optional_fields("policy"), case.values("events"))
    scale = scale_for(_units_in(case.values("events")))
    mode = wallet_pb2.SHORTFALL_MODE_HARD
    wallet = WalletPlay(playing, wallet_id=playing.key, scale=scale, shortfall_mode=mode)
    play = RecognitionPlay(wallet, currencies)
    events = [_plan_event(event, play) for event in in_play_order(case.objects("events"))]
    periods = [_read_period(row) for row in case.objects("periods")]
    looks = _plan_expectations(case.fields("expected"), play, periods, precision, method)
    case.finish()
    if not events:
        raise Unsupported("events is empty")
    steps = [*events, *looks]
    first = min(step.at for step in steps if step.at is not None)
    return Script(playing, [Step(first, Rank.VOID, wallet.open), *steps])


def _read_policy(policy: Fields, events: Sequence[object]) -> tuple[str, Decimal]:
    """Return breakage method and precision."""
    method = policy.text("breakage_method", "none")
    if method not in METHODS:
        raise Unsupported(f"policy.breakage_method {method}")
    order = policy.values("draw_order") if "draw_order" in policy else DRAW_ORDERS[0]
    words = [WORDS.get(str(word), str(word)) for word in order]
    promo = any(isinstance(event, Mapping) and event.get("category") == "promo" for event in events)
    if words not in DRAW_ORDERS or (promo and words != DRAW_ORDERS[1] and "draw_order" in policy):
        raise Unsupported(f"policy.draw_order {words}")
    precision = check_precision(policy.decimal("precision", PRECISION_DEFAULT))
    policy.finish()
    return method, precision


def in_play_order(events: Sequence[Fields]) -> list[Fields]:
    """Return the events by date, of one date as they are listed; lots sold side by side are sold by id."""
    ordered = sorted(events, key=lambda event: event.instant("t"))
    found: list[Fields] = []
    for (_, kind), group in groupby(ordered, key=lambda event: (event.instant("t"), event.text("type"))):
        same = list(group)
        found += sorted(same, key=lambda event: event.text("id")) if kind == "grant" else same
    return found


def _plan_event(event: Fields, play: RecognitionPlay) -> Step:
    kind = event.text("type")
    if kind not in EVENTS:
        raise Unsupported(f"event {kind}")
    return EVENTS[kind](event, play)


def plan_grant(event: Fields, play: RecognitionPlay) -> Step:
    """Sell a lot, or give a promotional one away."""
    lot_id, at, units = event.text("id"), event.instant("t"), event.decimal("units")
    expires = event.optional_instant("expires")
    category = event.text("category", "paid")
    consideration = event.decimal("consideration", Decimal(0))
    if category not in CATEGORIES or (category != "paid" and consideration):
        raise Unsupported(f"a lot of category {category} sold for {consideration}")
    event.finish()
    lot = Lot(lot_id, units, consideration, play.currencies.take(), at)
    grant = wallet_pb2.Grant(
        amount_units=play.wallet.units(units),
        category=CATEGORIES[category],
        expire_time=timestamp(expires) if expires is not None else None,
    )
    if category == "paid":
        money = money_pb2.Money(currency_code=lot.currency_code, nanos=to_nanos(consideration))
        grant.consideration.CopyFrom(money)
    if expires is not None:
        play.expiries.append(expires)

    async def run(session: Session) -> None:
        await play.wallet.grant(session, lot_id, grant)
        play.lots[lot_id] = lot

    return Step(at, Rank.USE, run)


def plan_debit(event: Fields, play: RecognitionPlay) -> Step:
    """Use units."""
    debit_id, at, units = event.text("id"), event.instant("t"), play.wallet.units(event.decimal("units"))
    event.finish()

    async def run(session: Session) -> None:
        play.wallet.debits[debit_id] = await play.wallet.debit(session, amount_units=units, delivered=True)

    return Step(at, Rank.USE, run)


EVENTS: Final = {"grant": plan_grant, "debit": plan_debit}


def _read_period(row: Fields) -> Period:
    period = Period(row.instant("from"), row.instant("to"))
    row.finish()
    if any(instant.time() != time() for instant in period):
        raise Unsupported(f"{row.place} does not begin and end at midnight")
    return period


def _plan_expectations(
    expected: Fields, play: RecognitionPlay, periods: Sequence[Period], precision: Decimal, method: str
) -> list[Step]:
    rows = [ExpectedRow(row) for row in expected.objects("rollforward")] if "rollforward" in expected else []
    journal = read_journal(expected.objects("journal")) if "journal" in expected else None
    allocations = expected.optional_fields("allocations")
    revenue = expected.raw("total_revenue_by_period")
    expected.finish()
    ends = [period.to_time for period in periods] + [row.period.to_time for row in rows]
    if not ends:
        raise Unsupported("no period to look at")
    horizon = max(ends)
    horizon = max([horizon, *(day + DAY for day in journal or {})])
    if method == "none" and any(expiry < horizon for expiry in play.expiries):
        raise Unsupported("breakage_method none with an expiry in what is looked at")

    async def look(session: Session) -> None:
        books = await play.books(session, horizon)
        playing = play.wallet.playing
        for row in rows:
            playing.mismatches += row.compare(books, precision)
        figures = [period_figures(books, period, precision) for period in periods]
        got = [each["recognised_usage"] + each["recognised_breakage"] for each in figures]
        if revenue is not None:
            playing.mismatches += compare("total_revenue_by_period", revenue, got, tolerance=precision)
        if journal is not None:
            playing.mismatches += compare_journal(journal, books, _last_day(journal))
        for debit_id in allocations.names():
            playing.expect(f"allocations.{debit_id}", allocations.raw(debit_id), _draws(play, debit_id))

    looks = [
        Step(period.to_time - MICROSECOND, Rank.LOOK, partial(play.look_at_lots, period))
        for period in dict.fromkeys([*periods, *(row.period for row in rows)])
    ]
    return [*looks, Step(horizon, Rank.LOOK, look)]


def _last_day(journal: Journal) -> datetime:
    """Return the end of a journal: what is posted after its last entry is not in it."""
    return max(journal) + DAY


def _draws(play: RecognitionPlay, debit_id: str) -> list[dict[str, object]] | None:
    draws = play.wallet.draws_of(debit_id)
    return None if draws is None else [{"lot": lot_id, "units": units} for lot_id, units in draws]


def _units_in(events: Sequence[object]) -> list[Decimal]:
    raw = [event.get("units") for event in events if isinstance(event, Mapping)]
    return [found for each in raw if (found := number(each)) is not None]
