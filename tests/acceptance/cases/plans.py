"""From cases to scripts: which kind a case is of is told by its fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tests.acceptance.cases.case_files import Case
from tests.acceptance.cases.rating_cases import plan_rating_case
from tests.acceptance.cases.recognition_books import Currencies
from tests.acceptance.cases.recognition_cases import plan_recognition_case
from tests.acceptance.cases.timeline import Playing, Script
from tests.acceptance.cases.verdicts import Outcome, Unsupported, Verdict
from tests.acceptance.cases.wallet_cases import plan_wallet_case


class Planned(NamedTuple):
    """The scripts of what can be played, and the outcomes of what cannot, each with its place in the input."""

    scripts: dict[int, Script]
    outcomes: dict[int, Outcome]


def plan_all(cases: Sequence[Case]) -> Planned:
    """Plan every case; one that asks for something unknown is UNSUPPORTED and does not stop the others."""
    planned = Planned({}, {})
    currencies = Currencies()
    for place, case in enumerate(cases):
        playing = Playing(case.case_id, f"case-{place}")
        try:
            planned.scripts[place] = plan_case(case, playing, currencies)
        except Unsupported as what:
            planned.outcomes[place] = Outcome(case.case_id, Verdict.UNSUPPORTED, str(what))
        except (LookupError, TypeError, ValueError, ArithmeticError) as fault:
            why = f"malformed: {type(fault).__name__}: {fault}"
            planned.outcomes[place] = Outcome(case.case_id, Verdict.UNSUPPORTED, why)
    return planned


def plan_case(case: Case, playing: Playing, currencies: Currencies) -> Script:
    """Return the script of a case. Raises Unsupported."""
    if "given" in case.raw:
        return plan_wallet_case(case.raw, playing)
    if "input" in case.raw:
        return plan_rating_case(case, playing)
    if "events" in case.raw:
        return plan_recognition_case(case.raw, playing, currencies)
    raise Unsupported("a case without given, input or events")
