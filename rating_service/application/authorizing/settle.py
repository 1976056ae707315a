"""Settle and cancel: what became of an authorized request.

An authorization is settled once, because the ledger's idempotency key is made of it: the same usage again gives the
first debit, another usage is refused. The price is that of the instant of Authorize and of what the request was said
to be then, as far as what is settled does not say otherwise. Rate limits are put right only
after the ledger has answered, and doing it again changes nothing.
"""

from __future__ import annotations

from typing import Final

from rating_service.application.authorizing.authorization_ports import (
    CaptureOrder,
    Limiter,
    Released,
    WalletHolds,
)
from rating_service.application.authorizing.authorization_request import ActualUsage, check_entries
from rating_service.application.authorizing.tickets import Ticket, read_ticket
from rating_service.application.metering.metered_usage import ROUNDS_MAX
from rating_service.application.metering.rate_usage import UsageRating
from rating_service.application.ports import Clock, Ledger, LedgerRefused, Order, Posted
from rating_service.domain.authorizing.authorization import LimitKind, token_count, window_names
from rating_service.domain.usage import Charge, Usage

NOTHING_HELD: Final = Released(0, replayed=False)


class Settling:
    """Settles and cancels authorizations."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        wallets: WalletHolds,
        rating: UsageRating,
        limiter: Limiter,
        clock: Clock,
    ) -> None:
        """Price as recorded usage is priced, debit by the ledger, put a limiter right."""
        self._rating = rating
        self._ledger = ledger
        self._wallets = wallets
        self._limiter = limiter
        self._clock = clock

    async def settle(self, authorization: str, used: ActualUsage) -> Posted:
        """Debit what a request used. Without a hold it is recorded as delivered, in every mode.

        Raises Refusal, RequestRefused, LedgerRefused, LedgerUnavailableError.
        """
        ticket = read_ticket(authorization)
        check_entries(used.quantities, used.properties)
        posted = await self._priced_and_posted(ticket, used)
        now = await self._clock.now()
        names = window_names(ticket.contract, ticket.api_key)[LimitKind.TOKENS_PER_MINUTE]
        actual = token_count(used.quantities)
        for name in names:
            await self._limiter.correct(
                name, entry=ticket.entry, estimated=ticket.tokens, actual=actual, now=now
            )
        return posted

    async def cancel(self, authorization: str) -> Released:
        """Give back what was taken for a request that did not run: its hold, and its place in the limits.

        Raises RequestRefused, LedgerRefused, LedgerUnavailableError.
        """
        ticket = read_ticket(authorization)
        released = NOTHING_HELD
        if ticket.hold:
            released = await self._wallets.release(ticket.hold, key=f"cancel-{ticket.entry}")
        for names in window_names(ticket.contract, ticket.api_key).values():
            await self._limiter.give_back(names, entry=ticket.entry)
        return released

    async def _priced_and_posted(self, ticket: Ticket, used: ActualUsage) -> Posted:
        """Post the charge; one that is priced by running totals again while others are counted first."""
        for _ in range(ROUNDS_MAX - 1):
            try:
                return await self._post(ticket, await self._priced(ticket, used), used)
            except LedgerRefused as refused:
                if not refused.true_totals:
                    raise
        return await self._post(ticket, await self._priced(ticket, used), used)

    async def _priced(self, ticket: Ticket, used: ActualUsage) -> Charge:
        properties = {**ticket.properties, **used.properties}
        usage = Usage(ticket.time, used.quantities, properties, contract=ticket.contract)
        return (await self._rating.quote(usage, by_rate_card="", min_position=0)).charge

    async def _post(self, ticket: Ticket, charge: Charge, used: ActualUsage) -> Posted:
        key = f"settle-{ticket.entry}"
        if ticket.hold:
            return await self._wallets.capture(
                CaptureOrder(ticket.hold, key, charge, used.over_hold, used.allow_late)
            )
        order = Order(ticket.wallet, key, ticket.time, ticket.feature, charge, ticket.api_key, ticket.user)
        return await self._ledger.debit(order, delivered=True)
