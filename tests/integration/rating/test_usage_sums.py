"""Sums of usage by day: exact against a naive count, however the folds are cut, and bounded in what a report reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from random import Random
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
import psycopg
import pytest
import pytest_asyncio

from rating_service.adapters.migrations import migrate
from rating_service.adapters.postgres import usage_fold
from rating_service.adapters.postgres.history_store import PostgresHistoryStore
from rating_service.adapters.postgres.postgres_pool import Pool, open_pool
from rating_service.adapters.postgres.usage_reader import PostgresUsageReader, groups_statement
from rating_service.adapters.postgres.usage_reader import _values as values_of
from rating_service.adapters.postgres.usage_store import PostgresUsageStore
from rating_service.application.followed import DebitRow, ReversalRow
from rating_service.application.ports import Effect, PositionMovedError
from rating_service.application.reporting.report_ports import UsageQuery
from rating_service.domain.exact import exact_text
from rating_service.domain.reports.usage_report import OTHER, UsageGroup

START: Final = datetime(2026, 3, 27, tzinfo=UTC)
"""Before Berlin sets its clocks forward."""
WALLETS: Final = {"wallets/a": "contracts/a", "wallets/b": "contracts/b", "wallets/plain": ""}
ZONES: Final = {"contracts/a": "Europe/Berlin", "contracts/b": "UTC"}
NAMES_MAX: Final = {"feature": 1, "model": 2, "api_key": 2, "usage_user": 3}
KNOWN: Final = 2**62
"""Every position is known."""
SUMS: Final = "requests, quantity, amount_units, overage_units, exact_units, provider_cost"


class History(NamedTuple):
    """What a log holds, by position."""

    debits: list[DebitRow]
    reversals: list[ReversalRow]
    head: int


@pytest_asyncio.fixture
async def pool(rating_url: str) -> AsyncIterator[Pool]:
    """A pool on a migrated database."""
    await asyncio.to_thread(migrate, rating_url)
    opened = await open_pool(rating_url)
    yield opened
    await opened.close()


@pytest.fixture
def few_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a day have so few names that most are counted together."""
    for kind, most in NAMES_MAX.items():
        monkeypatch.setitem(usage_fold.KINDS, kind, most)


def zone_of(contract: str) -> str:
    """Return the zone of a contract."""
    return ZONES[contract]


def charge_of(random: Random, contract: str) -> dict[str, Any]:
    lines: list[dict[str, Any]] = [
        {
            "dimension": dimension,
            "quantity": random.randrange(1_000),
            "exact_units": f"{random.randrange(900)}.{random.randrange(1, 10)}",
            **({"provider_cost": f"0.{random.randrange(1, 1000):03}"} if random.random() < 0.5 else {}),
        }
        for dimension in random.sample(["input_tokens", "output_tokens", "images"], random.randrange(1, 4))
    ]
    exact = sum((Fraction(each["exact_units"]) for each in lines), Fraction(0))
    costs = {"provider_cost": "0.25", "cost_currency": random.choice(["USD", "EUR"])}
    return {
        "contract": contract,
        "lines": lines,
        "exact_units": exact_text(exact),
        **(costs if random.random() < 0.7 else {}),
    }


def debit_of(random: Random, position: int) -> DebitRow:
    wallet, contract = random.choice(list(WALLETS.items()))
    amount = random.randrange(1, 900)
    return DebitRow(
        position=position,
        wallet=wallet,
        version=position,
        effective_time=START + timedelta(minutes=random.randrange(4 * 24 * 60)),
        usage=f"u-{position}",
        amount_units=amount,
        overage_units=random.randrange(amount + 1),
        draws="[]",
        contract=contract,
        contract_phase="main" if contract else "",
        rate_card_phase=random.choice(["rateCards/x/phases/1", "rateCards/x/phases/2"]) if contract else "",
        feature=random.choice(["", "chat", "code"]),
        api_key=random.choice(["", "k1", "k2", "k3", "k4"]),
        usage_user=random.choice(["", "ann", "bob", "cy", "dee", "eve"]),
        model=random.choice(["large", "small", "tiny", "it's; --"]) if contract else "",
        charge=msgspec.json.encode(charge_of(random, contract)).decode() if contract else None,
        adjusted_cycle_time=START if contract and random.random() < 0.1 else None,
    )


def history(seed: int, events: int = 250) -> History:
    """Return debits, late ones among them, and reversals in part, in two parts and whole."""
    random = Random(seed)
    debits: list[DebitRow] = []
    reversals: list[ReversalRow] = []
    left: dict[int, list[int]] = {}
    for position in range(1, events + 1):
        open_debits = [each for each in debits if left[each.position][0] > 0]
        if random.random() < 0.25 and open_debits:
            debit = random.choice(open_debits)
            amount, overage = left[debit.position]
            part = amount if random.random() < 0.5 else random.randrange(1, amount + 1)
            part_overage = overage if part == amount else min(part, random.randrange(overage + 1))
            left[debit.position] = [amount - part, overage - part_overage]
            now = START + timedelta(days=5)
            reversals.append(
                ReversalRow(position, debit.wallet, position, debit.version, now, part, part_overage, "[]")
            )
        else:
            debits.append(debit_of(random, position))
            left[position] = [debits[-1].amount_units, debits[-1].overage_units]
    return History(debits, reversals, events)


def naive(log: History) -> dict[tuple[Any, ...], tuple[Fraction, ...]]:
    """Count everything anew, one debit after the other."""
    names: dict[tuple[str, date, str], list[str]] = {}
    sums: dict[tuple[Any, ...], list[Fraction]] = {}
    for debit in log.debits:
        day = debit.effective_time.date()
        told = []
        for kind, most in NAMES_MAX.items():
            name = getattr(debit, kind)
            known = names.setdefault((debit.wallet, day, kind), [])
            if name and name not in known and len(known) < most:
                known.append(name)
            told.append(name if not name or name in known else OTHER)
        zone = ZoneInfo(ZONES.get(debit.contract, "UTC"))
        charge = msgspec.json.decode(debit.charge) if debit.charge else {}
        key = (debit.wallet, day, debit.effective_time.astimezone(zone).date(), debit.contract, *told)
        key = (*key, debit.rate_card_phase, charge.get("cost_currency", ""))
        taken = [each for each in log.reversals if each.debit_version == debit.version]
        amount = debit.amount_units - sum(each.amount_units for each in taken)
        overage = debit.overage_units - sum(each.overage_units for each in taken)
        stands = int(amount > 0)
        exact = stands * Fraction(charge.get("exact_units", debit.amount_units))
        cost = stands * Fraction(charge.get("provider_cost", 0))
        requests = 0 if debit.adjusted_cycle_time else stands
        add(sums, (*key, ""), requests, 0, amount, overage, exact, cost)
        for line in charge.get("lines", []):
            line_cost = stands * Fraction(line.get("provider_cost", 0))
            exact = stands * Fraction(line["exact_units"])
            add(sums, (*key, line["dimension"]), stands, stands * line["quantity"], 0, 0, exact, line_cost)
    return {key: tuple(each) for key, each in sums.items() if any(each)}


def add(sums: dict[tuple[Any, ...], list[Fraction]], key: tuple[Any, ...], *parts: int | Fraction) -> None:
    held = sums.setdefault(key, [Fraction(0)] * 6)
    sums[key] = [one + other for one, other in zip(held, parts, strict=True)]


async def stored(pool: Pool) -> dict[tuple[Any, ...], tuple[Fraction, ...]]:
    """Return the stored sums in which something is left."""
    async with pool.connection() as lent:
        cursor = await lent.execute(f"SELECT {usage_fold.KEY}, {SUMS} FROM rating.usage_days".encode())  # noqa: S608
        rows: list[Any] = await cursor.fetchall()
    return {row[:11]: tuple(map(Fraction, row[11:])) for row in rows if any(row[11:])}


async def follow(pool: Pool, log: History) -> None:
    """Store a log as the follower does."""
    await PostgresHistoryStore(pool).write(Effect(0, log.head, debits=log.debits, reversals=log.reversals))


@pytest.mark.usefixtures("few_names")
@pytest.mark.parametrize("seed", range(4))
async def test_any_cut_of_the_folds_gives_what_a_naive_count_gives(pool: Pool, seed: int) -> None:
    log = history(seed)
    await follow(pool, log)
    cuts = sorted(Random(seed).sample(range(1, log.head), seed * 7))
    store = PostgresUsageStore(pool)
    for start, end in pairwise([0, *cuts, log.head]):
        await store.fold(start, end, zone_of)
    check = await store.check(zone_of, known_position=KNOWN, repair=False)

    assert await stored(pool) == naive(log)
    assert (check.position, check.difference_count) == (log.head, 0)
    assert check.row_count >= len(naive(log)) > 100


@pytest.mark.usefixtures("few_names")
async def test_names_beyond_the_most_are_one_and_the_answer_says_so(pool: Pool) -> None:
    log = history(5)
    await follow(pool, log)
    await PostgresUsageStore(pool).fold(0, log.head, zone_of)
    days = START.date(), START.date() + timedelta(days=4)
    by_key = UsageQuery("wallets/b", "", *days, groups=(UsageGroup.DAY, UsageGroup.API_KEY), limit=100)
    sheet = await PostgresUsageReader(pool).sheet(by_key)
    keys_of_day = [
        sum(row.values[0] == day for row in sheet.rows) for day, _ in (row.values for row in sheet.rows)
    ]
    only = by_key._replace(
        filters={UsageGroup.API_KEY: [""], UsageGroup.FEATURE: [""], UsageGroup.USER: [""]}
    )
    plain = await PostgresUsageReader(pool).sheet(only._replace(wallet="wallets/none"))

    assert (sheet.has_other, plain.has_other) == (True, False)
    assert max(keys_of_day) == NAMES_MAX["api_key"] + len(["", OTHER])
    assert sheet.total.requests == sum(row.sums.requests for row in sheet.rows)


async def test_a_fold_counts_once_whoever_tries(pool: Pool) -> None:
    await follow(pool, history(1))
    store = PostgresUsageStore(pool)
    await store.fold(0, 100, zone_of)

    with pytest.raises(PositionMovedError):
        await store.fold(0, 100, zone_of)
    assert await store.position() == 100
    assert (await store.check(zone_of, known_position=KNOWN, repair=False)).difference_count == 0


async def test_a_check_that_knows_less_than_is_folded_compares_nothing(pool: Pool) -> None:
    await follow(pool, history(1))
    store = PostgresUsageStore(pool)
    await store.fold(0, 100, zone_of)

    with pytest.raises(PositionMovedError):
        await store.check(zone_of, known_position=99, repair=True)
    assert (await store.check(zone_of, known_position=100, repair=True)).difference_count == 0


async def test_a_fold_that_breaks_off_leaves_nothing(pool: Pool) -> None:
    await follow(pool, history(2))
    store = PostgresUsageStore(pool)

    def no_zone(contract: str) -> str:
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        await store.fold(0, 250, no_zone)
    assert (await store.position(), await stored(pool)) == (0, {})


async def test_a_sum_that_was_changed_is_found_and_repaired(pool: Pool) -> None:
    await follow(pool, history(3))
    store = PostgresUsageStore(pool)
    await store.fold(0, 250, zone_of)
    before = await stored(pool)
    async with pool.connection() as lent:
        await lent.execute(
            "UPDATE rating.usage_days SET amount_units = amount_units + 1 WHERE ctid ="
            " (SELECT min(ctid) FROM rating.usage_days)"
        )
    found = await store.check(zone_of, known_position=KNOWN, repair=False)
    repaired = await store.check(zone_of, known_position=KNOWN, repair=True)

    assert found.difference_count == repaired.difference_count == 2
    assert [each.partition(":")[0] for each in found.differences] == ["only stored", "only anew"]
    assert (await store.check(zone_of, known_position=KNOWN, repair=False)).difference_count == 0
    assert await stored(pool) == before


async def test_a_report_reads_days_and_groups_and_never_debits(pool: Pool) -> None:
    log = history(4, events=2_000)
    await follow(pool, log)
    await PostgresUsageStore(pool).fold(0, log.head, zone_of)
    query = UsageQuery(
        "wallets/a",
        "contracts/a",
        START.date(),
        START.date() + timedelta(days=2),
        groups=(UsageGroup.DAY, UsageGroup.MODEL),
        limit=100,
    )
    async with pool.connection() as lent:
        await lent.execute("ANALYZE rating.usage_days")
        statement = b"EXPLAIN (ANALYZE, FORMAT JSON) " + groups_statement(query).as_bytes(lent)
        explained: Any = await (await lent.execute(statement, values_of(query))).fetchone()
        counted: Any = await (
            await lent.execute(
                "SELECT count(*) FROM rating.usage_days WHERE wallet = %(wallet)s AND day < %(to_day)s"
                " AND dimension = ''",
                query._asdict() | {"filters": None, "groups": None},
            )
        ).fetchone()
    sheet = await PostgresUsageReader(pool).sheet(query)
    scans = [node for node in nodes(explained[0][0]["Plan"]) if "Relation Name" in node]
    read = sum(each["Actual Rows"] * each["Actual Loops"] for each in scans)

    assert {each["Relation Name"] for each in scans} == {"usage_days"}
    assert 0 < read <= counted[0]
    assert sheet.total.requests == sum(row.sums.requests for row in sheet.rows) > 100


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a plan's nodes."""
    return [plan, *(found for each in plan.get("Plans", []) for found in nodes(each))]


def test_sums_never_run_ahead_of_what_is_followed(rating_url: str) -> None:
    migrate(rating_url)
    with psycopg.connect(rating_url) as lent:
        row = lent.execute(
            "SELECT t.position >= u.position FROM rating.tracking AS t, rating.usage_tracking AS u"
        ).fetchone()

    assert row == (True,)
