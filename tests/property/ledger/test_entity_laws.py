"""Laws of legal entities, on random histories of sales, overage, bills, rates and closed periods of two of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger_service.application.ports import StoredEvent
from ledger_service.domain.finance.accounts import Account
from ledger_service.domain.finance.exchange import Rate
from ledger_service.domain.finance.journal import Movement, PostingKey, check_balanced
from ledger_service.projections.bookkeeping.booked_entries import Lock, Surroundings, WalletFold
from ledger_service.projections.bookkeeping.exchange import FunctionalCurrency, RateKey
from ledger_service.projections.events.book_events import (
    BookEvent,
    CurrencySet,
    PeriodLocked,
    RateSet,
    read_page_events,
)
from tests.fakes.entity_log import (
    CURRENCIES,
    FOREIGN,
    Act,
    bill_the_rest,
    contract_of,
    play,
    random_acts,
    wallet_of,
)
from tests.fakes.projection_log import MemoryJournal, stored

ACTS = st.integers(0, 10**6).map(lambda seed: random_acts(seed, 50))
ONE_RATE = st.integers(0, 10**6).map(lambda seed: random_acts(seed, 50, rates=("1.25",)))
Balances = dict[tuple[str, str, Account], int]


def folded(log: list[StoredEvent], *, pieces: int = 1) -> MemoryJournal:
    """Return the journal of a history, folded in so many pieces."""
    store = MemoryJournal()
    step = max(len(log) // pieces, 1)
    for begin in range(0, len(log), step):
        store.apply([log[begin : begin + step]])
    return store


def balances(sums: Iterable[tuple[PostingKey, int]]) -> Balances:
    """Return what each account of an entity was debited in each currency, net of credits."""
    found: Balances = defaultdict(int)
    for key, nanos in sums:
        found[key.entity, key.currency_code, key.flow.debit] += nanos
        found[key.entity, key.currency_code, key.flow.credit] -= nanos
    return {place: nanos for place, nanos in found.items() if nanos}


def entity_of(name: str) -> str:
    """Return the entity of a wallet or contract of these histories."""
    return name.partition("/")[2]


def entries_add_up(log: list[StoredEvent]) -> Balances:
    """Return the same of the entries of all events, each wallet folded by itself with its contract."""
    page = read_page_events(log)
    surroundings = surroundings_of(page.others)
    folds = {entity: WalletFold(surroundings) for entity in CURRENCIES}
    names = {wallet_of(each) for each in CURRENCIES} | {contract_of(each) for each in CURRENCIES}
    found: Balances = defaultdict(int)
    for event in page.in_order():
        name = event.stream if isinstance(event, BookEvent) else event.wallet
        if name not in names:
            continue
        for booked in folds[entity_of(name)].take(event, ""):
            check_balanced(booked.entry.lines)
            for line in booked.entry.lines:
                found[booked.entry.entity, line.currency_code, line.account] += line.nanos
    return {place: nanos for place, nanos in found.items() if nanos}


def surroundings_of(events: Iterable[BookEvent]) -> Surroundings:
    """Return what entries follow from beside the streams of a wallet: all of it, whenever it was recorded."""
    locks: list[Lock] = []
    functional: dict[str, FunctionalCurrency] = {}
    rates: dict[RateKey, list[Rate]] = defaultdict(list)
    for event in events:
        entity = entity_of(event.stream)
        match event.change:
            case PeriodLocked(to_day=to_day):
                locks.append(Lock(event.position, entity, to_day))
            case CurrencySet(currency_code=currency):
                functional[entity] = FunctionalCurrency(currency, event.position)
            case RateSet() as stated:
                rates[RateKey(entity, stated.currency_code)].append(
                    Rate(stated.from_time, event.position, stated.rate)
                )
            case _:
                pass
    for each in rates.values():
        each.sort()
    return Surroundings(locks, functional=functional, rates=rates)


@given(ACTS)
def test_the_accounts_of_each_entity_add_up_to_zero_in_each_currency(acts: list[Act]) -> None:
    sums: dict[tuple[str, str], int] = defaultdict(int)
    found = balances(folded(stored(play(acts).ledger)).sums.items())
    for (entity, currency, _), nanos in found.items():
        sums[entity, currency] += nanos

    assert not any(sums.values())
    assert {entity for entity, _ in sums} <= CURRENCIES.keys()


@given(ACTS, st.integers(2, 9))
def test_however_a_history_with_rates_is_cut_the_same_is_posted(acts: list[Act], pieces: int) -> None:
    log = stored(play(acts).ledger)
    whole, cut = folded(log), folded(log, pieces=pieces)

    assert (whole.sums, whole.lots) == (cut.sums, cut.lots)


@given(ACTS)
def test_the_entries_of_wallets_folded_one_by_one_add_up_to_the_journal(acts: list[Act]) -> None:
    log = stored(play(acts).ledger)

    assert entries_add_up(log) == balances(folded(log).sums.items())


@given(ACTS, st.sampled_from(sorted(CURRENCIES)))
def test_closing_one_entity_changes_no_figure_of_another(acts: list[Act], closed: str) -> None:
    other = "de" if closed == "us" else "us"
    idle = [_idle(act) if act.kind == "lock" and act.entity == closed else act for act in acts]
    left_open, one_closed = folded(stored(play(idle).ledger)), folded(stored(play(acts).ledger))

    assert _of(one_closed, other) == _of(left_open, other)


@given(ACTS, st.booleans())
def test_what_was_billed_and_earned_ends_at_exactly_zero(acts: list[Act], first: bool) -> None:
    world = play([act for act in acts if act.kind != "sell"], currencies_first=first)
    bill_the_rest(world)
    found = balances(folded(stored(world.ledger)).sums.items())
    left = {place: nanos for place, nanos in found.items() if place[2] in ENDED}

    assert left == {}
    assert not first or not any(currency == FOREIGN for _, currency, _ in found)


ENDED = (Account.CONTRACT_LIABILITY, Account.UNBILLED_RECEIVABLE)


@given(ONE_RATE)
def test_at_one_rate_nothing_is_an_exchange_difference(acts: list[Act]) -> None:
    world = play(acts, currencies_first=True)
    bill_the_rest(world)
    store = folded(stored(world.ledger))

    assert [key for key in store.sums if key.flow.movement is Movement.EXCHANGE] == []


@settings(max_examples=20)
@given(ACTS)
def test_an_entity_has_a_functional_currency_and_what_has_no_rate_in_it(acts: list[Act]) -> None:
    found = balances(folded(stored(play(acts).ledger)).sums.items())

    assert all(currency in (CURRENCIES[entity], FOREIGN) for entity, currency, _ in found)


def _idle(act: Act) -> Act:
    return Act("idle", act.entity, hours_later=act.hours_later)


def _of(store: MemoryJournal, entity: str) -> dict[PostingKey, int]:
    return {key: nanos for key, nanos in store.sums.items() if key.entity == entity}
