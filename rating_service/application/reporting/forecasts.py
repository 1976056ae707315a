"""Where the present cycle of a contract is heading, and how far such projections were off before."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Final, NamedTuple

from rating_service.application.names import check_contract
from rating_service.application.ports import Clock, History
from rating_service.application.reporting.bill_forecasts import BillForecasts, ProjectedBill
from rating_service.application.reporting.report_ports import (
    Rollup,
    UsageQuery,
    UsageReader,
    UsageSheet,
    WalletBalances,
)
from rating_service.application.reporting.usage_reports import catch_up
from rating_service.domain.agreements import catalogue as catalogues
from rating_service.domain.agreements.agreement import Contract, Money, UnitPrice
from rating_service.domain.agreements.catalogue import contract_phase_at
from rating_service.domain.agreements.cycles import cycle_at
from rating_service.domain.exact import parse_exact
from rating_service.domain.reports.forecast import (
    DAY,
    HISTORY_DAYS,
    PAST_CYCLES_MAX,
    CycleDays,
    Forecast,
    exhaust_day,
    forecast,
)
from rating_service.domain.reports.usage_report import UsageGroup, local_day
from rating_service.domain.rounding import NANOS_PER_MAJOR, minor_unit_nanos, round_half_up

INSTANT: Final = timedelta(microseconds=1)


class CycleForecast(NamedTuple):
    """A projection with what it was made of; `forecast` is None with too little history.

    `overage_units` and `projected_overage_units` are of the cycle; `projected_overage` is None without a price. `bill`
    is the projected invoice, without projected overage if there is no projection.
    """

    contract: Contract
    cycle: CycleDays
    today: date
    forecast: Forecast | None
    used_units: int
    available_units: int
    exhaust_day: date | None
    overage_units: int
    projected_overage_units: int
    projected_overage: Money | None
    position: int
    bill: ProjectedBill | None = None


class Forecasting:
    """Projects the usage of contracts."""

    def __init__(
        self,
        *,
        history: History,
        rollup: Rollup,
        reader: UsageReader,
        balances: WalletBalances,
        bills: BillForecasts,
        clock: Clock,
    ) -> None:
        """Project from sums by day, against balances that the ledger tells."""
        self._history = history
        self._rollup = rollup
        self._reader = reader
        self._balances = balances
        self._bills = bills
        self._clock = clock

    async def forecast(self, name: str, *, min_position: int, with_bill: bool) -> CycleForecast:
        """Return the projection of the present cycle. Refuses UNKNOWN_CONTRACT, CONTRACT_NOT_IN_FORCE.

        The bill takes a pass over the cycle's debits, all else the sums by day.
        """
        check_contract(name, field="name")
        await catch_up(self._history, self._rollup, min_position)
        contract = catalogues.contract(self._history.catalogue, name)
        now = await self._clock.now()
        price = contract_phase_at(contract, now).terms.overage_price
        cycles = list(_cycles_back(contract, now))
        cycle, today = cycles[0], local_day(contract.cycle.zone, now)
        first_day = local_day(contract.cycle.zone, contract.start_time)
        sheet = await self._days(contract, min(each.from_day for each in cycles), cycle.to_day)
        used = {date.fromisoformat(row.values[0]): row.sums.amount_units for row in sheet.rows}
        available_units = (await self._balances.balance(contract.wallet)).available_units
        found = forecast(used, first_day=first_day, cycle=cycle, today=today, past=cycles[1:])
        used_units = sum(used.get(each, 0) for each in used if cycle.from_day <= each <= today)
        overage_units = sum(
            row.sums.overage_units
            for row in sheet.rows
            if cycle.from_day <= date.fromisoformat(row.values[0]) < cycle.to_day
        )
        to_come = (
            max(Fraction(0), found.projected_units - used_units - available_units) if found else Fraction(0)
        )
        overage = overage_units + to_come
        bill = None
        if with_bill:
            further_units = round_half_up(to_come, step=1)
            bill = await self._bills.project(
                contract, now, position=sheet.position, further_units=further_units
            )
        return CycleForecast(
            contract=contract,
            cycle=cycle,
            today=today,
            forecast=found,
            used_units=used_units,
            available_units=available_units,
            exhaust_day=exhaust_day(used, first_day=first_day, today=today, available_units=available_units),
            overage_units=overage_units,
            projected_overage_units=round_half_up(overage, step=1),
            projected_overage=_priced(overage, price, contract.asset.scale),
            position=sheet.position,
            bill=bill,
        )

    async def _days(self, contract: Contract, from_day: date, to_day: date) -> UsageSheet:
        """Return units and overage of each day, with the history behind the earliest projection."""
        start = from_day - HISTORY_DAYS * DAY
        return await self._reader.sheet(
            UsageQuery(
                wallet=contract.wallet,
                contract=contract.name,
                from_day=start,
                to_day=to_day,
                is_local=True,
                groups=(UsageGroup.DAY,),
                limit=(to_day - start).days,
            )
        )


def _cycles_back(contract: Contract, now: datetime) -> Iterator[CycleDays]:
    """Yield the present cycle and those before it, down to the one in which the contract began."""
    instant = now
    for _ in range(PAST_CYCLES_MAX + 1):
        bounds = cycle_at(contract.cycle, instant)
        zone = contract.cycle.zone
        yield CycleDays(local_day(zone, bounds.start_time), local_day(zone, bounds.end_time))
        if bounds.start_time <= contract.start_time:
            return
        instant = bounds.start_time - INSTANT


def _priced(units: Fraction, price: UnitPrice | None, scale: int) -> Money | None:
    """Return what overage costs, rounded half up to the currency's minor unit."""
    if price is None:
        return None
    nanos = units * parse_exact(price.price) * Fraction(NANOS_PER_MAJOR, 10**scale)
    return Money(price.currency_code, round_half_up(nanos, step=minor_unit_nanos(price.currency_code)))
