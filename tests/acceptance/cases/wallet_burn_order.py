"""The order in which a large debit would draw all grants, read from a second wallet that holds the same ones.

If there is an instant at which all grants are drawable, a delivered debit of their sum at that instant says
it. Grants whose spans never meet cannot be drawn by one debit; their order is then read from the balance of a
wallet in which all of them are still pending, because lots are listed in burn-down order.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from tests.acceptance.cases.fields import Fields
from tests.acceptance.cases.timeline import Rank, Session, Step
from tests.acceptance.cases.verdicts import Unsupported
from tests.acceptance.cases.wallet_grants import GrantFields, read_grant
from tests.acceptance.cases.wallet_ops import plan_ops
from tests.acceptance.cases.wallet_play import Reading, WalletPlay

BEFORE_ALL: Final = timedelta(seconds=1)
"""How long before the first grant begins the pending ones are issued and listed."""


ENDS: Final = ("void_grant", "reset")
"""What ends a grant. Without an instant only the order of the grants is asked for, and nothing has ended."""


class LargeDebit(NamedTuple):
    """A debit that draws all grants."""

    at: datetime
    feature: str


def plan_burn_order(
    expected: Sequence[object], ops: Sequence[object], clone: WalletPlay, at: datetime | None
) -> list[Step]:
    """Return the steps that play a clone of the wallet and compare the order. Raises Unsupported."""
    read = [Fields(op, place=f"ops[{place}]") for place, op in enumerate(ops)]
    grants = [read_grant(op, clone, place) for place, op in enumerate(read) if op.raw("op") == "grant"]
    wanted = [grant for grant in grants if grant.grant_id in set(expected)]
    if len(wanted) != len(expected):
        raise Unsupported("burn_order names a grant twice or one that is not granted")
    debit = find_large_debit(wanted, at)
    if debit is None:
        return _list_pending(expected, grants, clone)
    # What is used changes no place in the order, and a lot that is used up still has one.
    played = [op for op in read if (at is not None and op.raw("op") in ENDS) or op.raw("op") == "grant"]
    again = [op.afresh() for op in played]
    return _draw_all(expected, plan_ops(again, clone), grants, clone, debit)


def find_large_debit(grants: Sequence[GrantFields], at: datetime | None) -> LargeDebit | None:
    """Return a debit that may draw every grant, `at` an instant if one is named; None if there is none."""
    instant = at or max((max(grant.effective_at, grant.issued_at) for grant in grants), default=None)
    if instant is None or not all(_is_drawable(grant, instant) for grant in grants):
        return None
    scopes = [set(grant.grant.scope) for grant in grants if grant.grant.scope]
    shared = sorted(set.intersection(*scopes)) if scopes else [""]
    return LargeDebit(instant, shared[0]) if shared else None


def _is_drawable(grant: GrantFields, instant: datetime) -> bool:
    began = max(grant.effective_at, grant.issued_at) <= instant
    return began and (grant.expires_at is None or instant < grant.expires_at)


def _draw_all(
    expected: Sequence[object],
    steps: Sequence[Step],
    grants: Sequence[GrantFields],
    clone: WalletPlay,
    debit: LargeDebit,
) -> list[Step]:
    async def look(session: Session) -> None:
        drawn = await clone.debit(
            session,
            amount_units=sum(g.grant.amount_units for g in grants),
            feature=debit.feature,
            delivered=True,
        )
        _compare(expected, [clone.ids[draw.grant] for draw in drawn.draws], clone)

    until = [step for step in steps if step.at is not None and step.at <= debit.at]
    first = min((step.at for step in until if step.at is not None), default=debit.at)
    return [Step(first, Rank.VOID, clone.open), *until, Step(debit.at, Rank.LOOK, look)]


def _list_pending(expected: Sequence[object], grants: Sequence[GrantFields], clone: WalletPlay) -> list[Step]:
    async def look(session: Session) -> None:
        await clone.open(session)
        for grant in sorted(grants, key=lambda each: each.order):
            await clone.grant(session, grant.grant_id, grant.grant)
        balance = await Reading(session, clone).balance()
        _compare(expected, [clone.ids[lot.grant] for lot in balance.lots], clone)

    at = min(grant.effective_at for grant in grants) - BEFORE_ALL
    return [Step(at, Rank.LOOK, look)]


def _compare(expected: Sequence[object], order: Sequence[str], clone: WalletPlay) -> None:
    named = set(expected)
    clone.playing.expect("burn_order", expected, [grant_id for grant_id in order if grant_id in named])
