"""The cumulative amount before a rating case's own, which an incremental amount needs and a case may leave out."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from tests.acceptance.cases.case_files import Case
from tests.acceptance.cases.expected import Expected
from tests.acceptance.cases.fields import Fields
from tests.acceptance.cases.verdicts import Unsupported, number

SIBLING_FIELDS: Final = ("model", "tiers")


def amount_before(case: Case, given: Fields, expected: Expected) -> Decimal:
    """Return the cumulative amount before a case's: told by it, by the row before it, or by what had come due.

    Raises Unsupported.
    """
    for name in ("previous_cumulative_amount", "cumulative_before"):
        if name in given:
            return given.decimal(name)
    for sibling in case.siblings:
        if sibling.get("id") != _id_before(case.case_id):
            continue
        other = Fields(sibling.get("input"), place="input")
        if any(other.raw(name) != given.raw(name) for name in SIBLING_FIELDS):
            return Decimal(0)
        amount = other.decimal("cumulative_amount")
        if amount <= given.decimal("cumulative_amount"):
            return amount
    due, increment = (number(expected.raw(name)) for name in ("cumulative_amount_due", "incremental_amount"))
    before = None if due is None or increment is None else _amount_due_for(given, due - increment)
    if before is None:
        raise Unsupported("incremental_amount without the cumulative amount before it")
    return before


def _amount_due_for(given: Fields, due: Decimal) -> Decimal | None:
    """Return the one cumulative amount for which so much is due, None if there is not just one."""
    begin, cost = Decimal(0), Decimal(0)
    for row in [each.afresh() for each in given.objects("tiers")]:
        cost += row.decimal("flat_amount", Decimal(0))
        share = row.decimal("rate_percent", Decimal(0)) / 100
        if due < cost or not share:
            return Decimal(0) if due == 0 and not begin else None
        end = begin + (due - cost) / share
        if "up_to" not in row or end <= row.decimal("up_to"):
            return end
        cost += (row.decimal("up_to") - begin) * share
        begin = row.decimal("up_to")
    return None


def _id_before(case_id: str) -> str:
    prefix, digits = case_id.rstrip("0123456789"), case_id[len(case_id.rstrip("0123456789")) :]
    return f"{prefix}{int(digits or 0) - 1:0{len(digits)}d}"
