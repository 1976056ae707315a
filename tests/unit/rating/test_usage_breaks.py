"""Usage that is priced by running totals, and authorized usage, whose process ends at any step or meets another.

Each usage is debited once, the exact charges add up to the price of their total, no hold is left behind that a caller
comes back for, and a rate limit counts what was used.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any, Final, cast

import msgspec
import pytest

from rating_service.adapters.memory_limits import MemoryLimiter
from rating_service.application.authorizing.authorization_ports import (
    CaptureOrder,
    Held,
    HoldOrder,
    Released,
    WalletStanding,
)
from rating_service.application.authorizing.authorization_request import ActualUsage, Request
from rating_service.application.authorizing.authorize import Authorizing
from rating_service.application.authorizing.settle import Settling
from rating_service.application.metering.rate_usage import UsageRating
from rating_service.application.ports import Ledger, LedgerRefused, LedgerUnavailableError, Order, Posted
from rating_service.domain.agreements.agreement import ContractPhase, Rate, RateCard
from rating_service.domain.agreements.catalogue import Catalogue
from rating_service.domain.agreements.index import empty_index, put
from rating_service.domain.agreements.price_terms import GraduatedModel, PriceTier
from rating_service.domain.authorizing.authorization import Denial, LimitKind, Spender, window_names
from rating_service.domain.authorizing.rate_windows import Share
from rating_service.domain.price_models.running_total import NOTHING, RunningTotal
from rating_service.domain.prices.cycle_totals import Counts, MeterKey, count, key_of
from rating_service.domain.usage import Charge, TotalBefore, Usage
from tests.breaks import (
    Breaks,
    Failures,
    Killed,
    Steps,
    Turns,
    at_every_break,
    at_every_failure,
    in_every_order,
    stepped,
)
from tests.unit.rating.builders import CREDIT, JANUARY, card_phase, contract, plan_phase

TIERS: Final = (PriceTier("0.000001", "0", 10), PriceTier("0.000003", "0"))
"""A token costs a unit up to the tenth, then three."""
GRADUATED: Final = Rate("output_tokens", "", 1, price_model=GraduatedModel(TIERS))


class Wallet:
    """The ledger: a wallet that counts totals, with its holds and its debits, each once under its key."""

    def __init__(self) -> None:
        self.totals: dict[MeterKey, RunningTotal] = {}
        self.debits: dict[str, Charge] = {}
        self.holds: dict[str, int] = {}
        self._names: dict[str, str] = {}
        self._estimates: dict[str, str] = {}

    async def head_position(self) -> int:
        return 1

    async def meter_totals(self, wallet: str) -> Counts:
        assert wallet == "wallets/acme"
        return dict(self.totals)

    async def debit(self, order: Order, *, delivered: bool) -> Posted:
        assert delivered
        return self._post(order.usage, order.charge)

    async def debit_many(self, orders: Sequence[Order], *, delivered: bool) -> list[Posted | LedgerRefused]:
        assert delivered
        answers: list[Posted | LedgerRefused] = []
        for order in orders:
            try:
                answers.append(self._post(order.usage, order.charge))
            except LedgerRefused as refused:
                answers.append(refused)
        return answers

    async def hold(self, order: HoldOrder, now: datetime) -> Held | Denial:
        if order.key not in self._names:
            self._names[order.key] = f"{order.wallet}/holds/{len(self._names) + 1}"
            self._estimates[order.key] = order.estimate_of
            self.holds[self._names[order.key]] = order.amount_units
        if self._estimates[order.key] != order.estimate_of:
            raise LedgerRefused(None)
        return Held(self._names[order.key], JANUARY)

    async def capture(self, order: CaptureOrder) -> Posted:
        if order.key not in self.debits and order.hold not in self.holds:
            raise LedgerRefused(None)
        posted = self._post(order.key, order.charge)
        self.holds.pop(order.hold, None)
        return posted

    async def release(self, hold: str, *, key: str) -> Released:
        if key not in self._names and hold not in self.holds:
            raise LedgerRefused(None)
        self._names[key] = hold
        return Released(self.holds.pop(hold, 0), replayed=False)

    async def standing(self, wallet: str, feature: str) -> WalletStanding:
        return WalletStanding(1_000, ())

    def _post(self, key: str, charge: Charge) -> Posted:
        if key in self.debits:
            return Posted(None, True, 1)
        stale = [
            total
            for total in (line.total_before for line in charge.lines)
            if total is not None and self._of(charge, total) != (total.quantity, total.usages)
        ]
        if stale:
            raise LedgerRefused(None, [self._true(charge, total) for total in stale])
        count(self.totals, charge)
        self.debits[key] = charge
        return Posted(None, False, 1)

    def _of(self, charge: Charge, total: TotalBefore) -> tuple[int, int]:
        found = self.totals.get(key_of(charge.contract, total), NOTHING)
        return found.quantity, found.usages

    def _true(self, charge: Charge, total: TotalBefore) -> TotalBefore:
        quantity, usages = self._of(charge, total)
        return msgspec.structs.replace(total, quantity=quantity, usages=usages)


class Followed:
    """History and clock that stand still."""

    def __init__(self) -> None:
        phase = msgspec.structs.replace(plan_phase(), tokens_per_minute=1_000, requests_per_minute=10)
        card = RateCard(phase.rate_card, CREDIT, (card_phase(GRADUATED),))
        signed = contract(ContractPhase(JANUARY, phase))
        self.catalogue = Catalogue(
            rate_cards=put(empty_index(), card.name, card), contracts=put(empty_index(), signed.name, signed)
        )
        self.position = 1

    async def wait_for(self, position: int) -> None:
        assert position <= self.position

    async def now(self) -> datetime:
        return JANUARY


class World:
    """A wallet and a limiter that several processes share."""

    def __init__(self) -> None:
        self.wallet = Wallet()
        self.limiter = MemoryLimiter()

    def rating(self, steps: Steps) -> UsageRating:
        """Return rating as a new process has it."""
        return UsageRating(ledger=cast("Ledger", stepped(self.wallet, steps)), history=Followed())

    def started(self, steps: Steps) -> tuple[Authorizing, Settling]:
        """Return what authorizes and settles as a new process has it."""
        parts: dict[str, Any] = {
            "wallets": stepped(self.wallet, steps),
            "limiter": stepped(self.limiter, steps),
            "clock": Followed(),
            "rating": self.rating(steps),
        }
        ledger = cast("Ledger", parts["wallets"])
        return Authorizing(history=Followed(), **parts), Settling(ledger=ledger, **parts)

    def check(self, **tokens: int) -> None:
        """Check that these usages, and no others, were debited and add up."""
        assert self.wallet.debits.keys() == tokens.keys()
        total = sum(tokens.values())
        price = total if total <= 10 else 10 + 3 * (total - 10)
        assert sum(int(charge.exact_units) for charge in self.wallet.debits.values()) == price
        assert self.wallet.holds == {}

    async def counted(self) -> dict[LimitKind, int]:
        """Return what the rate limits of the contract count now."""
        found = {}
        for kind, (name, *_) in window_names(contract().name, "").items():
            decision = await self.limiter.decide([Share(name, 0, 0)], entry="look", now=JANUARY, takes=False)
            found[kind] = decision.standings[0].used
        return found


def usage(key: str, tokens: int) -> Usage:
    return Usage(JANUARY, {"output_tokens": tokens}, id=key, contract=contract().name)


async def record(
    world: World, tokens: dict[str, int], steps: Steps, *, rating: UsageRating | None = None
) -> None:
    """Record usages, each in a call of its own."""
    rating = rating or world.rating(steps)
    for key, number in tokens.items():
        await rating.record(usage(key, number), delivered=True, min_position=0)


async def record_many(
    world: World, tokens: dict[str, int], steps: Steps, *, rating: UsageRating | None = None
) -> None:
    """Record usages in one call."""
    rating = rating or world.rating(steps)
    usages = [usage(key, number) for key, number in tokens.items()]
    answers = await rating.record_many(usages, delivered=True, min_position=0)
    assert all(isinstance(answer, Posted) for answer in answers)


async def request(world: World, steps: Steps, *, place_hold: bool, cancels: bool = False) -> None:
    """Have a request of twenty tokens authorized; it takes eight, or does not run."""
    authorizing, settling = world.started(steps)
    wanted = Request(
        contract=contract().name,
        quantities={"output_tokens": 20},
        properties={},
        spender=Spender("", "", ""),
        place_hold=place_hold,
        key="request",
    )
    answer = await authorizing.authorize(wanted)
    assert answer.denials == ()
    if cancels:
        await settling.cancel(answer.authorization)
    else:
        await settling.settle(answer.authorization, ActualUsage({"output_tokens": 8}, {}))


@pytest.mark.parametrize("recording", [record, record_many])
async def test_metered_usage_that_breaks_off_and_is_sent_again_is_debited_once(recording: Any) -> None:
    tokens = {"a": 4, "b": 9, "c": 5}

    async def play(breaks: Breaks) -> None:
        world = World()
        await record(world, {"before": 3}, Breaks(0, after=True))
        with suppress(Killed):
            await recording(world, tokens, breaks)
        await recording(world, tokens, Breaks(0, after=True))

        world.check(before=3, **tokens)

    await at_every_break(play)


async def test_processes_that_record_for_one_wallet_at_once_add_up() -> None:
    async def play(turns: Turns) -> None:
        world = World()
        await turns.run(
            partial(record, world, {"a": 4, "b": 9}), partial(record_many, world, {"c": 5, "d": 2, "a": 4})
        )

        world.check(a=4, b=9, c=5, d=2)

    await in_every_order(play, switches_max=3)


@pytest.mark.parametrize("recording", [record, record_many])
async def test_metered_usage_one_of_whose_calls_fails_is_sent_again_and_debited_once(recording: Any) -> None:
    tokens = {"a": 4, "b": 9, "c": 5}

    async def play(failures: Failures) -> None:
        world = World()
        await record(world, {"before": 3}, Breaks(0, after=True))
        rating = world.rating(failures)
        with suppress(LedgerUnavailableError):
            await recording(world, tokens, failures, rating=rating)
        failures.heal()
        await recording(world, tokens, failures, rating=rating)

        world.check(before=3, **tokens)

    await at_every_failure(LedgerUnavailableError("away"), play)


@pytest.mark.parametrize("cancels", [True, False])
@pytest.mark.parametrize("place_hold", [True, False])
async def test_a_request_one_of_whose_calls_fails_is_sent_again_and_counts_once(
    place_hold: bool, cancels: bool
) -> None:
    async def play(failures: Failures) -> None:
        world = World()
        with suppress(LedgerUnavailableError):
            await request(world, failures, place_hold=place_hold, cancels=cancels)
        failures.heal()
        await request(world, failures, place_hold=place_hold, cancels=cancels)

        tokens = 0 if cancels else 8
        world.check(**{} if cancels else {"settle-request": tokens})
        assert await world.counted() == {
            LimitKind.REQUESTS_PER_MINUTE: int(not cancels),
            LimitKind.TOKENS_PER_MINUTE: tokens,
        }

    await at_every_failure(LedgerUnavailableError("away"), play)


@pytest.mark.parametrize("place_hold", [True, False])
async def test_an_authorized_request_that_breaks_off_and_comes_back_is_debited_once(place_hold: bool) -> None:
    async def play(breaks: Breaks) -> None:
        world = World()
        with suppress(Killed):
            await request(world, breaks, place_hold=place_hold)
        await request(world, Breaks(0, after=True), place_hold=place_hold)

        world.check(**{"settle-request": 8})
        assert await world.counted() == {LimitKind.REQUESTS_PER_MINUTE: 1, LimitKind.TOKENS_PER_MINUTE: 8}

    await at_every_break(play)


@pytest.mark.parametrize("place_hold", [True, False])
async def test_a_request_that_was_called_off_leaves_nothing_after_any_break(place_hold: bool) -> None:
    async def play(breaks: Breaks) -> None:
        world = World()
        with suppress(Killed):
            await request(world, breaks, place_hold=place_hold, cancels=True)
        await request(world, Breaks(0, after=True), place_hold=place_hold, cancels=True)

        world.check()
        assert set((await world.counted()).values()) == {0}

    await at_every_break(play)


async def test_a_request_beside_its_own_retry_and_other_usage_is_debited_once() -> None:
    async def play(turns: Turns) -> None:
        world = World()
        sending = partial(request, world, place_hold=True)
        await turns.run(sending, sending, partial(record, world, {"other": 6}))

        world.check(other=6, **{"settle-request": 8})
        assert await world.counted() == {LimitKind.REQUESTS_PER_MINUTE: 1, LimitKind.TOKENS_PER_MINUTE: 8}

    await in_every_order(play, switches_max=1)
