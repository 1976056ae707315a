"""Retries that end at any step or run beside a dismissal: an entry says what the ledger says."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, cast

import msgspec
import pytest

from rating_service.application.metering.quarantine import Cause, Entry, Quarantine, Received
from rating_service.application.metering.rate_usage import UsageRating
from rating_service.application.ports import Ledger, LedgerRefused, LedgerUnavailableError, Order, Posted
from rating_service.domain.agreements.agreement import Contract, ContractPhase, RateCard
from rating_service.domain.agreements.catalogue import Catalogue
from rating_service.domain.agreements.index import empty_index, put
from rating_service.domain.usage import Usage
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
from tests.unit.rating.builders import CREDIT, JANUARY, card_phase, contract, plan_phase, rate

USAGE: Final = Usage(JANUARY, {"output_tokens": 100}, id="answer", contract=contract().name)


class Wallet:
    """The ledger, which debits a usage once; and what was followed of it."""

    def __init__(self) -> None:
        self.debits: dict[str, dict[str, int]] = {}

    async def debit(self, order: Order, *, delivered: bool) -> Posted:
        assert delivered
        quantities = {line.dimension: line.quantity for line in order.charge.lines}
        replayed = order.usage in self.debits
        if self.debits.setdefault(order.usage, quantities) != quantities:
            raise LedgerRefused(None)
        return Posted(None, replayed, 2)

    async def head_position(self) -> int:
        return 1 + len(self.debits)

    async def has(self, contract: Contract, usage_id: str, effective_time: datetime) -> bool:
        assert (contract.wallet, effective_time) == ("wallets/acme", JANUARY)
        return usage_id in self.debits


class Entries:
    """The database, with one entry that waits."""

    def __init__(self) -> None:
        self.entry = Entry(
            number=1,
            usage_id=USAGE.id,
            contract=USAGE.contract,
            effective_time=JANUARY,
            domain="rating.credits",
            reason="UNKNOWN_CONTRACT",
            message="",
            state="WAITING",
            receive_time=JANUARY,
            retry_count=0,
            position=0,
            dismiss_actor="",
            dismiss_reason="",
            received=msgspec.json.encode(USAGE),
        )

    async def numbered(self, numbers: Sequence[int]) -> list[Entry]:
        assert list(numbers) == [1]
        return [self.entry]

    async def retried(self, number: int, cause: Cause) -> Entry:
        assert number == 1
        if self.entry.state == "WAITING":
            self._set(retry_count=self.entry.retry_count + 1, reason=cause.reason)
        return self.entry

    async def recorded(self, number: int, position: int) -> Entry:
        assert number == 1
        self._set(state="RECORDED", position=position)
        return self.entry

    async def dismissed(self, number: int, *, actor: str, reason: str) -> Entry:
        assert number == 1
        if self.entry.state == "WAITING":
            self._set(state="DISMISSED", dismiss_actor=actor, dismiss_reason=reason)
        return self.entry

    def _set(self, **changes: object) -> None:
        self.entry = msgspec.structs.replace(self.entry, **changes)


class Followed:
    """History in which the contract is known by now."""

    def __init__(self) -> None:
        phase = plan_phase()
        card = RateCard(phase.rate_card, CREDIT, (card_phase(rate("output_tokens", "0.000001")),))
        signed = contract(ContractPhase(JANUARY, phase))
        self.catalogue = Catalogue(
            rate_cards=put(empty_index(), card.name, card), contracts=put(empty_index(), signed.name, signed)
        )
        self.position = 9

    async def wait_for(self, position: int) -> None:
        assert position <= self.position


class World:
    """An entry and the ledger, which outlive the processes that see to the quarantine."""

    def __init__(self) -> None:
        self.wallet = Wallet()
        self.entries = Entries()

    def started(self, steps: Steps) -> Quarantine:
        """Return the quarantine as a new process has it."""
        ledger = cast("Ledger", stepped(self.wallet, steps))
        followed = Followed()
        return Quarantine(
            rating=UsageRating(ledger=ledger, history=followed),
            store=cast("Any", stepped(self.entries, steps)),
            recorded=stepped(self.wallet, steps),
            ledger=ledger,
            history=followed,
            read=_received,
            cause_of=lambda refusal: Cause("ledger.credits", type(refusal).__name__, "", is_unrateable=True),
        )

    def check(self) -> None:
        """Check that the entry says what the ledger says."""
        assert self.entries.entry.state == ("RECORDED" if self.wallet.debits else "DISMISSED")


def _received(form: bytes) -> Received:
    usage = msgspec.json.decode(form, type=Usage)
    return Received(usage.id, usage.contract, usage.effective_time, usage, lambda: form)


async def retry(quarantine: Quarantine) -> None:
    """Drive the entry again."""
    [found] = await quarantine.numbered([1])
    assert found.entry is not None
    await quarantine.retry(found.entry, accept_late=False)


async def dismiss(quarantine: Quarantine) -> None:
    """Give the entry up."""
    [found] = await quarantine.numbered([1])
    assert found.entry is not None
    await quarantine.dismiss(found.entry, actor="ann", reason="test traffic")


async def test_a_retry_that_ends_at_any_step_is_finished_by_the_next_and_no_dismissal_hides_its_debit() -> (
    None
):
    async def play(breaks: Breaks) -> None:
        for then in (retry, dismiss):
            world = World()
            with suppress(Killed):
                await retry(world.started(breaks))
            await then(world.started(Breaks(0, after=True)))

            world.check()

    await at_every_break(play)


@pytest.mark.parametrize(
    "failure", [LedgerUnavailableError("away"), LedgerRefused(None, is_passing=True)], ids=["away", "busy"]
)
async def test_a_retry_that_the_ledger_does_not_answer_says_nothing_of_the_entry(failure: Exception) -> None:
    async def play(failures: Failures) -> None:
        world = World()
        quarantine = world.started(failures)
        with suppress(type(failure)):
            await retry(quarantine)

        assert world.entries.entry.retry_count == 0
        failures.heal()
        await retry(quarantine)
        world.check()

    await at_every_failure(failure, play)


async def test_a_dismissal_that_ends_at_any_step_is_finished_by_the_next() -> None:
    async def play(breaks: Breaks) -> None:
        world = World()
        with suppress(Killed):
            await dismiss(world.started(breaks))
        await dismiss(world.started(Breaks(0, after=True)))

        world.check()

    await at_every_break(play)


async def test_retries_and_a_dismissal_at_once_leave_what_the_ledger_says() -> None:
    async def play(turns: Turns) -> None:
        world = World()

        async def retrying(steps: Steps) -> None:
            await retry(world.started(steps))

        async def dismissing(steps: Steps) -> None:
            await dismiss(world.started(steps))

        await turns.run(retrying, dismissing, retrying)

        world.check()

    await in_every_order(play)


@pytest.mark.parametrize(("sent_again", "state"), [(100, "RECORDED"), (200, "DISMISSED")])
async def test_what_its_caller_sent_again_is_recorded_unless_it_was_another_usage(
    sent_again: int, state: str
) -> None:
    world = World()
    rating = UsageRating(ledger=cast("Ledger", world.wallet), history=Followed())
    other = msgspec.structs.replace(USAGE, quantities={"output_tokens": sent_again})
    await rating.record(other, delivered=True, min_position=0)

    await dismiss(world.started(Breaks(0, after=True)))

    assert world.entries.entry.state == state
