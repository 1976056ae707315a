"""What a wallet case may do: one function an op, in a table. Each reads its fields and returns a timed step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, NamedTuple

from credits.ledger.v1 import wallet_pb2
from tests.acceptance.cases.fields import Fields, timestamp
from tests.acceptance.cases.services import Refused
from tests.acceptance.cases.timeline import Rank, Session, Step
from tests.acceptance.cases.verdicts import Unsupported
from tests.acceptance.cases.wallet_play import WalletPlay

CATEGORIES: Final[Mapping[str, wallet_pb2.GrantCategory.ValueType]] = {
    "paid": wallet_pb2.GRANT_CATEGORY_PAID,
    "promo": wallet_pb2.GRANT_CATEGORY_PROMOTIONAL,
    "included": wallet_pb2.GRANT_CATEGORY_INCLUDED,
}
RESULTS: Final[Mapping[str, str]] = {"INSUFFICIENT_CREDIT": "INSUFFICIENT"}
"""How the case files call a refusal; any other reason stands for itself."""
LATEST: Final = datetime.max.replace(tzinfo=UTC)


class PlannedOp(NamedTuple):
    """An op's step, and where it stands among those of one instant and rank."""

    step: Step
    order: tuple[datetime, int, str] = (LATEST, 0, "")


class GrantFields(NamedTuple):
    """A grant as its op describes it."""

    grant_id: str
    amount: Decimal
    effective_at: datetime
    expires_at: datetime | None
    issued_at: datetime
    order: tuple[datetime, int, str]
    grant: wallet_pb2.Grant


OpPlanner = Callable[[Fields, WalletPlay, int], PlannedOp]


def read_grant(op: Fields, play: WalletPlay, place: int) -> GrantFields:
    """Read a grant op, the `place`-th of its case. Raises Unsupported.

    Creation order: created_at, then seq, then id. Without created_at and seq it is the order of the ops.
    """
    grant_id, amount = op.text("id"), op.decimal("amount")
    effective_at, expires_at = op.instant("effective_at"), op.optional_instant("expires_at")
    created_at = op.optional_instant("created_at")
    seq = op.integer("seq", place if created_at is None else 0)
    scope = [str(feature) for feature in op.values("scope")] if "scope" in op else []
    message = wallet_pb2.Grant(
        amount_units=play.units(amount),
        category=_category(op),
        priority=op.integer("priority", 0),
        scope=scope,
        effective_time=timestamp(effective_at),
        expire_time=timestamp(expires_at) if expires_at is not None else None,
    )
    op.ignore("op", "reason")
    op.finish()
    issued_at = created_at or effective_at
    return GrantFields(
        grant_id, amount, effective_at, expires_at, issued_at, (issued_at, seq, grant_id), message
    )


def _category(op: Fields) -> wallet_pb2.GrantCategory.ValueType:
    name = op.text("category", "paid")
    if name not in CATEGORIES:
        raise Unsupported(f"{op.place}.category {name!r}")
    return CATEGORIES[name]


def plan_grant(op: Fields, play: WalletPlay, place: int) -> PlannedOp:
    """Issue credit at created_at or effective_at."""
    fields = read_grant(op, play, place)
    play.planned_grants.add(fields.grant_id)

    async def run(session: Session) -> None:
        await play.grant(session, fields.grant_id, fields.grant)

    return PlannedOp(Step(fields.issued_at, Rank.GRANT, run), fields.order)


def plan_usage(op: Fields, play: WalletPlay, place: int) -> PlannedOp:
    """Debit what was delivered already: never refused."""
    use = _read_use(op, play, place)

    async def run(session: Session) -> None:
        play.debits[use.use_id] = await play.debit(
            session, amount_units=use.amount_units, feature=use.feature, delivered=True
        )

    return PlannedOp(Step(use.at, Rank.USE, run))


def plan_debit(op: Fields, play: WalletPlay, place: int) -> PlannedOp:
    """Debit all or nothing, and note the result."""
    use = _read_use(op, play, place)

    async def run(session: Session) -> None:
        try:
            debit = await play.debit(
                session, amount_units=use.amount_units, feature=use.feature, delivered=False
            )
        except Refused as refusal:
            play.results.append(RESULTS.get(refusal.reason, refusal.reason))
            return
        if debit.overage_units:
            raise Unsupported(f"{op.place}: a debit refused whole where the policy lets it become overage")
        play.debits[use.use_id] = debit
        play.results.append("OK")

    return PlannedOp(Step(use.at, Rank.USE, run))


class _Use(NamedTuple):
    """A usage or debit as its op describes it."""

    use_id: str
    at: datetime
    amount_units: int
    feature: str


def _read_use(op: Fields, play: WalletPlay, place: int) -> _Use:
    use = _Use(
        op.text("id", f"#{place}"), op.instant("at"), play.units(op.decimal("amount")), op.text("scope", "")
    )
    op.ignore("reason")
    op.finish()
    return use


OPS: Final[Mapping[str, OpPlanner]] = {"grant": plan_grant, "usage": plan_usage, "debit": plan_debit}


def plan_ops(ops: Sequence[Fields], play: WalletPlay) -> list[Step]:
    """Return the steps of all ops; grants in creation order, all else in the order of the ops.

    Raises Unsupported for an op that is not in the table.
    """
    planned: list[PlannedOp] = []
    for place, op in enumerate(ops):
        name = op.text("op")
        if name not in OPS:
            raise Unsupported(f"op {name}")
        planned.append(OPS[name](op, play, place))
    planned.sort(key=lambda each: each.order)
    return [each.step for each in planned]
