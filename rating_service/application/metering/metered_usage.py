"""Recording usage that is priced by the running totals of its cycle.

The wallet counts the totals, and refuses a debit that was priced on others. What it is known to have counted is
kept here, so that usage is priced without asking first; the refusal tells the true totals, and the usage is
priced again. Nothing here has to be right, or to survive: what is wrong or missing costs a round trip.

Usage of one wallet is posted by one caller at a time in this process, a batch as one call, each usage after what
the ones before it are expected to count. Usages that come alone while another call runs go together in the next,
so a busy customer costs few calls. Other processes may post for the same wallet: each round of such a race
is won by one of them.
"""

from __future__ import annotations

import asyncio
from collections import ChainMap, OrderedDict
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Final

import msgspec

from rating_service.application.ports import (
    Ledger,
    LedgerRefused,
    LedgerUnavailableError,
    Order,
    Posted,
)
from rating_service.application.refusals import RequestRefused
from rating_service.domain.agreements.agreement import Contract
from rating_service.domain.agreements.cycles import CycleBounds
from rating_service.domain.price_models.running_total import RunningTotal
from rating_service.domain.prices.cycle_totals import (
    CountedTotals,
    Counts,
    CycleOf,
    MeterKey,
    count,
    cycle_of,
    key_of,
)
from rating_service.domain.prices.rating import TotalsOf, is_metered
from rating_service.domain.refusals import Refusal
from rating_service.domain.usage import Usage

Refused = Refusal | RequestRefused | LedgerRefused
PriceOrder = Callable[[Usage, TotalsOf], Order]
"""Price a usage. Raises Refusal, RequestRefused."""

ROUNDS_MAX: Final = 32
"""How often usage is priced again; what is stale even then is answered with the ledger's refusal (ABORTED)."""
TOGETHER_MAX: Final = 500
"""Usages that came alone and are posted as one call."""
WALLETS_MAX: Final = 50_000
"""Wallets whose totals are kept in memory, about 1 KB each; the one used longest ago goes first."""
METERS_MAX: Final = 4_096
"""Totals kept of one wallet; beyond it they are read again, which leaves out what the wallet has forgotten."""
CYCLES_MAX: Final = 50_000
"""Contracts whose last cycle is remembered."""


class _Single(msgspec.Struct, eq=False):
    """A usage that came alone and waits for its turn."""

    usage: Usage
    delivered: bool
    outcome: Posted | Refused | LedgerUnavailableError | None = None


class _Counted(msgspec.Struct):
    """What a wallet is known to have counted; None until it was asked. `waiting` singles are oldest first."""

    lock: asyncio.Lock
    counts: dict[MeterKey, RunningTotal] | None = None
    waiting: list[_Single] = []


class _Ahead:
    """Totals as they will be once what is about to be sent is counted.

    `refuses` are wallets whose last answer was a refusal: more of the same is expected of them, which counts nothing.
    """

    def __init__(
        self, known: dict[str, dict[MeterKey, RunningTotal]], refuses: set[str], cycle_of: CycleOf
    ) -> None:
        """Begin with what is known."""
        self._counts = {wallet: ChainMap({}, counts) for wallet, counts in known.items()}
        self._refuses = refuses
        self._cycle_of = cycle_of

    def totals_of(self, contract: Contract, instant: datetime) -> CountedTotals:
        """Return the totals that are expected at this point."""
        counts: Counts = self._counts.get(contract.wallet, {})
        return CountedTotals(contract, instant, counts, self._cycle_of)

    def expect(self, order: Order) -> None:
        """Expect an order to be recorded, or to be refused like the one before it."""
        counts = self._counts.get(order.wallet)
        if counts is not None and order.wallet not in self._refuses:
            count(counts, order.charge)


class MeteredUsage:
    """Prices metered usage and posts it."""

    def __init__(self, ledger: Ledger) -> None:
        """Know nothing yet."""
        self._ledger = ledger
        self._wallets: OrderedDict[str, _Counted] = OrderedDict()
        self._cycles: OrderedDict[str, CycleBounds] = OrderedDict()

    def unknown_totals(self, contract: Contract, instant: datetime) -> CountedTotals:
        """Return totals of nothing: enough to see whether a usage is metered."""
        return CountedTotals(contract, instant, {}, self.cycle_of)

    async def read_totals(self, wallet: str) -> TotalsOf:
        """Return what a wallet has counted, asked now. Raises LedgerRefused, LedgerUnavailableError."""
        counts = await self._ledger.meter_totals(wallet)
        return lambda contract, instant: CountedTotals(contract, instant, counts, self.cycle_of)

    async def post(
        self, usages: Sequence[Usage], wallets: set[str], price: PriceOrder, *, delivered: bool
    ) -> list[Posted | Refused]:
        """Price and post usages in their sequence; `wallets` are those of the metered ones among them.

        Raises LedgerRefused, LedgerUnavailableError.
        """
        async with AsyncExitStack() as stack:
            known: dict[str, dict[MeterKey, RunningTotal]] = {}
            # One order for all, so that no two batches wait for each other.
            for wallet in sorted(wallets):
                counted = self._counted(wallet)
                await stack.enter_async_context(counted.lock)
                known[wallet] = await self._counts(wallet, counted)
            return await self._rounds(usages, known, price, delivered=delivered)

    async def post_one(self, usage: Usage, wallet: str, price: PriceOrder, *, delivered: bool) -> Posted:
        """Price and post one metered usage, together with others of its wallet that wait.

        Raises Refusal, RequestRefused, LedgerRefused, LedgerUnavailableError.
        """
        counted = self._counted(wallet)
        single = _Single(usage, delivered)
        counted.waiting.append(single)
        try:
            async with counted.lock:
                if single.outcome is None:
                    await self._post_waiting(wallet, counted, price, delivered=delivered)
        finally:
            # A caller that gave up must not be posted by others; what it has posted itself is retried with its id.
            counted.waiting = [each for each in counted.waiting if each is not single]
        assert single.outcome is not None, "a single has its turn at the latest when nobody else has"
        if isinstance(single.outcome, Posted):
            return single.outcome
        raise single.outcome

    async def _post_waiting(
        self, wallet: str, counted: _Counted, price: PriceOrder, *, delivered: bool
    ) -> None:
        """Give the oldest singles that are delivered, or not, their outcome."""
        together = [each for each in counted.waiting if each.outcome is None and each.delivered == delivered]
        del together[TOGETHER_MAX:]
        try:
            known = {wallet: await self._counts(wallet, counted)}
            usages = [each.usage for each in together]
            outcomes = await self._rounds(usages, known, price, delivered=delivered)
        except LedgerUnavailableError as error:
            for each in together:
                each.outcome = error
        else:
            for each, outcome in zip(together, outcomes, strict=True):
                each.outcome = outcome

    async def _rounds(
        self,
        usages: Sequence[Usage],
        known: dict[str, dict[MeterKey, RunningTotal]],
        price: PriceOrder,
        *,
        delivered: bool,
    ) -> list[Posted | Refused]:
        outcomes: dict[int, Posted | Refused] = {}
        waiting = list(range(len(usages)))
        refuses: set[str] = set()
        for _ in range(ROUNDS_MAX):
            ahead = _Ahead(known, refuses, self.cycle_of)
            sent: dict[int, Order] = {}
            for place in waiting:
                try:
                    order = price(usages[place], ahead.totals_of)
                except (Refusal, RequestRefused) as refusal:
                    outcomes[place] = refusal
                else:
                    ahead.expect(order)
                    sent[place] = order
            answers = await self._send(list(sent.values()), delivered=delivered)
            waiting = []
            for (place, order), answer in zip(sent.items(), answers, strict=True):
                outcomes[place] = answer
                if _learn(known.get(order.wallet), order, answer, refuses):
                    waiting.append(place)
            if not waiting:
                break
        return [outcomes[place] for place in range(len(usages))]

    async def _send(self, orders: list[Order], *, delivered: bool) -> list[Posted | LedgerRefused]:
        if len(orders) != 1:
            return await self._ledger.debit_many(orders, delivered=delivered) if orders else []
        try:
            return [await self._ledger.debit(orders[0], delivered=delivered)]
        except LedgerRefused as refused:
            return [refused]

    def _counted(self, wallet: str) -> _Counted:
        counted = self._wallets.get(wallet)
        if counted is None:
            counted = self._wallets[wallet] = _Counted(asyncio.Lock())
            if len(self._wallets) > WALLETS_MAX:
                self._wallets.popitem(last=False)
        else:
            self._wallets.move_to_end(wallet)
        return counted

    async def _counts(self, wallet: str, counted: _Counted) -> dict[MeterKey, RunningTotal]:
        if counted.counts is None or len(counted.counts) > METERS_MAX:
            try:
                counted.counts = dict(await self._ledger.meter_totals(wallet))
            except LedgerRefused:
                # Why it was refused is what the debits themselves will be told.
                return {}
        return counted.counts

    def cycle_of(self, contract: Contract, instant: datetime) -> CycleBounds:
        """Return the cycle of a contract that holds an instant; the last one of each contract is remembered."""
        cycle = self._cycles.get(contract.name)
        if cycle is None or not cycle.start_time <= instant < cycle.end_time:
            cycle = self._cycles[contract.name] = cycle_of(contract, instant)
            if len(self._cycles) > CYCLES_MAX:
                self._cycles.popitem(last=False)
        return cycle


def _learn(
    counts: dict[MeterKey, RunningTotal] | None,
    order: Order,
    answer: Posted | LedgerRefused,
    refuses: set[str],
) -> bool:
    """Take over what an answer tells of the totals; tell whether the usage has to be priced again."""
    if counts is None or not is_metered(order.charge):
        return False
    if isinstance(answer, LedgerRefused):
        for total in answer.true_totals:
            counts[key_of(order.charge.contract, total)] = RunningTotal(total.quantity, total.usages)
        if not answer.true_totals:
            refuses.add(order.wallet)
        return bool(answer.true_totals)
    if not answer.replayed:
        count(counts, order.charge)
        refuses.discard(order.wallet)
    return False
