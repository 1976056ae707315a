"""Rating cases of one price model: a quantity, or a row of usages, on a card with one rate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from credits.ledger.v1 import agreement_pb2, price_model_pb2, wallet_pb2
from tests.acceptance.cases.amounts import Quantity, decimals_of, price_text, quantity_of, to_units
from tests.acceptance.cases.case_files import Case
from tests.acceptance.cases.expected import Expected
from tests.acceptance.cases.fields import Fields
from tests.acceptance.cases.rating_cards import (
    CURRENCY,
    USD,
    CardPhase,
    Quoted,
    publish_card,
    quote_after,
    whole,
)
from tests.acceptance.cases.rating_cumulative import amount_before
from tests.acceptance.cases.timeline import Playing, Rank, Session, Step
from tests.acceptance.cases.verdicts import Unsupported

DIMENSION: Final = "quantity"
MINIMUM_KIND: Final = price_model_pb2.CHARGE_PART_KIND_MINIMUM
FLAT_FEE_FLAG: Final = "flat_fee_when_zero_usage"


class Usages(NamedTuple):
    """Usages that follow each other in one cycle, in parts of which `unit_size` make one."""

    parts: tuple[int, ...]
    unit_size: int = 1


def plan_model(case: Case, expected: Expected, playing: Playing) -> list[Step]:
    """Play a price model by its name. Raises Unsupported."""
    given = Fields(case.raw.get("input"), place="input")
    model = given.text("model")
    if model == "graduated_percentage":
        return _plan_graduated_percentage(case, given, expected, playing)
    if model not in MODELS:
        raise Unsupported(f"price model {model}")
    rate, usages = MODELS[model](given)
    _read_common(given, rate)
    given.finish()
    expected.offer("amount", "usage_amount", "true_up", "tier")
    return _plan_sequence(rate, usages, expected, playing)


def _plan_sequence(
    rate: agreement_pb2.Rate, usages: Usages, expected: Expected, playing: Playing
) -> list[Step]:
    async def run(session: Session) -> None:
        quoted = await quote_sequence(session, playing, rate, usages)
        expected.compare(playing, _figures(quoted))

    return [Step(None, Rank.USE, run)]


async def quote_sequence(
    session: Session, playing: Playing, rate: agreement_pb2.Rate, usages: Usages
) -> list[Quoted]:
    """Quote each usage after the ones before it."""
    card = await publish_card(session, playing, [CardPhase([rate], cost_currency=CURRENCY)])
    quoted: list[Quoted] = []
    total = price_model_pb2.RunningTotal()
    for parts in usages.parts:
        quoted.append(await quote_after(session, card, {DIMENSION: parts}, {DIMENSION: total}))
        total.quantity += parts
        total.usages += 1
    return quoted


def _figures(quoted: Sequence[Quoted]) -> dict[str, object]:
    amount = sum((each.amount for each in quoted), Decimal(0))
    lines = [line for each in quoted for line in each.charge.lines]
    true_up = sum((_of_kind(line, MINIMUM_KIND) for line in lines), Decimal(0))
    tiers = [part.tier for line in lines for part in line.parts if part.tier]
    return {
        "amount": amount,
        "usage_amount": amount - true_up,
        "true_up": true_up,
        "tier": tiers[-1] if tiers else 0,
    }


def _of_kind(line: wallet_pb2.ChargeLine, kind: int) -> Decimal:
    return sum((whole(part.exact_units, USD.scale) for part in line.parts if part.kind == kind), Decimal(0))


def _read_common(given: Fields, rate: agreement_pb2.Rate) -> None:
    """Read what any model may have beside its own terms. Raises Unsupported."""
    given.ignore("model", "unit")
    if given.text("currency", CURRENCY) != CURRENCY:
        raise Unsupported(f"currency {given.text('currency')}")
    rate.zero_quantity_free = not given.flag(FLAT_FEE_FLAG, True)
    for name, field in (("minimum_amount", "cycle_minimum"), ("maximum_amount", "cycle_maximum")):
        if name in given:
            setattr(rate, field, price_text(given.decimal(name)))


def _rate(**terms: object) -> agreement_pb2.Rate:
    return agreement_pb2.Rate(dimension=DIMENSION, **terms)  # type: ignore[arg-type]


def _quantity(given: Fields, name: str, others: Sequence[Decimal] = ()) -> Quantity:
    """Return a quantity in parts fine enough for other quantities too."""
    amount = given.decimal(name)
    decimals = max([decimals_of(amount), *map(decimals_of, others)])
    return Quantity(to_units(amount, decimals), 10**decimals)


def _optional_decimals(rows: Sequence[Fields], name: str) -> list[Decimal]:
    return [row.decimal(name) for row in rows if name in row]


def _tiered(given: Fields, name: str) -> tuple[list[price_model_pb2.PriceTier], Usages, int]:
    rows = given.objects("tiers")
    quantity = _quantity(given, name, _optional_decimals(rows, "up_to"))
    tiers = []
    for row in rows:
        tiers.append(
            price_model_pb2.PriceTier(
                up_to=_end(row, quantity.unit_size),
                unit_price=price_text(row.decimal("unit_amount", Decimal(0))),
                flat_fee=price_text(row.decimal("flat_amount", Decimal(0))),
            )
        )
        row.finish()
    return tiers, Usages((quantity.parts,)), quantity.unit_size


def _end(row: Fields, unit_size: int) -> int | None:
    row.ignore("up_to")
    return int(row.decimal("up_to") * unit_size) if "up_to" in row else None


def _graduated(given: Fields) -> tuple[agreement_pb2.Rate, Usages]:
    tiers, usages, unit_size = _tiered(given, "quantity")
    return _rate(unit_size=unit_size, graduated=price_model_pb2.GraduatedModel(tiers=tiers)), usages


def _volume(given: Fields) -> tuple[agreement_pb2.Rate, Usages]:
    tiers, usages, unit_size = _tiered(given, "quantity")
    return _rate(unit_size=unit_size, volume=price_model_pb2.VolumeModel(tiers=tiers)), usages


def _package(given: Fields) -> tuple[agreement_pb2.Rate, Usages]:
    size, free = given.decimal("package_size"), given.decimal("free_units", Decimal(0))
    quantity = _quantity(given, "quantity", [size, free])
    model = price_model_pb2.PackageModel(package_price=price_text(given.decimal("package_amount")))
    parts = quantity.unit_size
    rate = _rate(unit_size=int(size * parts), free_units=int(free * parts), package=model)
    return rate, Usages((quantity.parts,))


def _linear(given: Fields) -> tuple[agreement_pb2.Rate, Usages]:
    quantity = quantity_of(given.decimal("quantity"))
    unit = agreement_pb2.UnitModel(unit_price=price_text(given.decimal("unit_amount")))
    unit_size = given.integer("unit_size", 1) * quantity.unit_size
    free = given.decimal("free_units", Decimal(0)) * quantity.unit_size
    if free != int(free):
        raise Unsupported(f"free_units {given.raw('free_units')!r}")
    return _rate(unit_size=unit_size, unit=unit, free_units=int(free)), Usages((quantity.parts,))


def _flat(given: Fields) -> tuple[agreement_pb2.Rate, Usages]:
    name = next((each for each in ("flat_amount", "amount", "unit_amount") if each in given), "flat_amount")
    model = price_model_pb2.FlatModel(price=price_text(given.decimal(name)))
    return _rate(flat=model), Usages((given.integer("quantity", 1),))


def _multiplier(given: Fields) -> tuple[agreement_pb2.Rate, Usages]:
    name = next((each for each in ("quantity", "cost", "amount") if each in given), "quantity")
    quantity = quantity_of(given.decimal(name))
    model = price_model_pb2.MultiplierModel(factor=price_text(given.decimal("multiplier")))
    cost = price_text(given.decimal("unit_amount", Decimal(1)))
    return _rate(unit_size=quantity.unit_size, multiplier=model, provider_cost=cost), Usages(
        (quantity.parts,)
    )


def _percentage(given: Fields) -> tuple[agreement_pb2.Rate, Usages]:
    model = price_model_pb2.PercentageModel(
        percent=price_text(given.decimal("rate_percent")),
        fixed_fee=price_text(given.decimal("fixed_fee", Decimal(0))),
    )
    amounts, free, free_usages = _event_amounts(given) if "event_amounts" in given else _event_totals(given)
    model.free_usages = free_usages
    decimals = max(map(decimals_of, [*amounts, free]), default=0)
    rate = _rate(unit_size=10**decimals, free_units=to_units(free, decimals), percentage=model)
    for name, field in (("per_transaction_min", "usage_minimum"), ("per_transaction_max", "usage_maximum")):
        if name in given:
            setattr(rate, field, price_text(given.decimal(name)))
    return rate, Usages(tuple(to_units(amount, decimals) for amount in amounts))


def _event_amounts(given: Fields) -> tuple[list[Decimal], Decimal, int]:
    """Return the amount of each event, the free amount, and how many events are free."""
    amounts = [
        Fields({"at": each}, place="event_amounts").decimal("at") for each in given.values("event_amounts")
    ]
    return amounts, given.decimal("free_amount", Decimal(0)), given.integer("free_events", 0)


def _event_totals(given: Fields) -> tuple[list[Decimal], Decimal, int]:
    """Return events that add up to the totals told, the free ones first. Raises Unsupported."""
    name = "units" if "units" in given else "quantity"
    total, events = given.decimal(name), given.integer("events", 1)
    free, free_events = (
        given.decimal("free_units_applied", Decimal(0)),
        given.integer("free_events_applied", 0),
    )
    if events < 1 or not free_events <= events or free > total:
        raise Unsupported(f"{free_events} free of {events} events")
    if free_events == events and total > free:
        raise Unsupported("free events that are not free")
    if free_events:
        rest = [total - free, *[Decimal(0)] * (events - free_events - 1)] if events > free_events else []
        return [free, *[Decimal(0)] * (free_events - 1), *rest], Decimal(0), free_events
    # Free units without free events: the first event reaches beyond them, so that its fee is due.
    if free and total == free:
        raise Unsupported("free units that leave nothing of any event")
    return [total, *[Decimal(0)] * (events - 1)], free, 0


def _plan_graduated_percentage(case: Case, given: Fields, expected: Expected, playing: Playing) -> list[Step]:
    """Play a cumulative amount, and the one before it if the case or the row before it in its table tells it."""
    name = "cumulative_amount" if "cumulative_amount" in given else "quantity"
    rows = given.objects("tiers")
    before = amount_before(case, given, expected) if "incremental_amount" in expected.names() else Decimal(0)
    quantity = _quantity(given, name, [before, *_optional_decimals(rows, "up_to")])
    tiers = []
    for row in rows:
        tiers.append(
            price_model_pb2.PercentageTier(
                up_to=_end(row, quantity.unit_size),
                percent=price_text(row.decimal("rate_percent", Decimal(0))),
                flat_fee=price_text(row.decimal("flat_amount", Decimal(0))),
            )
        )
        row.finish()
    model = price_model_pb2.GraduatedPercentageModel(tiers=tiers)
    rate = _rate(unit_size=quantity.unit_size, graduated_percentage=model)
    _read_common(given, rate)
    given.finish()
    expected.offer("incremental_amount", "cumulative_amount_due", "amount")
    first = int(before * quantity.unit_size)
    usages = Usages((first, quantity.parts - first) if first else (quantity.parts,))

    async def run(session: Session) -> None:
        amounts = [each.amount for each in await quote_sequence(session, playing, rate, usages)]
        due = sum(amounts, Decimal(0))
        figures: dict[str, object] = {"cumulative_amount_due": due, "amount": due}
        expected.compare(playing, figures | {"incremental_amount": amounts[-1]})

    return [Step(None, Rank.USE, run)]


MODELS: Final[dict[str, Callable[[Fields], tuple[agreement_pb2.Rate, Usages]]]] = {
    "unit": _linear,
    "standard": _linear,
    "flat": _flat,
    "graduated": _graduated,
    "volume": _volume,
    "package": _package,
    "percentage": _percentage,
    "multiplier": _multiplier,
}
"""Price models by their name in the input, but for graduated_percentage, which is told by cumulative amounts."""
