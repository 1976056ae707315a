"""Wallet cases: ops on one fresh wallet, and what it must hold when one looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from credits.ledger.v1 import wallet_pb2, wallet_service_pb2
from tests.acceptance.cases.amounts import scale_for
from tests.acceptance.cases.fields import Fields
from tests.acceptance.cases.roll_overs import amounts_of_roll_over
from tests.acceptance.cases.timeline import Playing, Rank, Script, Session, Step
from tests.acceptance.cases.verdicts import Unsupported, number
from tests.acceptance.cases.wallet_burn_order import plan_burn_order
from tests.acceptance.cases.wallet_figures import plan_look, plan_overage_at, plan_series
from tests.acceptance.cases.wallet_ops import plan_ops
from tests.acceptance.cases.wallet_play import WalletPlay
from tests.acceptance.cases.wallet_results import result_named

SHORTFALL_MODES: Final[Mapping[str, wallet_pb2.ShortfallMode.ValueType]] = {
    "overage_charge_final": wallet_pb2.SHORTFALL_MODE_SOFT,
    "overage_backfilled_by_later_grant": wallet_pb2.SHORTFALL_MODE_ADVANCE,
}
OVER_HOLD: Final[Mapping[str, wallet_service_pb2.OverHold.ValueType]] = {
    "reject": wallet_service_pb2.OVER_HOLD_REJECT,
    "debit_extra_if_available": wallet_service_pb2.OVER_HOLD_EXTRA_IF_AVAILABLE,
}
TAKE_AVAILABLE: Final = "take_available"
"""Not a mode of the wallet but the choice of each debit."""
SHORTFALL_DEFAULT: Final = wallet_pb2.SHORTFALL_MODE_HARD
DESCRIPTIONS: Final = (
    *(
        "id",
        "area",
        "title",
        "name",
        "category",
        "kind",
        "source",
        "convention",
        "note",
        "notes",
        "sim",
        "derived",
    ),
    *("tags", "status", "description"),
)
"""Fields of a case that are for people."""


def plan_wallet_case(raw: Mapping[str, object], playing: Playing) -> Script:
    """Return the script of a wallet case. Raises Unsupported."""
    case = Fields(raw, place="")
    case.ignore(*DESCRIPTIONS)
    if case.text("fit", "default") == "contrast":
        raise Unsupported("fit contrast: what a peer does and this project does not")
    policy = case.optional_fields("policy")
    mode, over_hold = _shortfall_mode(policy), _over_hold(policy)
    take_available = policy.raw("shortfall") == TAKE_AVAILABLE
    policy.finish()
    given, expect = case.fields("given"), case.fields("expect")
    ops = given.values("ops")
    given.finish()
    case.finish()
    scale = scale_for(amounts_in(ops))
    play = WalletPlay(playing, wallet_id=playing.key, scale=scale, shortfall_mode=mode)
    play.over_hold, play.take_available = over_hold, take_available
    clone = WalletPlay(playing, wallet_id=f"{playing.key}-clone", scale=scale, shortfall_mode=mode)
    steps = plan_ops([Fields(op, place=f"ops[{place}]") for place, op in enumerate(ops)], play)
    steps += _plan_expectations(expect, ops, steps, play, clone)
    timed = [step.at for step in steps if step.at is not None]
    opening = [Step(min(timed), Rank.VOID, play.open)] if timed else []
    return Script(playing, [*opening, *steps])


def _shortfall_mode(policy: Fields) -> wallet_pb2.ShortfallMode.ValueType:
    name = policy.text("shortfall", "")
    if name == TAKE_AVAILABLE:
        return SHORTFALL_DEFAULT
    if name and name not in SHORTFALL_MODES:
        raise Unsupported(f"policy.shortfall {name}")
    return SHORTFALL_MODES.get(name, SHORTFALL_DEFAULT)


def _over_hold(policy: Fields) -> wallet_service_pb2.OverHold.ValueType:
    name = policy.text("capture_over_hold", "debit_extra_if_available")
    if name not in OVER_HOLD:
        raise Unsupported(f"policy.capture_over_hold {name}")
    # Several captures of one hold are always possible: each capture says whether it is the last.
    capture = policy.text("capture", "multiple")
    if capture not in {"single", "multiple"}:
        raise Unsupported(f"policy.capture {capture}")
    return OVER_HOLD[name]


def _plan_expectations(
    expect: Fields, ops: Sequence[object], steps: Sequence[Step], play: WalletPlay, clone: WalletPlay
) -> list[Step]:
    """Return the looks: at `at`, or after the last op where a case does not say when."""
    at = expect.optional_instant("at")
    last = max((step.at for step in steps if step.at is not None), default=None)
    if last is None:
        raise Unsupported("given.ops is empty")
    looks = [plan_look(expect, play, at or last), *plan_series(expect, play), *plan_overage_at(expect, play)]
    if "burn_order" in expect:
        looks += plan_burn_order(expect.values("burn_order"), ops, clone, at)
    if "results" in expect:
        # Results are those of all ops, so they are looked at when everything was done.
        looks.append(_look_at_results(expect.values("results"), play, max(at or last, last)))
    expect.finish()
    return looks


def _look_at_results(expected: Sequence[object], play: WalletPlay, at: datetime) -> Step:
    async def look(session: Session) -> None:
        play.playing.expect("results", [result_named(word) for word in expected], play.results)

    return Step(at, Rank.LOOK, look)


def amounts_in(ops: Sequence[object]) -> list[Decimal]:
    """Return every amount of the ops, for choosing a scale."""
    named = [op for op in ops if isinstance(op, Mapping)]
    amounts = [found for op in named if (found := number(op.get("amount"))) is not None]
    return amounts + [amount for op in named for amount in amounts_of_roll_over(op)]
