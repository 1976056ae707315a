"""Recording and quoting usage.

A usage is checked, priced by what was in force at its effective time, and posted to the ledger as a debit
that carries the whole charge. Its id is the debit's idempotency key, so the ledger alone decides what is a
retry. Usage priced by a running total is posted by `metered_usage`. How far ahead of the clock a usage may lie
is the ledger's rule too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from rating_service.application.metering.metered_usage import MeteredUsage, Refused
from rating_service.application.names import (
    check_contract,
    check_rate_card,
    check_usage_id,
    checked_position,
)
from rating_service.application.ports import History, Ledger, Order, Posted
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.domain.agreements.agreement import Asset
from rating_service.domain.agreements.catalogue import rate_card
from rating_service.domain.price_models.running_total import RunningTotal, ToldTotals
from rating_service.domain.prices.pricing import Pricer
from rating_service.domain.prices.rating import (
    TotalsOf,
    is_metered,
    margin_text,
    quote_by_card,
    rate_usage,
    whole_asset_text,
)
from rating_service.domain.refusals import Refusal
from rating_service.domain.usage import Charge, Usage

BATCH_MAX: Final = 5_000
"""Usages in one batch, as in the ledger's BatchDebit."""
PROPERTIES_MAX: Final = 32
QUANTITIES_MAX: Final = 32


class Quote(msgspec.Struct, frozen=True):
    """A price in an asset. `exact_amount` is the sum of the lines in whole assets, decimal text.

    `margin` is what it leaves after the provider's cost, empty if that is not known in the same currency.
    """

    charge: Charge
    asset: Asset
    exact_amount: str
    margin: str = ""


class UsageRating:
    """Prices usage and posts it. Holds the compiled phases, which never change."""

    def __init__(self, *, ledger: Ledger, history: History) -> None:
        """Price by what was followed and post to the ledger."""
        self._ledger = ledger
        self._history = history
        self._pricers: dict[str, Pricer] = {}
        self._metered = MeteredUsage(ledger)

    async def record(self, usage: Usage, *, delivered: bool, min_position: int) -> Posted:
        """Price a usage and debit it. `delivered` usage is never refused for lack of credit.

        Raises Refusal, RequestRefused, LedgerRefused.
        """
        await self._history.wait_for(checked_position(min_position))
        order = self.order(usage)
        if not is_metered(order.charge):
            return await self._ledger.debit(order, delivered=delivered)
        return await self._metered.post_one(usage, order.wallet, self.order, delivered=delivered)

    async def record_many(
        self, usages: Sequence[Usage | Refusal | RequestRefused], *, delivered: bool, min_position: int
    ) -> list[Posted | Refused]:
        """Price and debit usages in their sequence; each has its own outcome.

        A usage that could not even be read comes as its refusal and stays it. Raises RequestRefused for a
        batch that is empty or too large.
        """
        if not 1 <= len(usages) <= BATCH_MAX:
            raise RequestRefused(
                RequestReason.BATCH_SIZE_OUT_OF_RANGE,
                f"a batch of {len(usages)} usages is outside 1 to {BATCH_MAX}",
                field="usages",
            )
        await self._history.wait_for(checked_position(min_position))
        priced = [self._order_or_refusal(usage) for usage in usages]
        orders = [each for each in priced if isinstance(each, Order)]
        if not orders:
            return [each for each in priced if not isinstance(each, Order)]
        wallets = {each.wallet for each in orders if is_metered(each.charge)}
        if wallets:
            rated = [usage for usage, each in zip(usages, priced, strict=True) if isinstance(each, Order)]
            posted = await self._metered.post(
                [usage for usage in rated if isinstance(usage, Usage)],
                wallets,
                self.order,
                delivered=delivered,
            )
            answers = iter(posted)
        else:
            answers = iter(await self._ledger.debit_many(orders, delivered=delivered))
        return [next(answers) if isinstance(each, Order) else each for each in priced]

    async def quote(
        self,
        usage: Usage,
        *,
        by_rate_card: str,
        min_position: int,
        totals: Mapping[str, RunningTotal] | None = None,
    ) -> Quote:
        """Price a usage by its contract, or by a rate card if one is named, and record nothing.

        `totals` are what its cycle has seen before, by dimension. By default it is what the wallet has counted,
        and nothing where a rate card is named.
        """
        await self._history.wait_for(checked_position(min_position))
        _check_sizes(usage)
        totals = totals or {}
        if len(totals) > QUANTITIES_MAX:
            raise _too_many("totals_before", len(totals), QUANTITIES_MAX)
        catalogue = self._history.catalogue
        if by_rate_card:
            check_rate_card(by_rate_card, field="rate_card")
            charge = quote_by_card(catalogue, self._pricers, usage, by_rate_card, ToldTotals(totals))
            asset = rate_card(catalogue, by_rate_card).asset
        else:
            check_contract(usage.contract, field="usage.contract")
            told = ToldTotals(totals)
            rated = rate_usage(catalogue, self._pricers, usage, lambda *_: told)
            if not totals and is_metered(rated.charge):
                counted = await self._metered.read_totals(rated.contract.wallet)
                rated = rate_usage(catalogue, self._pricers, usage, counted)
            charge, asset = rated.charge, rated.contract.asset
        amount = whole_asset_text(charge.exact_units, scale=asset.scale)
        return Quote(charge, asset, amount, margin_text(amount, charge, asset_code=asset.code))

    def _order_or_refusal(self, usage: Usage | Refusal | RequestRefused) -> Order | Refusal | RequestRefused:
        if not isinstance(usage, Usage):
            return usage
        try:
            return self.order(usage)
        except (Refusal, RequestRefused) as refusal:
            return refusal

    def order(self, usage: Usage, totals_of: TotalsOf | None = None) -> Order:
        """Return the debit that a usage asks for, priced. Refuses names, sizes and what cannot be rated.

        By default as if nothing had been counted before: what is metered is priced again when it is recorded.
        """
        check_usage_id(usage.id, field="usage.id")
        check_contract(usage.contract, field="usage.contract")
        _check_sizes(usage)
        totals_of = totals_of or self._metered.unknown_totals
        rated = rate_usage(self._history.catalogue, self._pricers, usage, totals_of)
        return Order(
            rated.contract.wallet,
            usage.id,
            usage.effective_time,
            usage.feature,
            rated.charge,
            usage.api_key,
            usage.user,
        )


def _check_sizes(usage: Usage) -> None:
    if len(usage.properties) > PROPERTIES_MAX:
        raise _too_many("usage.properties", len(usage.properties), PROPERTIES_MAX)
    if len(usage.quantities) > QUANTITIES_MAX:
        raise _too_many("usage.quantities", len(usage.quantities), QUANTITIES_MAX)


def _too_many(field: str, count: int, count_max: int) -> RequestRefused:
    return RequestRefused(
        RequestReason.FIELD_TOO_LONG, f"{field} has {count} entries, more than {count_max}", field=field
    )
