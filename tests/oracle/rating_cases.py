"""Seeded rating cases in the format of `rating.json`, one function a shape."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from random import Random
from typing import Final

from tests.oracle import rating
from tests.oracle.amounts import Object, half_up, text
from tests.oracle.rating import Tier

CENT: Final = Fraction(1, 100)
PLACES: Final = 15
PRICES: Final = ("0", "0.5", "7", "0.000003", "0.0000025", "12.345", "0.01")
FLATS: Final = ("0", "0", "2", "10.5", "200")


def case(given: Object, **expected: object) -> Object:
    """Return what a case holds beside its id."""
    return {"input": given, "expected": expected}


def exact(amount: Fraction) -> str:
    """Return an amount without rounding."""
    return text(amount, PLACES)


def tiers_of(random: Random, *, name: str = "unit_amount") -> tuple[list[Object], list[Tier]]:
    """Return tiers as a case spells them, and as the oracle reads them."""
    ends: list[int | None] = [*sorted(random.sample(range(1, 400), random.randint(0, 3))), None]
    rows: list[Object] = []
    for end in ends:
        price, flat = random.choice(PRICES), random.choice(FLATS)
        rows.append({"up_to": None if end is None else str(end), name: price, "flat_amount": flat})
    read = [
        Tier(
            None if row["up_to"] is None else Fraction(row["up_to"]),
            Fraction(row[name]),
            Fraction(row["flat_amount"]),
        )
        for row in rows
    ]
    return rows, read


def tiered(random: Random) -> Object:
    """Volume or graduated, whole quantities or parts of one, now and then with a minimum."""
    model = random.choice(("volume", "graduated"))
    rows, read = tiers_of(random)
    ends = [tier.up_to for tier in read if tier.up_to is not None]
    quantity = random.choice(
        (Fraction(0), *ends, *(end + 1 for end in ends), Fraction(random.randint(1, 500)))
    )
    quantity += random.choice((Fraction(0), Fraction(0), Fraction(1, 4)))
    cost = {"volume": rating.volume, "graduated": rating.graduated}[model](read, quantity)
    given: Object = {"model": model, "tiers": rows, "quantity": text(quantity)}
    if random.random() < 0.7:
        return case({**given, "flat_fee_when_zero_usage": True}, amount=exact(cost))
    least = Fraction(random.choice((1, 50, 150)))
    true_up = max(least - cost, Fraction(0))
    figures = {"usage_amount": exact(cost), "true_up": exact(true_up), "amount": exact(cost + true_up)}
    return case({**given, "minimum_amount": text(least)}, **figures)


def packages(random: Random) -> Object:
    """Packages with free units."""
    size, free = random.choice((1, 10, 100)), random.choice((0, 5, 100))
    quantity, price = random.choice((0, free, free + 1, free + size, free + size + 1, 1234)), Fraction("1.25")
    given: Object = {"model": "package", "package_size": str(size), "package_amount": text(price)}
    given |= {"free_units": str(free), "quantity": str(quantity)}
    return case(given, amount=exact(rating.package(size, price, free, quantity)))


def percentages(random: Random) -> Object:
    """A percentage of each of several amounts, perhaps with a least and a most."""
    amounts = [Fraction(random.choice((10, 80, 333, 10000))) for _ in range(random.randint(1, 5))]
    percent, fee = Fraction("2.99"), Fraction(random.choice(("0", "0.3")))
    least, most = random.choice(((Fraction(0), None), (Fraction("1.75"), Fraction(12))))
    given: Object = {"model": "percentage", "rate_percent": text(percent), "fixed_fee": text(fee)}
    given |= {"event_amounts": list(map(text, amounts))}
    given |= {} if most is None else {"per_transaction_min": text(least), "per_transaction_max": text(most)}
    return case(given, amount=exact(rating.percentage(percent, fee, amounts, least=least, most=most)))


def graduated_percentages(random: Random) -> Object:
    """A cumulative amount and the one before it."""
    rows, read = tiers_of(random, name="rate_percent")
    before = Fraction(random.choice((0, 1, 100, 250)))
    after = before + random.randint(1, 300)
    by_percent = [Tier(tier.up_to, tier.price / 100, tier.flat) for tier in read]
    due = rating.graduated(by_percent, after)
    increment = due - (rating.graduated(by_percent, before) if before else 0)
    given: Object = {"model": "graduated_percentage", "tiers": rows, "cumulative_amount": text(after)}
    given |= {"previous_cumulative_amount": text(before)}
    return case(given, incremental_amount=exact(increment), cumulative_amount_due=exact(due))


def compound(random: Random) -> Object:
    """A card whose prices are multiplied by the tier of the context."""
    ends = [(8192, Fraction(1)), (32768, Fraction("1.8")), (131072, Fraction("3.2"))]
    context = random.choice((0, 1, 8192, 8193, 32768, 32769, 131072))
    prices = {"input_tokens": Fraction("0.000003"), "output_tokens": Fraction("0.000012")}
    counts = {name: random.randint(0, 50_000) for name in prices}
    factor = rating.multiplier(ends, context)
    lines = {name: factor * cost for name, cost in rating.tokens(prices, counts).items()}
    rows = [
        {"dimension": name, "per": "1000", "price_usd": text(price * 1000, PLACES)}
        for name, price in prices.items()
    ]
    window = [{"max_tokens": str(end), "multiplier": text(each)} for end, each in ends]
    card = {"model": "text-gen-v3", "dimensions": rows, "context_window": window}
    card |= {"boundary": "max_tokens inclusive", "multiplier_applies_to": "all token dimensions"}
    given: Object = {"rate_card": card, "context_tokens": str(context)}
    given |= {name: str(count) for name, count in counts.items()}
    return case(
        given,
        multiplier=text(factor),
        lines={name: exact(cost) for name, cost in lines.items()},
        amount=exact(sum(lines.values(), Fraction(0))),
    )


def llm(random: Random) -> Object:
    """A request with cached input that is, or is not, counted with the input."""
    prices = {
        "input": "0.000003",
        "cache_read": "0.0000003",
        "cache_write_5m": "0.00000375",
        "output": "0.000015",
    }
    counts = {name: random.randint(0, 9_000) for name in prices}
    included = random.random() < 0.5
    read = {name: Fraction(price) for name, price in prices.items()}
    lines = {name: exact(cost) for name, cost in rating.tokens(read, counts).items()}
    cached = counts["cache_read"] + counts["cache_write_5m"]
    told = counts | {"input": counts["input"] + (cached if included else 0)}
    given: Object = {"model": "some-model", "unit_prices": prices, "input_tokens_include_cached": included}
    given |= {f"{name}_tokens": str(count) for name, count in told.items()} | {"service_tier": "standard"}
    return case(
        given, lines=lines, amount=exact(sum((Fraction(each) for each in lines.values()), Fraction(0)))
    )


def phases(random: Random) -> Object:
    """A price that changes within a month: each usage at the price of its day."""
    change, old, new = random.randint(2, 27), Fraction("1.5"), Fraction(random.choice(("1", "2.5")))
    usages = sorted((random.randint(1, 31), random.randint(1, 200)) for _ in range(random.randint(1, 4)))
    costs = [quantity * (old if day < change else new) for day, quantity in usages]
    given: Object = {
        "phases": [
            {"from": "2016-04-01", "unit_amount": text(old)},
            {"from": f"2016-05-{change:02}", "unit_amount": text(new)},
        ],
        "period": ["2016-05-01", "2016-06-01"],
        "usage": [{"date": f"2016-05-{day:02}", "qty": str(quantity)} for day, quantity in usages],
    }
    return case(given, lines=list(map(exact, costs)), amount=exact(sum(costs, Fraction(0))))


def proration(random: Random) -> Object:
    """A fee that changes after some days of a period."""
    days, per_day = random.choice((28, 30, 31, 365)), random.sample(range(1, 10), 2)
    remaining = random.randint(1, days)
    old, new = (each * days for each in per_day)
    credit, debit = (each * remaining for each in per_day)
    given: Object = {"old_amount": str(old), "new_amount": str(new), "unit": "day"}
    given |= {"days_total": str(days), "days_remaining": str(remaining)}
    return case(given, credit=str(-credit), debit=str(debit), amount=str(debit - credit))


def overage(random: Random) -> Object:
    """A plan with included credit and a price beyond it."""
    included, price = random.choice((0, 5000, 100000)), Fraction(random.choice(("0.01", "0.005", "0.00333")))
    used = random.choice((0, included, included + 1, included + 1234))
    beyond = max(used - included, 0)
    amount = half_up(beyond * price, CENT)
    given: Object = {"base_fee": "29", "included_credits": str(included), "overage_unit_amount": text(price)}
    given |= {"used_credits": str(used), "cap": "soft"}
    return case(given, overage_credits=str(beyond), overage_amount=text(amount), amount=text(amount + 29))


def micro_charges(random: Random) -> Object:
    """Charges far below a cent, of which the sum is rounded."""
    price, count = Fraction(random.choice(("0.0000125", "0.00017", "0.005"))), random.randint(1, 300)
    given: Object = {
        "unit_charge": exact(price),
        "count": str(count),
        "precision": "0.01",
        "rounding": "half_up",
    }
    return case(given, unrounded=exact(price * count), amount=text(half_up(price * count, CENT)))


def splits(random: Random) -> Object:
    """A total over lines of equal weight."""
    count, cents = random.randint(1, 6), random.randint(1, 5_000)
    lines = [text(Fraction(part, 100)) for part in rating.split(cents, [1] * count)]
    total = text(Fraction(cents, 100))
    return case({"total": total, "weights": ["1"] * count, "precision": "0.01"}, lines=lines, amount=total)


SHAPES: Final[tuple[Callable[[Random], Object], ...]] = (
    tiered,
    tiered,
    packages,
    percentages,
    graduated_percentages,
    compound,
    llm,
    phases,
    proration,
    overage,
    micro_charges,
    splits,
)


def rating_case(seed: int) -> Object:
    """Return a case, the same for the same seed."""
    shape = SHAPES[seed % len(SHAPES)]
    return {"id": f"rating-{seed}", "category": shape.__name__, **shape(Random(seed))}
