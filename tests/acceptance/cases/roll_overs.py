"""What a period's end keeps of a grant: min(max, max(min, remaining)). One that says nothing keeps nothing.

The case files do not fix how it is spelled, so the forms that mean one thing only are all read: an object
`rollover` or `roll_over` with `max` and `min`, both as one flat field each, or a number, which is the max.
A bound that is not there does not bind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final, NamedTuple

from tests.acceptance.cases.fields import Fields
from tests.acceptance.cases.verdicts import Unsupported, number

NESTED: Final = ("rollover", "roll_over")
MIN_NESTED: Final = ("min", "min_amount")
MAX_NESTED: Final = ("max", "max_amount")
MIN_FLAT: Final = ("min_rollover", "min_rollover_amount")
MAX_FLAT: Final = ("max_rollover", "max_rollover_amount")


class RollOver(NamedTuple):
    """Bounds of what is kept; no `highest` keeps all that remains."""

    least: Decimal = Decimal(0)
    highest: Decimal | None = None

    def kept(self, remaining: Decimal) -> Decimal:
        """Return what is left of so much."""
        wanted = max(self.least, remaining)
        return wanted if self.highest is None else min(self.highest, wanted)


NOTHING: Final = RollOver(highest=Decimal(0))


def read_roll_over(op: Fields) -> RollOver | None:
    """Return what an op says is kept, None if it says nothing. Raises Unsupported."""
    found = [_bounds(op, MIN_FLAT, MAX_FLAT), *(_nested(op, name) for name in NESTED)]
    said = [each for each in found if each is not None]
    if len(said) > 1:
        raise Unsupported(f"{op.place} says twice what rolls over")
    return said[0] if said else None


def _nested(op: Fields, name: str) -> RollOver | None:
    raw = op.raw(name)
    if raw is None:
        return None
    if not isinstance(raw, Mapping):
        return _checked(op, RollOver(highest=op.decimal(name)))
    inner = op.fields(name)
    bounds = _bounds(inner, MIN_NESTED, MAX_NESTED)
    inner.finish()
    if bounds is None:
        raise Unsupported(f"{inner.place} has neither max nor min")
    return bounds


def _bounds(fields: Fields, least_names: tuple[str, ...], highest_names: tuple[str, ...]) -> RollOver | None:
    least, highest = _one_of(fields, least_names), _one_of(fields, highest_names)
    if least is None and highest is None:
        return None
    return _checked(fields, RollOver(least or Decimal(0), highest))


def _one_of(fields: Fields, names: tuple[str, ...]) -> Decimal | None:
    values = [fields.decimal(name) for name in names if name in fields]
    fields.ignore(*names)
    if len(values) > 1:
        raise Unsupported(f"{fields.place} has both {' and '.join(names)}")
    return values[0] if values else None


def _checked(fields: Fields, bounds: RollOver) -> RollOver:
    if bounds.least < 0 or (bounds.highest is not None and bounds.highest < 0):
        raise Unsupported(f"{fields.place}: a negative roll-over")
    return bounds


def amounts_of_roll_over(op: Mapping[str, object]) -> Iterator[Decimal]:
    """Yield every amount of an op's roll-over, for choosing a scale."""
    raw = [op.get(name) for name in (*NESTED, *MIN_FLAT, *MAX_FLAT)]
    raw += [value for each in raw if isinstance(each, Mapping) for value in each.values()]
    yield from (found for each in raw if (found := number(each)) is not None)
