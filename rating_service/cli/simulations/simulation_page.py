"""The report of a simulation: one HTML file that needs nothing else, with bars drawn by style alone.

Every text that comes from outside is escaped, and the page allows no script.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from html import escape
from typing import Final

from credits.ledger.v1 import money_pb2
from credits.rating.v1 import simulation_service_pb2
from rating_service.cli.amounts import money
from rating_service.cli.simulations.simulation_style import STYLE
from rating_service.cli.simulations.simulation_text import direction, number, percent, signed, whole

CONTRACTS_SHOWN_MAX: Final = 1_000
_CLASSES: Final = {-1: "less", 0: "same", 1: "more"}

Contracts = Sequence[simulation_service_pb2.SimulatedContract]
Result = simulation_service_pb2.SimulationResult


def simulation_page(result: Result, contracts: Contracts, *, span: str, threshold: str) -> str:
    """Return the report as HTML."""
    title = f"Simulation, {span}"
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>",
        f"<h1>{escape(title)}</h1>",
        f"<p class=lead>{result.total.usage_count:,} usages of {result.contract_count:,} contracts, charged"
        f" <b>{whole(result.total.units_now, result.asset)} {escape(result.asset.code)}</b></p>",
        *(_candidate(result, place, threshold) for place in range(len(result.candidates))),
        _contracts(result, contracts),
        "</main></body></html>",
    ]
    return "\n".join(parts)


def _candidate(result: Result, place: int, threshold: str) -> str:
    candidate, side = result.candidates[place], result.total.candidates[place]
    moved = f"{candidate.moved_count:,} by more than {escape(threshold)} %"
    return "\n".join(
        [
            f"<section><h2>{escape(candidate.label)}</h2><div class=tiles>",
            _tile("Now", whole(result.total.units_now, result.asset), result.asset.code),
            _tile("Simulated", whole(side.units, result.asset), result.asset.code),
            _tile(
                "Difference",
                percent(side.difference_percent),
                signed(whole(side.difference_units, result.asset)),
                kind=_CLASSES[direction(side.difference_units)],
            ),
            *(_tile("Bills", money(bill), _bill_now(result, bill)) for bill in candidate.bills),
            _tile("Who pays less / more", f"{candidate.cheaper_count:,} / {candidate.dearer_count:,}", moved),
            *(
                [_tile("Margin", number(side.margin), f"now {number(result.total.margin_now)}")]
                if side.margin
                else []
            ),
            "</div>",
            *(_view(title, view, place, result.asset) for title, view in _views(result)),
            _movers("Winners", candidate.winners, result.asset),
            _movers("Losers", candidate.losers, result.asset),
            _tiers(candidate.tiers, result.asset),
            _unrateable(candidate.unrateable, result.asset),
            "</section>",
        ]
    )


def _views(result: Result) -> Iterable[tuple[str, Sequence[simulation_service_pb2.SimulationSums]]]:
    views = (
        ("By month", result.months),
        ("By model", result.models),
        ("By feature", result.features),
        ("By dimension", result.dimensions),
    )
    return [(title, view) for title, view in views if any(each.key for each in view)]


def _bill_now(result: Result, bill: money_pb2.Money) -> str:
    now = next((each for each in result.bills_now if each.currency_code == bill.currency_code), None)
    return f"now {money(now)}" if now else ""


def _tile(title: str, value: str, below: str, *, kind: str = "") -> str:
    return (
        f'<div class="tile {kind}"><h3>{escape(title)}</h3><b>{escape(value)}</b><i>{escape(below)}</i></div>'
    )


def _view(
    title: str,
    view: Sequence[simulation_service_pb2.SimulationSums],
    place: int,
    asset: money_pb2.Asset,
) -> str:
    """Return a view as a table with two bars a row: now and simulated."""
    most = max(
        (abs(Decimal(text)) for each in view for text in (each.units_now, each.candidates[place].units)),
        default=Decimal(0),
    )
    rows = [
        f"<tr><td>{escape(each.key or '(none)')}</td><td class=number>{each.usage_count:,}</td>"
        f"<td class=bars>{_bar(each.units_now, most, 'now')}"
        f"{_bar(each.candidates[place].units, most, 'simulated')}</td>"
        f"<td class=number>{whole(each.units_now, asset)}</td>"
        f"<td class=number>{whole(each.candidates[place].units, asset)}</td>"
        f"{_change(each.candidates[place].difference_percent, each.candidates[place].difference_units)}</tr>"
        for each in view
    ]
    head = ("", "usages", "now and simulated", "now", "simulated", "difference")
    return _table(title, head, rows)


def _bar(text: str, most: Decimal, kind: str) -> str:
    """Return a bar whose length is the share of the longest one, in tenths of a per cent."""
    permille = int(abs(Decimal(text or "0")) * 1_000 / most) if most else 0
    return f'<span class="bar {kind}" style="width:{permille // 10}.{permille % 10}%"></span>'


def _change(percent_text: str, difference: str) -> str:
    return f'<td class="number {_CLASSES[direction(difference)]}">{escape(percent(percent_text))}</td>'


def _movers(
    title: str, movers: Sequence[simulation_service_pb2.SimulationMover], asset: money_pb2.Asset
) -> str:
    most = max((abs(Decimal(mover.difference)) for mover in movers), default=Decimal(0))
    rows = []
    for mover in movers:
        scale = 0 if mover.currency_code else asset.scale
        unit = mover.currency_code or asset.code
        kind = _CLASSES[direction(mover.difference)]
        rows.append(
            f"<tr{' class=moved' if mover.is_moved else ''}><td>{escape(mover.contract)}</td>"
            f"<td>{escape(mover.customer)}</td><td class=bars>{_bar(mover.difference, most, kind)}</td>"
            f"<td class=number>{number(mover.now, scale=scale)}</td>"
            f"<td class=number>{number(mover.simulated, scale=scale)} {escape(unit)}</td>"
            f"{_change(mover.difference_percent, mover.difference)}</tr>"
        )
    return _table(title, ("contract", "customer", "difference", "now", "simulated", ""), rows)


def _tiers(tiers: Sequence[simulation_service_pb2.SimulatedTier], asset: money_pb2.Asset) -> str:
    rows = [
        f"<tr><td>{escape(tier.dimension)}</td><td>{escape(tier.match or 'all')}</td>"
        f"<td>{tier.tier or 'free'}</td><td class=number>{escape(tier.price)}</td>"
        f"<td class=bars>{_bar(tier.share_percent, Decimal(100), 'now')}</td>"
        f"<td class=number>{tier.quantity:,}</td><td class=number>{whole(tier.units, asset)}</td></tr>"
        for tier in tiers
    ]
    return _table("Tiers", ("dimension", "for", "tier", "price", "share", "quantity", "amount"), rows)


def _unrateable(kinds: Sequence[simulation_service_pb2.SimulationUnrateable], asset: money_pb2.Asset) -> str:
    rows = [
        f"<tr><td>{escape(kind.reason)}</td><td class=number>{kind.usage_count:,}</td>"
        f"<td class=number>{whole(kind.units_now, asset)}</td><td>{escape(kind.message)}</td>"
        f"<td>{escape(', '.join(kind.examples))}</td></tr>"
        for kind in kinds
    ]
    return _table("Not priced", ("reason", "usages", "charged now", "what it says", "for instance"), rows)


def _contracts(result: Result, contracts: Contracts) -> str:
    """Return every contract with its bill, or its units, under each candidate."""
    rows = []
    for contract in contracts[:CONTRACTS_SHOWN_MAX]:
        bills = {bill.candidate: money(bill.bill) for bill in contract.bills}
        cells = [
            f"<td class='number{' best' if place == contract.best_candidate else ''}'>"
            f"{escape(bills.get(place, ''))}<br><small>{whole(side.units, result.asset)}</small></td>"
            for place, side in enumerate(contract.sums.candidates)
        ]
        now = money(contract.bill_now) if contract.HasField("bill_now") else ""
        rows.append(
            f"<tr><td>{escape(contract.contract)}</td><td>{escape(contract.customer)}</td>"
            f"<td class=number>{escape(now)}<br><small>{whole(contract.sums.units_now, result.asset)}</small></td>"
            f"{''.join(cells)}</tr>"
        )
    labels = [candidate.label for candidate in result.candidates]
    table = _table("Contracts: bill, and units below", ("contract", "customer", "now", *labels), rows)
    more = len(contracts) - CONTRACTS_SHOWN_MAX
    return table + (f"<p>and {more:,} more</p>" if more > 0 else "")


def _table(title: str, head: Sequence[str], rows: Sequence[str]) -> str:
    if not rows:
        return ""
    cells = "".join(f"<th>{escape(text)}</th>" for text in head)
    return f"<h3>{escape(title)}</h3><table><thead><tr>{cells}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
