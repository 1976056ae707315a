"""Rating cases: what an input describes is told by its fields; one function a shape, in a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from tests.acceptance.cases.case_files import Case
from tests.acceptance.cases.expected import Expected
from tests.acceptance.cases.fields import Fields
from tests.acceptance.cases.rating_bills import plan_minimum, plan_split
from tests.acceptance.cases.rating_credit_notes import plan_unused_days
from tests.acceptance.cases.rating_draws import plan_credit_then_invoice, plan_next_period, plan_restore
from tests.acceptance.cases.rating_invoices import plan_overage, plan_phase_change
from tests.acceptance.cases.rating_models import plan_model
from tests.acceptance.cases.rating_phases import plan_margins, plan_tier_counters
from tests.acceptance.cases.rating_prorations import plan_change_of_fee, plan_part_of_period
from tests.acceptance.cases.rating_quotes import plan_compound_card, plan_llm_card
from tests.acceptance.cases.rating_roll_overs import plan_allowance_roll_over
from tests.acceptance.cases.rating_rounding import plan_linear_and_blocks, plan_micro_charges
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
    Shape(frozenset({"prices_per_1k"}), plan_llm_card),
    Shape(frozenset({"prices_per_1m"}), plan_llm_card),
    Shape(frozenset({"phases", "usage", "period"}), plan_phase_change),
    Shape(frozenset({"base_fee", "included_credits", "used_credits"}), plan_overage),
    Shape(frozenset({"units_per_period", "used", "rollover_periods"}), plan_allowance_roll_over),
    Shape(frozenset({"unit_size", "unit_amount", "quantity"}), plan_linear_and_blocks),
    Shape(frozenset({"customer_price", "before", "after"}), plan_margins),
    Shape(frozenset({"phase_1", "phase_2", "tier_counter"}), plan_tier_counters),
    Shape(frozenset({"unit_charge", "count", "precision"}), plan_micro_charges),
    Shape(frozenset({"minimum_amount", "usage_amount"}), plan_minimum),
    Shape(frozenset({"total", "weights"}), plan_split),
    Shape(frozenset({"amount_per_period", "days_unused", "days_in_period"}), plan_unused_days),
    Shape(frozenset({"old_amount", "new_amount"}), plan_change_of_fee),
    Shape(frozenset({"amount_per_period", "days", "days_in_period"}), plan_part_of_period),
    Shape(frozenset({"charge", "credit_balance"}), plan_credit_then_invoice),
    Shape(frozenset({"original_allocation", "restore"}), plan_restore),
    Shape(frozenset({"units_per_period", "used"}), plan_next_period),
)
"""Told in this order: the first shape all of whose fields are there."""


def plan_rating_case(case: Case, playing: Playing) -> Script:
    """Return the script of a rating case. Raises Unsupported."""
    given = Fields(case.raw.get("input"), place="input")
    expected = Expected(Fields(case.raw.get("expected"), place="expected"))
    if "file" in given:
        return Script(playing, plan_trace(given, expected, playing, case))
    planner = _planner(given)
    if planner is None:
        return Script(playing, plan_model(case, expected, playing))
    return Script(playing, planner(given, expected, playing))


def _planner(given: Fields) -> Planner | None:
    """Return who plays an input, None for a price model by its name. Raises Unsupported."""
    names = set(given.names())
    for shape in SHAPES:
        if shape.fields <= names:
            return shape.plan
    if "model" in given:
        return None
    raise Unsupported(f"input of {', '.join(sorted(names))}")
