"""What becomes of a case: it passes, it fails by what differed, or it asks for what cannot be played."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Final, NamedTuple

TEXT_LENGTH_MAX: Final = 600
"""Longest explanation of one line, in characters; the rest of it is cut."""


class Unsupported(Exception):
    """The case asks for something that is not played; the text says what."""


class Verdict(enum.Enum):
    """How a case ended."""

    PASS = "PASS"
    FAIL = "FAIL"
    UNSUPPORTED = "UNSUPPORTED"


class Mismatch(NamedTuple):
    """One figure that is not what it must be."""

    what: str
    expected: str
    got: str

    def __str__(self) -> str:
        """Return the difference for people."""
        return f"expected {self.what} {self.expected} got {self.got}"


class Outcome(NamedTuple):
    """The verdict on one case, and why it is no PASS."""

    case_id: str
    verdict: Verdict
    why: str = ""

    def line(self) -> str:
        """Return the line that is printed for the case."""
        why = " ".join(self.why.split())
        why = why if len(why) <= TEXT_LENGTH_MAX else f"{why[:TEXT_LENGTH_MAX]}…"
        return f"{self.verdict.value} {self.case_id}" + (f": {why}" if why else "")


def outcome_of(case_id: str, mismatches: Sequence[Mismatch]) -> Outcome:
    """Return PASS, or FAIL with all that differed."""
    if not mismatches:
        return Outcome(case_id, Verdict.PASS)
    return Outcome(case_id, Verdict.FAIL, "; ".join(map(str, mismatches)))


def compare(what: str, expected: object, got: object, *, tolerance: Decimal = Decimal(0)) -> list[Mismatch]:
    """Return where `got` differs from the expectation of a case file.

    Numbers are compared as decimals, within the tolerance (inclusive). An expected object names what is looked
    at, so `got` may hold more; an expected list must be matched element by element.
    """
    if isinstance(expected, Mapping) and isinstance(got, Mapping):
        return [
            mismatch
            for key, value in expected.items()
            for mismatch in compare(f"{what}.{key}", value, got.get(key), tolerance=tolerance)
        ]
    if is_list(expected) and is_list(got):
        return _compare_lists(what, expected, got, tolerance)
    if _equal(expected, got, tolerance):
        return []
    return [Mismatch(what, shown(expected), shown(got))]


def is_list(value: object) -> bool:
    """Say whether a value is a JSON list."""
    return isinstance(value, Sequence) and not isinstance(value, str)


def _compare_lists(what: str, expected: object, got: object, tolerance: Decimal) -> list[Mismatch]:
    assert isinstance(expected, Sequence)
    assert isinstance(got, Sequence)
    if len(expected) != len(got):
        return [Mismatch(what, shown(expected), shown(got))]
    pairs = enumerate(zip(expected, got, strict=True))
    return [
        mismatch
        for place, (one, other) in pairs
        for mismatch in compare(f"{what}[{place}]", one, other, tolerance=tolerance)
    ]


def _equal(expected: object, got: object, tolerance: Decimal) -> bool:
    one, other = number(expected), number(got)
    if one is None or other is None:
        return expected == got
    return abs(one - other) <= tolerance


def number(value: object) -> Decimal | None:
    """Return the number that a value is or spells, None if it is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return None
    try:
        found = Decimal(value)
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def shown(value: object) -> str:
    """Return a value as a failing line shows it."""
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {shown(each)}" for key, each in value.items()) + "}"
    if is_list(value):
        assert isinstance(value, Sequence)
        return "[" + ", ".join(map(shown, value)) + "]"
    return "nothing" if value is None else str(value)
