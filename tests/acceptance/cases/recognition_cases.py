"""Recognition cases: lots sold, used and expired, and the revenue that finance reads from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from itertools import groupby
from typing import Any, Final

from credits.ledger.v1 import wallet_pb2
from tests.acceptance.cases.amounts import check_precision, scale_for
from tests.acceptance.cases.fields import Fields
from tests.acceptance.cases.recognition_books import Currencies, LotState, read_books, read_lots
from tests.acceptance.cases.recognition_events import plan_event
from tests.acceptance.cases.recognition_figures import (
    EXACT_TOLERANCE,
    ExpectedRow,
    Period,
    compare_journal,
    period_revenue,
    read_journal,
)
from tests.acceptance.cases.recognition_play import NOTES, RecognitionPlay
from tests.acceptance.cases.recognition_sales import CATEGORIES, PAID, look_ahead
from tests.acceptance.cases.recognition_uses import GRACE, draws_of, is_late
from tests.acceptance.cases.recognition_words import EXPECTED, POLICY, ROW, respelled, respelled_event
from tests.acceptance.cases.timeline import Playing, Rank, Script, Session, Step
from tests.acceptance.cases.verdicts import Unsupported, compare, number
from tests.acceptance.cases.wallet_play import Reading, WalletPlay

DESCRIPTIONS: Final = (
    *("id", "kind", "title", "source", "note", "notes", "derived", "convention", "area", "category", "name"),
    *("status", "tags", "paragraphs", "description", "currency", "functional_currency", "sim", "fit"),
)
PRECISION_DEFAULT: Final = Decimal("0.01")
METHODS: Final = ("none", "remote", "proportional")
OWN_ORDERS: Final = (["expiry", "granted", "id"], ["expiry", "promo", "granted", "id"])
"""Orders that the ledger has; without promotional lots they are the same."""
WORDS: Final[Mapping[str, str]] = {
    "expires_at": "expiry",
    "expiration": "expiry",
    "promotional": "promo",
    "grant_date": "granted",
    "granted_at": "granted",
    "lot_id": "id",
    "paid_first": "paid first",
    "expiry (none last)": "expiry",
    "expires": "expiry",
    "promo first": "promo",
    "promotional first": "promo",
    "grant date": "granted",
    "date": "granted",
    "fifo": "granted",
    "lot id": "id",
}
NAMED_ORDERS: Final[Mapping[str, list[str]]] = {
    "default": OWN_ORDERS[1],
    "fifo": ["granted", "id"],
    "lifo": ["lifo", "id"],
    "expiry": OWN_ORDERS[1],
    "fefo": OWN_ORDERS[1],
}
NEVER: Final = datetime.max.replace(tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
DAY: Final = timedelta(days=1)


NOTHING_LEFT: Final = LotState(0, Decimal(0))
"""Of a lot that was rolled over into another."""


class Looks:
    """What was seen at the end of each period."""

    def __init__(self, play: RecognitionPlay) -> None:
        """See nothing yet."""
        self._play = play
        self.lots: dict[Period, dict[str, dict[str, Decimal]]] = {}

    async def look(self, period: Period, session: Session) -> None:
        """Note the lots at the very end of a period."""
        play = self._play
        states = await read_lots(session, play.wallet.name)
        reading = Reading(session, play.wallet)
        found: dict[str, dict[str, Decimal]] = {}
        for lot_id, lot in play.lots.items():
            state = states.get(play.wallet.grants[lot_id]) if lot_id not in play.moved else NOTHING_LEFT
            left = play.wallet.amount(state.left_units) if state else await reading.spendable(lot_id)
            found[lot_id] = {
                "units_left": left or Decimal(0),
                "contract_liability": (state or NOTHING_LEFT).contract_liability,
                "cost_basis": (lot.consideration / lot.units).quantize(EXACT_TOLERANCE),
            }
        self.lots[period] = found


def plan_recognition_case(raw: Mapping[str, object], playing: Playing, currencies: Currencies) -> Script:
    """Return the script of a recognition case. Raises Unsupported."""
    case = Fields(raw, place="")
    case.ignore(*DESCRIPTIONS)
    told = [respelled_event(event) for event in case.values("events")]
    wallet = WalletPlay(
        playing,
        wallet_id=playing.key,
        scale=scale_for(_units_in(told)),
        shortfall_mode=wallet_pb2.SHORTFALL_MODE_HARD,
    )
    play = RecognitionPlay(wallet, currencies.take())
    events = in_play_order([Fields(event, place=f"events[{place}]") for place, event in enumerate(told)])
    if not events:
        raise Unsupported("events is empty")
    policy = Fields(respelled(case.raw("policy") or {}, POLICY), place="policy")
    precision = _read_policy(policy, events, play)
    _set_scene(events, play, currencies)
    look_ahead(events, play)
    if any(is_late(event, play) for event in events):
        wallet.late_usage_grace = GRACE
    steps = [plan_event(event, play) for event in events]
    expected = Fields(respelled(case.raw("expected"), EXPECTED), place="expected")
    first = min(step.at for step in steps if step.at is not None)
    looks = _plan_expectations(expected, play, _read_periods(case), precision, first)
    case.finish()
    return Script(playing, [Step(first, Rank.VOID, wallet.open), *steps, *looks])


def _set_scene(events: Sequence[Fields], play: RecognitionPlay, currencies: Currencies) -> None:
    """Give foreign currencies codes of their own, and a case whose periods are closed an entity of its own."""
    looks = [event.afresh() for event in events]
    priced = [look for look in looks if "fx_rate" in look]
    if priced:
        codes = {look.text("currency", "foreign") for look in priced}
        play.foreign = {code: currencies.take() for code in sorted(codes)}
    for look in (each for each in priced if each.text("type") == "rate"):
        told = play.rates.setdefault(look.text("currency", "foreign"), [])
        told.append((look.instant("t"), look.decimal("fx_rate")))
    if any(look.text("type") == "close" for look in looks):
        play.entity = play.wallet.entity = play.wallet.wallet_id
        play.open_from = _midnight(min(look.instant("t") for look in looks))


def _read_policy(policy: Fields, events: Sequence[Fields], play: RecognitionPlay) -> Decimal:
    """Set how the case is played, and return its precision."""
    method = policy.text("breakage_method", "none").lower()
    if method not in METHODS:
        raise Unsupported(f"policy.breakage_method {method}")
    if policy.text("level", "lot") != "lot" and not all("pool" in event for event in _grants(events)):
        raise Unsupported(f"policy.level {policy.text('level')} of lots that are in no pool")
    play.method = method
    words = _order_words(policy) if "draw_order" in policy else OWN_ORDERS[1]
    play.priorities = _priorities(words, events)
    play.promo_first = "promo" in words
    if "overage_price" in policy:
        play.overage_price = policy.decimal("overage_price")
    precision = check_precision(policy.decimal("precision", PRECISION_DEFAULT))
    play.functional = policy.text("functional_currency", policy.text("currency", "USD"))
    policy.ignore(*NOTES)
    policy.finish()
    return precision


def _order_words(policy: Fields) -> list[str]:
    said = policy.raw("draw_order")
    named = NAMED_ORDERS.get(said.lower()) if isinstance(said, str) else None
    return named or [WORDS.get(str(word).lower(), str(word)) for word in policy.values("draw_order")]


def _grants(events: Sequence[Fields]) -> list[Fields]:
    return [event.afresh() for event in events if event.text("type") == "grant"]


def _priorities(words: list[str], events: Sequence[Fields]) -> dict[str, int]:
    """Return the priority of each lot where the ledger's own order is not the one that is meant.

    What is named before the expiry is a priority; from the expiry on the ledger's own order does, if it is the same:
    an expiry may change later. Any other order is one of all lots as they are sold.
    """
    unknown = [word for word in words if word not in RANKS]
    if unknown:
        raise Unsupported(f"policy.draw_order {unknown[0]}")
    grants = _grants(events)
    first = words.index("expiry") if "expiry" in words else len(words)
    rest = [word for word in words[first:] if word != "promo" or "promo" not in words[:first]]
    if rest in OWN_ORDERS and _created_in_order(grants):
        return _ranked(grants, words[:first]) if first else {}
    return _ranked(grants, words)


def _created_in_order(grants: Sequence[Fields]) -> bool:
    """Say whether lots of one day are sold in the order of their ids."""
    sold = [(grant.instant("t"), grant.text("id")) for grant in grants]
    return sold == sorted(sold)


def _ranked(grants: Sequence[Fields], words: Sequence[str]) -> dict[str, int]:
    keys = {grant.text("id"): tuple(RANKS[word](grant) for word in words) for grant in grants}
    places = {key: place for place, key in enumerate(sorted(set(keys.values())))}
    return {lot_id: places[key] for lot_id, key in keys.items()}


RANKS: Final[Mapping[str, Callable[[Fields], Any]]] = {
    "expiry": lambda grant: grant.optional_instant("expires") or NEVER,
    "promo": lambda grant: CATEGORIES.get(grant.text("category", "paid")) == PAID,
    "paid first": lambda grant: CATEGORIES.get(grant.text("category", "paid")) != PAID,
    "granted": lambda grant: grant.instant("t"),
    "lifo": lambda grant: NEVER - grant.instant("t"),
    "id": lambda grant: grant.text("id"),
}


def in_play_order(events: Sequence[Fields]) -> list[Fields]:
    """Return the events by date, of one date as they are listed; lots sold side by side are sold by id."""
    ordered = sorted(events, key=lambda event: event.instant("t"))
    found: list[Fields] = []
    for (_, kind), group in groupby(ordered, key=lambda event: (event.instant("t"), event.text("type"))):
        same = list(group)
        found += sorted(same, key=lambda event: event.text("id")) if kind == "grant" else same
    return found


def _read_periods(case: Fields) -> list[Period]:
    """Return the periods of a case, which may also be told by its roll-forward alone."""
    rows = case.values("periods") if "periods" in case else []
    return [
        _read_period(Fields(respelled(row, ROW), place=f"periods[{place}]")) for place, row in enumerate(rows)
    ]


def _read_period(row: Fields) -> Period:
    period = Period(row.instant("from"), row.instant("to"))
    row.ignore("name", "id")
    row.finish()
    if any(instant.time() != time() for instant in period):
        raise Unsupported(f"{row.place} does not begin and end at midnight")
    return period


def _plan_expectations(
    expected: Fields, play: RecognitionPlay, periods: Sequence[Period], precision: Decimal, first: datetime
) -> list[Step]:
    rows = _read_rows(expected)
    journal = read_journal(expected.values("journal") if "journal" in expected else [])
    allocations = expected.optional_fields("allocations")
    revenue = expected.raw("total_revenue_by_period")
    # How one price was divided before the case begins: its events hold the parts.
    expected.ignore("allocation")
    expected.finish()
    if not (rows or journal or allocations.names() or revenue):
        raise Unsupported("expected tells nothing that finance knows")
    spans = list(dict.fromkeys([*periods, *(row.period for row in rows)]))
    if not spans:
        raise Unsupported("no period to look at")
    ends = [*(span.to_time for span in spans), *(day + DAY for day in journal)]
    start = min(first, *(span.from_time for span in spans))
    horizon = max(ends)
    seen = Looks(play)

    async def look(session: Session) -> None:
        books = await read_books(session, play.currency_code, _midnight(start), horizon)
        playing = play.wallet.playing
        for row in rows:
            playing.mismatches += row.compare(books, seen.lots[row.period], precision)
        if revenue is not None:
            got = [period_revenue(books, period, precision) for period in periods]
            playing.mismatches += compare("total_revenue_by_period", revenue, got, tolerance=precision)
        if journal:
            # What is posted after its last entry is not in it.
            playing.mismatches += compare_journal(journal, books.journal, max(journal) + DAY)
        for debit_id in allocations.names():
            wanted = allocations.raw(debit_id)
            playing.expect(f"allocations.{debit_id}", wanted, draws_of(play, debit_id, wanted))

    looks = [Step(span.to_time - MICROSECOND, Rank.LOOK, partial(seen.look, span)) for span in spans]
    return [*looks, Step(horizon, Rank.LOOK, look)]


def _midnight(instant: datetime) -> datetime:
    return datetime.combine(instant.date(), time(), UTC)


def _read_rows(expected: Fields) -> list[ExpectedRow]:
    rows = expected.values("rollforward") if "rollforward" in expected else []
    return [ExpectedRow(row, place=f"expected.rollforward[{place}]") for place, row in enumerate(rows)]


def _units_in(events: Sequence[object]) -> list[Decimal]:
    names = ("units", "bonus_units", "expected_redeemed_units")
    raw = [event.get(name) for event in events if isinstance(event, Mapping) for name in names]
    return [found for each in raw if (found := number(each)) is not None]
