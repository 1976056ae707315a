"""What a wallet case may look at: one function a figure, in a table. Each returns what the wallet holds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final

from credits.ledger.v1 import wallet_pb2
from tests.acceptance.cases.fields import Fields, parse_instant
from tests.acceptance.cases.timeline import Rank, Session, Step
from tests.acceptance.cases.verdicts import Unsupported
from tests.acceptance.cases.wallet_play import Reading, WalletPlay

Figure = Callable[[Reading, WalletPlay, object], Awaitable[object]]
"""Given what is expected, whose keys say what to look at, returns what there is."""


async def remaining(reading: Reading, play: WalletPlay, expected: object) -> object:
    """Return what may be spent of each grant that is asked for."""
    return {key: await reading.spendable(key) for key in _keys(expected)}


async def overage(reading: Reading, play: WalletPlay, expected: object) -> object:
    """Return what no lot covered, be it final or owed until a later grant pays."""
    balance = await reading.balance()
    return play.amount(balance.overage_units + balance.debt_units)


async def held(reading: Reading, play: WalletPlay, expected: object) -> object:
    """Return what holds reserve."""
    return play.amount((await reading.balance()).held_units)


async def used(reading: Reading, play: WalletPlay, expected: object) -> object:
    """Return what was debited, overage included."""
    return play.amount((await reading.balance()).debited_units)


async def total(reading: Reading, play: WalletPlay, expected: object) -> object:
    """Return what may be spent over all grants."""
    return play.amount((await reading.balance()).available_units)


async def expired_total(reading: Reading, play: WalletPlay, expected: object) -> object:
    """Return what has expired, without what a reset carried on."""
    carried_units = sum(cut.carried_units or 0 for cut in play.cuts.values())
    return play.amount((await reading.balance()).expired_units - carried_units)


async def breakage_by_expiry(reading: Reading, play: WalletPlay, expected: object) -> object:
    """Return, by expiry, what expired then or would expire then as things stand."""
    found: dict[datetime, int] = {}
    for grant in await reading.issued():
        cut = play.cuts.get(grant.name)
        units = grant.remaining_units + grant.expired_units
        if cut is not None and cut.carried_units is not None:
            instant: datetime | None = cut.at
            units -= cut.carried_units
        elif cut is not None:
            # The reset to come may still keep it: as things stand it has the expiry of its own.
            instant = cut.expires_at
        else:
            instant = _expiry_of(grant)
        if instant is not None:
            found[instant] = found.get(instant, 0) + units
    return {key: play.amount(found.get(_instant(key), 0)) for key in _keys(expected)}


def _expiry_of(grant: wallet_pb2.Grant) -> datetime | None:
    return parse_instant(grant.expire_time.ToJsonString()) if grant.HasField("expire_time") else None


async def allocations(reading: Reading, play: WalletPlay, expected: object) -> object:
    """Return what each debit that is asked for drew, net of what was reversed."""
    return {key: play.draws_of(key) for key in _keys(expected)}


FIGURES: Final[Mapping[str, Figure]] = {
    "remaining": remaining,
    "overage": overage,
    "held": held,
    "used": used,
    "total": total,
    "available": total,
    "expired_total": expired_total,
    "expired": expired_total,
    "breakage_by_expiry": breakage_by_expiry,
    "allocations": allocations,
}


def plan_look(expect: Fields, play: WalletPlay, at: datetime, what: str = "") -> Step:
    """Return the step that compares all figures of an object with the wallet. Raises Unsupported."""
    asked = {name: expect.raw(name) for name in FIGURES if name in expect}

    async def look(session: Session) -> None:
        reading = Reading(session, play)
        for name, expected in asked.items():
            play.playing.expect(f"{what}{name}", expected, await FIGURES[name](reading, play, expected))

    return Step(at, Rank.LOOK, look)


def plan_series(expect: Fields, play: WalletPlay) -> list[Step]:
    """Return a look for each element of the list `series`."""
    steps: list[Step] = []
    for row in expect.objects("series") if "series" in expect else []:
        at = row.instant("at")
        steps.append(plan_look(row, play, at, f"{at:%Y-%m-%dT%H:%M:%SZ} "))
        row.finish()
    return steps


def plan_overage_at(expect: Fields, play: WalletPlay) -> list[Step]:
    """Return a look for each instant of the object `overage_at`."""
    asked = expect.optional_fields("overage_at")

    def look_for(name: str, expected: Decimal) -> Callable[[Session], Awaitable[None]]:
        async def look(session: Session) -> None:
            got = await overage(Reading(session, play), play, expected)
            play.playing.expect(f"overage_at.{name}", expected, got)

        return look

    return [Step(_instant(name), Rank.LOOK, look_for(name, asked.decimal(name))) for name in asked.names()]


def _keys(expected: object) -> list[str]:
    return list(map(str, expected)) if isinstance(expected, Mapping) else []


def _instant(text: str) -> datetime:
    try:
        return parse_instant(text)
    except ValueError:
        raise Unsupported(f"{text[:60]!r} is not an instant") from None
