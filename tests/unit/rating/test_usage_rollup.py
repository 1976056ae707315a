"""Sums of usage are checked by the zones of their contracts, also of those that only another instance knows yet."""

from __future__ import annotations

from typing import cast

import msgspec

from rating_service.application.ports import PositionMovedError
from rating_service.application.reporting.report_ports import RollupCheck, ZoneOf
from rating_service.domain.agreements.agreement import Contract
from rating_service.domain.agreements.catalogue import Catalogue
from rating_service.domain.agreements.index import Index, empty_index, put
from rating_service.projections.follower import Follower
from rating_service.projections.usage_rollup import UsageRollup
from tests.breaks import Steps, Turns, in_every_order, stepped
from tests.unit.rating.builders import MONTHLY, contract

BERLIN = msgspec.structs.replace(MONTHLY, zone="Europe/Berlin")


class Database:
    """Up to where debits are followed and folded; each position has the first debit of a contract of its own."""

    def __init__(self) -> None:
        self.followed = self.folded = 3

    async def position(self) -> int:
        return self.folded

    async def follow(self) -> None:
        """Store one position more."""
        self.followed += 1

    async def fold(self, from_position: int, to_position: int, zone_of: ZoneOf) -> None:
        assert from_position == self.folded
        self._check_zones(zone_of, to_position)
        self.folded = to_position

    async def check(self, zone_of: ZoneOf, *, known_position: int, repair: bool) -> RollupCheck:
        assert repair
        if self.folded > known_position:
            raise PositionMovedError
        self._check_zones(zone_of, self.folded)
        return RollupCheck(self.folded, self.folded, 0, [])

    def _check_zones(self, zone_of: ZoneOf, to_position: int) -> None:
        for position in range(1, to_position + 1):
            assert zone_of(f"contracts/{position}") == "Europe/Berlin", "a zone that is not known is no zone"


class Followed:
    """What an instance has in memory."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.position = 0
        self.catalogue = Catalogue()

    async def wait_for(self, position: int) -> None:
        assert position <= self._database.followed
        if position <= self.position:
            return
        self.position = position
        contracts: Index[Contract] = empty_index()
        for number in range(1, position + 1):
            signed = msgspec.structs.replace(contract(cycle=BERLIN), name=f"contracts/{number}")
            contracts = put(contracts, signed.name, signed)
        self.catalogue = Catalogue(contracts=contracts)


def rollup(database: Database, steps: Steps) -> tuple[Followed, UsageRollup]:
    """Return the fold of an instance, and what it has followed."""
    followed = Followed(database)
    history = cast("Follower", stepped(followed, steps))
    return followed, UsageRollup(history=history, store=stepped(database, steps))


async def test_a_repair_beside_another_instance_that_is_ahead_knows_every_zone() -> None:
    async def play(turns: Turns) -> None:
        database = Database()

        async def repair(steps: Steps) -> None:
            _, sums = rollup(database, steps)
            assert (await sums.check(repair=True)).difference_count == 0

        async def fold(steps: Steps) -> None:
            followed, sums = rollup(database, steps)
            for _ in range(2):
                await stepped(database, steps).follow()
                await followed.wait_for(database.followed)
                await sums.catch_up(database.followed)

        await turns.run(repair, fold)

    await in_every_order(play, switches_max=3)
