"""Resets as the ops describe them, and which of them ends a grant: known before anything is played."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from credits.ledger.v1 import wallet_pb2
from tests.acceptance.cases.fields import Fields
from tests.acceptance.cases.roll_overs import RollOver, read_roll_over
from tests.acceptance.cases.verdicts import Unsupported


class Reset(NamedTuple):
    """The end of a period; without grant ids it concerns all grants."""

    at: datetime
    grant_ids: frozenset[str] | None
    roll_over: RollOver | None

    def concerns(self, grant_id: str) -> bool:
        """Say whether a grant is reset."""
        return self.grant_ids is None or grant_id in self.grant_ids


class Terms(NamedTuple):
    """What a grant and its children have in common."""

    grant: wallet_pb2.Grant
    expires_at: datetime | None
    roll_over: RollOver | None


class Cut(NamedTuple):
    """The reset that a grant expires at, the expiry of its own, and once it has come what went on in a child."""

    at: datetime
    expires_at: datetime | None
    carried_units: int | None = None


class Lookahead(NamedTuple):
    """The resets and voids of a case."""

    resets: Sequence[Reset] = ()
    voids: Sequence[tuple[str, datetime]] = ()

    def next_end(self, grant_id: str, *, after: datetime, expires_at: datetime | None) -> datetime | None:
        """Return the first reset after an instant that finds the grant alive: expiry and void come before it."""
        ends = [reset.at for reset in self.resets if reset.concerns(grant_id) and reset.at > after]
        end = min((at for at in ends if (grant_id, at) not in self.voids), default=None)
        return None if end is None or (expires_at is not None and expires_at <= end) else end


def read_reset(op: Fields) -> Reset:
    """Read a reset op. Raises Unsupported."""
    reset = Reset(op.instant("at"), _grant_ids(op), read_roll_over(op))
    op.ignore("op", "id", "reason")
    op.finish()
    return reset


def _grant_ids(op: Fields) -> frozenset[str] | None:
    if "grants" in op and "grant" in op:
        raise Unsupported(f"{op.place} has both grants and grant")
    named = [op.text("grant")] if "grant" in op else op.values("grants") if "grants" in op else None
    op.ignore("grant", "grants")
    if named is None:
        return None
    if not all(isinstance(each, str) for each in named):
        raise Unsupported(f"{op.place}.grants is not a list of ids")
    return frozenset(map(str, named))


def look_ahead(ops: Sequence[Fields]) -> Lookahead:
    """Return what a case will do to its grants. Raises Unsupported."""
    resets = [read_reset(op.afresh()) for op in ops if op.raw("op") == "reset"]
    if not resets:
        return Lookahead()
    granted = {str(op.raw("id")) for op in ops if op.raw("op") == "grant"}
    for reset in resets:
        if unknown := sorted((reset.grant_ids or frozenset()) - granted):
            raise Unsupported(f"a reset of {unknown[0]}, which is not granted")
    voids = [(op.text("grant"), op.instant("at")) for op in ops if op.raw("op") == "void_grant"]
    return Lookahead(resets, voids)
