"""Rating cases: what an input describes is told by its fields; one function a shape, in a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from tests.acceptance.cases.case_files import Case
from tests.acceptance.cases.expected import Expected
from tests.acceptance.cases.fields import Fields
from tests.acceptance.cases.rating_invoices import plan_overage, plan_phase_change
from tests.acceptance.cases.rating_quotes import plan_compound_card, plan_linear, plan_llm_card
from tests.acceptance.cases.rating_traces import plan_trace
from tests.acceptance.cases.timeline import Playing, Script, Step
from tests.acceptance.cases.verdicts import Unsupported

Planner = Callable[[Fields, Expected, Playing], list[Step]]


class Shape(NamedTuple):
    """An input that has these fields is played so."""

    fields: frozenset[str]
    plan: Planner


SHAPES: Final = (
    Shape(frozenset({"rate_card", "context_tokens"}), plan_compound_card),
    Shape(frozenset({"unit_prices"}), plan_llm_card),
    Shape(frozenset({"prices_per_1m"}), plan_llm_card),
    Shape(frozenset({"phases", "usage", "period"}), plan_phase_change),
    Shape(frozenset({"base_fee", "included_credits", "used_credits"}), plan_overage),
    Shape(frozenset({"unit_size", "unit_amount", "quantity"}), plan_linear),
)
"""Told in this order: the first shape all of whose fields are there."""
MODELS: Final[Mapping[str, Planner]] = {"standard": plan_linear, "unit": plan_linear}
"""Price models by their name in the input."""


def plan_rating_case(case: Case, playing: Playing) -> Script:
    """Return the script of a rating case. Raises Unsupported."""
    given = Fields(case.raw.get("input"), place="input")
    expected = Expected(Fields(case.raw.get("expected"), place="expected"))
    if "file" in given:
        return Script(playing, plan_trace(given, expected, playing, case))
    return Script(playing, _planner(given)(given, expected, playing))


def _planner(given: Fields) -> Planner:
    names = set(given.names())
    for shape in SHAPES:
        if shape.fields <= names:
            return shape.plan
    if "model" in given:
        model = given.text("model")
        if model in MODELS:
            return MODELS[model]
        raise Unsupported(f"price model {model}")
    raise Unsupported(f"input of {', '.join(sorted(names))}")
