"""Resets as they are played: each grant keeps what its roll-over says, and the rest expires.

The service has no such call, but the runner can look ahead: a grant is issued so that it expires at the next
reset that concerns it, and what the reset keeps goes on in a child grant of the same terms. A case knows the
grant by one id; that id stands for the grant and all its children, and what goes on does not count as expired.
A void at the very instant of a reset comes first, so no reset ends a grant that is voided then.
"""

from __future__ import annotations

from datetime import datetime

from credits.ledger.v1 import wallet_pb2
from tests.acceptance.cases.fields import timestamp
from tests.acceptance.cases.resets import Cut, Reset
from tests.acceptance.cases.roll_overs import NOTHING
from tests.acceptance.cases.timeline import Session
from tests.acceptance.cases.wallet_play import Reading, WalletPlay


async def issue(
    session: Session, play: WalletPlay, grant_id: str, *, active_from: datetime, amount_units: int
) -> None:
    """Issue a grant, or a child of it, until its expiry or the next reset after `active_from`."""
    terms = play.terms[grant_id]
    message = wallet_pb2.Grant()
    message.CopyFrom(terms.grant)
    message.amount_units = amount_units
    end = play.ahead.next_end(grant_id, after=active_from, expires_at=terms.expires_at)
    if end is not None:
        message.expire_time.CopyFrom(timestamp(end))
    await play.grant(session, grant_id, message)
    if end is not None:
        play.cuts[play.grants[grant_id]] = Cut(end, terms.expires_at)


async def reset_all(session: Session, play: WalletPlay, reset: Reset) -> None:
    """Carry on what a reset keeps of each grant, in the order of their creation."""
    ended = {grant.name: grant for grant in await Reading(session, play).issued()}
    for grant_id, name in list(play.grants.items()):
        cut = play.cuts.get(name)
        if cut is not None and cut.at == reset.at and reset.concerns(grant_id) and name not in play.voided:
            await _carry_on(session, play, reset, grant_id, ended[name].expired_units)


async def _carry_on(
    session: Session, play: WalletPlay, reset: Reset, grant_id: str, remaining_units: int
) -> None:
    """Issue a child of what is kept of a grant that has just expired with so much left."""
    name, terms = play.grants[grant_id], play.terms[grant_id]
    roll_over = terms.roll_over or reset.roll_over or NOTHING
    kept_units = play.units(roll_over.kept(play.amount(remaining_units)))
    play.cuts[name] = Cut(reset.at, terms.expires_at, min(kept_units, remaining_units))
    if kept_units:
        await issue(session, play, grant_id, active_from=reset.at, amount_units=kept_units)
