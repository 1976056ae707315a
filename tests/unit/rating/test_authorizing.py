"""Authorizing when a part is away: what was taken is given back, and advice never stops an answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import cast

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
from rating_service.application.authorizing.authorization_request import Request
from rating_service.application.authorizing.authorize import Authorizing
from rating_service.application.authorizing.tickets import read_ticket
from rating_service.application.metering.rate_usage import UsageRating
from rating_service.application.ports import Ledger, LedgerUnavailableError, Posted
from rating_service.domain.agreements.agreement import ContractPhase, PlanPhase, RateCard
from rating_service.domain.agreements.catalogue import Catalogue
from rating_service.domain.agreements.index import empty_index, put
from rating_service.domain.authorizing.authorization import CapStanding, Denial, DenialReason, Spender
from tests.unit.rating.builders import CREDIT, JANUARY, card_phase, contract, plan_phase, rate

NOW = datetime(2026, 1, 15, tzinfo=UTC)


class Wallets:
    """Answers as it is told; an exception is raised."""

    def __init__(self) -> None:
        self.held: Held | Denial | Exception = Held("wallets/acme/holds/3", NOW)
        self.read: Sequence[CapStanding] | Exception = ()

    async def hold(self, order: HoldOrder, now: datetime) -> Held | Denial:
        if isinstance(self.held, Exception):
            raise self.held
        return self.held

    async def standing(self, wallet: str, feature: str) -> WalletStanding:
        if isinstance(self.read, Exception):
            raise self.read
        return WalletStanding(1_000, self.read)

    async def capture(self, order: CaptureOrder) -> Posted:
        raise AssertionError("nothing is captured here")

    async def release(self, hold: str, *, key: str) -> Released:
        raise AssertionError("nothing is released here")


class Followed:
    """History and clock that stand still."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.position = 1

    async def wait_for(self, position: int) -> None:
        assert position <= self.position

    async def now(self) -> datetime:
        return NOW


def authorizing(wallets: Wallets, **terms: object) -> Authorizing:
    """Return the application with one contract; an input token costs one unit."""
    phase: PlanPhase = msgspec.structs.replace(plan_phase(), **terms)
    signed = contract(ContractPhase(JANUARY, phase))
    card = RateCard(phase.rate_card, CREDIT, (card_phase(rate("input_tokens", "0.000001")),))
    followed = Followed(
        Catalogue(
            rate_cards=put(empty_index(), card.name, card), contracts=put(empty_index(), signed.name, signed)
        )
    )
    # Nothing here is priced by running totals, so nobody asks that ledger.
    rating = UsageRating(ledger=cast("Ledger", object()), history=followed)
    return Authorizing(
        wallets=wallets, history=followed, limiter=MemoryLimiter(), clock=followed, rating=rating
    )


def request(key: str = "one", *, place_hold: bool = True) -> Request:
    """Return a request of ten tokens."""
    return Request(
        contract=contract().name,
        quantities={"input_tokens": 10},
        properties={},
        spender=Spender("", "", ""),
        place_hold=place_hold,
        key=key,
    )


@pytest.mark.parametrize("place_hold", [True, False])
async def test_a_ledger_that_is_away_costs_no_place_in_a_limit(place_hold: bool) -> None:
    wallets = Wallets()
    application = authorizing(wallets, requests_per_minute=1)
    wallets.held = wallets.read = LedgerUnavailableError("away")
    with pytest.raises(LedgerUnavailableError):
        await application.authorize(request("one", place_hold=place_hold))
    wallets.held, wallets.read = Held("wallets/acme/holds/3", NOW), ()

    answer = await application.authorize(request("two", place_hold=place_hold))

    assert answer.denials == ()


async def test_how_caps_stand_is_advice_and_no_reason_to_fail() -> None:
    wallets = Wallets()
    wallets.read = LedgerUnavailableError("away")
    application = authorizing(wallets, slow_down_from_percent=80, slow_down_max_delay_ms=1_000)

    answer = await application.authorize(request())

    assert (answer.denials, answer.hold, answer.slow_down) == ((), "wallets/acme/holds/3", timedelta())


async def test_a_hold_that_fails_is_raised_though_the_caps_were_read() -> None:
    wallets = Wallets()
    wallets.held = LedgerUnavailableError("away")

    with pytest.raises(LedgerUnavailableError):
        await authorizing(wallets, slow_down_from_percent=80, slow_down_max_delay_ms=1).authorize(request())


async def test_a_retry_that_the_ledger_refuses_leaves_the_place_of_the_first_call() -> None:
    wallets = Wallets()
    application = authorizing(wallets, requests_per_minute=1)
    await application.authorize(request("one"))
    wallets.held = Denial(DenialReason.BUDGET, "no room")

    again = await application.authorize(request("one"))
    other = await application.authorize(request("two"))

    assert [denial.reason for denial in again.denials] == [DenialReason.BUDGET]
    assert [denial.reason for denial in other.denials] == [DenialReason.RATE_LIMITED_REQUESTS]


async def test_an_authorization_says_all_that_settling_needs() -> None:
    answer = await authorizing(Wallets()).authorize(request())

    ticket = read_ticket(answer.authorization)

    assert (ticket.entry, ticket.hold, ticket.tokens, ticket.time) == ("one", "wallets/acme/holds/3", 10, NOW)
    assert (ticket.contract, ticket.wallet) == (contract().name, contract().wallet)
