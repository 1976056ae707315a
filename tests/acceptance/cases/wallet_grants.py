"""Grants of a wallet case: what an op says of one, and its place in the burn order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, NamedTuple

from credits.ledger.v1 import wallet_pb2
from tests.acceptance.cases.fields import Fields, timestamp
from tests.acceptance.cases.roll_overs import RollOver, read_roll_over
from tests.acceptance.cases.verdicts import Unsupported
from tests.acceptance.cases.wallet_play import WalletPlay

CATEGORIES: Final[Mapping[str, wallet_pb2.GrantCategory.ValueType]] = {
    **dict.fromkeys(("paid", "purchased", "prepaid"), wallet_pb2.GRANT_CATEGORY_PAID),
    **dict.fromkeys(("promo", "promotional", "free", "bonus"), wallet_pb2.GRANT_CATEGORY_PROMOTIONAL),
    "included": wallet_pb2.GRANT_CATEGORY_INCLUDED,
}
CATEGORY_RANKS: Final = tuple(CATEGORIES[name] for name in ("promo", "included", "paid"))
PRIORITY_MAX: Final = 1_000_000
LATEST: Final = datetime.max.replace(tzinfo=UTC)


class GrantFields(NamedTuple):
    """A grant as its op describes it."""

    grant_id: str
    amount: Decimal
    effective_at: datetime
    expires_at: datetime | None
    issued_at: datetime
    priority: int
    order: tuple[datetime, int, str]
    grant: wallet_pb2.Grant
    roll_over: RollOver | None = None


def read_grant(op: Fields, play: WalletPlay, place: int) -> GrantFields:
    """Read a grant op, the `place`-th of its case. Raises Unsupported.

    Creation order: created_at, then seq, then id. Without created_at and seq it is the order of the ops.
    """
    grant_id, amount = op.text("id"), op.decimal("amount")
    effective_at, expires_at = op.instant("effective_at"), op.optional_instant("expires_at")
    created_at = op.optional_instant("created_at")
    seq = op.integer("seq", place if created_at is None else 0)
    priority = op.integer("priority", 0)
    scope = [str(feature) for feature in op.values("scope")] if "scope" in op else []
    message = wallet_pb2.Grant(
        amount_units=play.units(amount),
        category=_category(op),
        priority=min(max(priority, 0), PRIORITY_MAX),
        scope=scope,
        effective_time=timestamp(effective_at),
        expire_time=timestamp(expires_at) if expires_at is not None else None,
    )
    roll_over = read_roll_over(op)
    op.ignore("op", "reason")
    op.finish()
    issued_at = created_at or effective_at
    order = (issued_at, seq, grant_id)
    return GrantFields(
        grant_id, amount, effective_at, expires_at, issued_at, priority, order, message, roll_over
    )


def _category(op: Fields) -> wallet_pb2.GrantCategory.ValueType:
    name = op.text("category", "paid")
    if name not in CATEGORIES:
        raise Unsupported(f"{op.place}.category {name!r}")
    return CATEGORIES[name]


def burn_ranks(ops: Sequence[Fields], play: WalletPlay) -> dict[str, int]:
    """Return each grant's place in the burn order where its priority or its lots' expiry do not say it.

    A lot may expire at a reset and not with its grant, and a priority may not be one that the ledger takes.
    """
    read = [read_grant(op.afresh(), play, place) for place, op in enumerate(ops) if op.raw("op") == "grant"]
    if not play.ahead.resets and all(0 <= each.priority <= PRIORITY_MAX for each in read):
        return {}
    ordered = sorted(
        read,
        key=lambda each: (
            each.priority,
            each.expires_at or LATEST,
            CATEGORY_RANKS.index(each.grant.category),
            not each.grant.scope,
            each.effective_at,
            each.order,
        ),
    )
    return {each.grant_id: rank for rank, each in enumerate(ordered)}
