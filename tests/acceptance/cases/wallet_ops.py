"""What a wallet case may do: one function an op, in a table. Each reads its fields and returns a timed step."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from credits.ledger.v1 import wallet_pb2
from tests.acceptance.cases.fields import Fields
from tests.acceptance.cases.resets import Terms, look_ahead, read_reset
from tests.acceptance.cases.services import Refused
from tests.acceptance.cases.timeline import Rank, Session, Step
from tests.acceptance.cases.verdicts import Unsupported
from tests.acceptance.cases.wallet_grants import LATEST, burn_ranks, read_grant
from tests.acceptance.cases.wallet_play import WalletPlay
from tests.acceptance.cases.wallet_resets import issue, reset_all
from tests.acceptance.cases.wallet_results import result_of

TTL_LONGEST: Final = timedelta(hours=24)


class PlannedOp(NamedTuple):
    """An op's step, and where it stands among those of one instant and rank."""

    step: Step
    order: tuple[datetime, int, str] = (LATEST, 0, "")


Run = Callable[[Session], Awaitable[None]]
OpPlanner = Callable[[Fields, WalletPlay, int], PlannedOp]


def plan_grant(op: Fields, play: WalletPlay, place: int) -> PlannedOp:
    """Issue credit at created_at or effective_at."""
    fields = read_grant(op, play, place)
    play.planned_grants.add(fields.grant_id)
    play.terms[fields.grant_id] = Terms(fields.grant, fields.expires_at, fields.roll_over)
    active_from = max(fields.effective_at, fields.issued_at)
    fields.grant.priority = play.ranks.get(fields.grant_id, fields.grant.priority)

    async def run(session: Session) -> None:
        amount_units = fields.grant.amount_units
        await issue(session, play, fields.grant_id, active_from=active_from, amount_units=amount_units)

    return PlannedOp(Step(fields.issued_at, Rank.GRANT, run), fields.order)


def plan_usage(op: Fields, play: WalletPlay, place: int) -> PlannedOp:
    """Debit what was delivered already: never refused. What uses nothing is nothing."""
    use = _read_use(op, play, place)

    async def run(session: Session) -> None:
        if use.amount_units:
            play.debits[use.use_id] = await play.debit(
                session, amount_units=use.amount_units, feature=use.feature, delivered=True
            )

    return PlannedOp(Step(use.at, Rank.USE, run))


def plan_debit(op: Fields, play: WalletPlay, place: int) -> PlannedOp:
    """Debit all or nothing, and note the result."""
    use = _read_use(op, play, place)

    async def run(session: Session) -> None:
        play.debits[use.use_id] = await _debit_whole(session, play, use)

    return PlannedOp(Step(use.at, Rank.USE, noting_result(play, run)))


async def _debit_whole(session: Session, play: WalletPlay, use: _Use) -> wallet_pb2.Debit:
    """Debit all or nothing. A wallet that lets a debit become overage still holds only what there is."""
    if play.shortfall_mode == wallet_pb2.SHORTFALL_MODE_HARD:
        return await play.debit(
            session,
            amount_units=use.amount_units,
            feature=use.feature,
            delivered=False,
            take_available=play.take_available,
        )
    await play.hold(session, use.use_id, amount_units=use.amount_units, ttl=TTL_LONGEST, feature=use.feature)
    return await play.capture(
        session, use.use_id, amount_units=use.amount_units, final=True, allow_late=False
    )


def noting_result(play: WalletPlay, run: Run) -> Run:
    """Return a step that notes whether it was done or how it was refused."""

    async def run_and_note(session: Session) -> None:
        try:
            await run(session)
        except Refused as refusal:
            if refusal.not_offered:
                raise
            play.results.append(result_of(refusal))
        else:
            play.results.append("OK")

    return run_and_note


def plan_hold(op: Fields, play: WalletPlay, place: int) -> PlannedOp:
    """Reserve credit; a `ttl_s` of null, or of more, means the longest time there is."""
    ttl = TTL_LONGEST
    if "ttl_s" in op:
        ttl = min(timedelta(microseconds=int(op.decimal("ttl_s") * 1_000_000)), TTL_LONGEST)
    op.ignore("ttl_s")
    use = _read_use(op, play, place)

    async def run(session: Session) -> None:
        await play.hold(session, use.use_id, amount_units=use.amount_units, ttl=ttl, feature=use.feature)

    return PlannedOp(Step(use.at, Rank.USE, noting_result(play, run)))


def plan_capture(op: Fields, play: WalletPlay, place: int) -> PlannedOp:
    """Turn a hold into a debit; the capture is the last one unless it says otherwise."""
    hold_id, final = op.text("hold"), op.flag("final", default=True)
    allow_late = op.flag("allow_late", default=False)
    use = _read_use(op, play, place)

    async def run(session: Session) -> None:
        play.debits[use.use_id] = await play.capture(
            session, hold_id, amount_units=use.amount_units, final=final, allow_late=allow_late
        )

    return PlannedOp(Step(use.at, Rank.USE, noting_result(play, run)))


def plan_release(op: Fields, play: WalletPlay, place: int) -> PlannedOp:
    """Give back what a hold reserves."""
    hold_id, at = op.text("hold"), op.instant("at")
    op.ignore("reason", "id")
    op.finish()

    async def run(session: Session) -> None:
        await play.release(session, hold_id)

    return PlannedOp(Step(at, Rank.USE, noting_result(play, run)))


def plan_reverse(op: Fields, play: WalletPlay, place: int) -> PlannedOp:
    """Take a usage back; without an amount all of it."""
    debit_id, at = op.text("usage"), op.instant("at")
    amount_units = play.units(op.decimal("amount")) if "amount" in op else 0
    op.ignore("amount", "reason", "id")
    op.finish()

    async def run(session: Session) -> None:
        await play.reverse(session, debit_id, amount_units=amount_units)

    return PlannedOp(Step(at, Rank.USE, run))


def plan_void_grant(op: Fields, play: WalletPlay, place: int) -> PlannedOp:
    """Withdraw the rest of a grant."""
    grant_id, at = op.text("grant"), op.instant("at")
    op.ignore("reason", "id")
    op.finish()

    async def run(session: Session) -> None:
        await play.revoke(session, grant_id)

    return PlannedOp(Step(at, Rank.VOID, run))


def plan_reset(op: Fields, play: WalletPlay, place: int) -> PlannedOp:
    """End a period: of each grant what its roll-over keeps goes on."""
    reset = read_reset(op)

    async def run(session: Session) -> None:
        await reset_all(session, play, reset)

    return PlannedOp(Step(reset.at, Rank.RESET, run))


class _Use(NamedTuple):
    """A usage or debit as its op describes it."""

    use_id: str
    at: datetime
    amount_units: int
    feature: str


def _feature(op: Fields) -> str:
    """Return what a use is for; a list of one feature is that feature."""
    scope = op.raw("scope")
    if isinstance(scope, list) and len(scope) == 1 and isinstance(scope[0], str):
        return scope[0]
    return op.text("scope", "")


def _read_use(op: Fields, play: WalletPlay, place: int) -> _Use:
    use = _Use(op.text("id", f"#{place}"), op.instant("at"), play.units(op.decimal("amount")), _feature(op))
    op.ignore("reason")
    op.finish()
    return use


OPS: Final[Mapping[str, OpPlanner]] = {
    "grant": plan_grant,
    "usage": plan_usage,
    "debit": plan_debit,
    "hold": plan_hold,
    "capture": plan_capture,
    "release": plan_release,
    "reverse": plan_reverse,
    "void_grant": plan_void_grant,
    "reset": plan_reset,
}


def plan_ops(ops: Sequence[Fields], play: WalletPlay) -> list[Step]:
    """Return the steps of all ops; grants in creation order, all else in the order of the ops.

    Raises Unsupported for an op that is not in the table.
    """
    play.ahead = look_ahead(ops)
    play.ranks = burn_ranks(ops, play)
    planned: list[PlannedOp] = []
    for place, op in enumerate(ops):
        name = op.text("op")
        if name not in OPS:
            raise Unsupported(f"op {name}")
        planned.append(OPS[name](op, play, place))
    planned.sort(key=lambda each: each.order)
    return [each.step for each in planned]
