"""What the overage of cycles comes to, roughly and at once, for contracts that are invoiced from an amount on. Pure.

It is an estimate: reversals are not taken off and each page is rounded up, so it is never below the truth of charged
debits. Whoever acts on it computes the truth first.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from fractions import Fraction
from math import ceil
from typing import Final

import msgspec

from rating_service.application.followed import DebitRow, UnbilledRow
from rating_service.domain.agreements.agreement import Money, UnitPrice
from rating_service.domain.agreements.catalogue import Catalogue, find_contract_phase
from rating_service.domain.agreements.cycles import cycle_at
from rating_service.domain.agreements.index import find
from rating_service.domain.exact import parse_exact
from rating_service.domain.rounding import NANOS_PER_MAJOR


class _Charge(msgspec.Struct):
    contract: str
    overage_price: UnitPrice | None = None


_charges: Final = msgspec.json.Decoder(_Charge)


def unbilled_of(debits: Iterable[DebitRow], catalogue: Catalogue) -> list[UnbilledRow]:
    """Return by how much debits grow the cycles of contracts with an invoice threshold, by contract and cycle.

    Most debits have no overage and cost nothing here. Raises msgspec.ValidationError.
    """
    exact: dict[tuple[str, datetime], Fraction] = {}
    thresholds: dict[tuple[str, datetime], int] = {}
    for debit in debits:
        if not debit.overage_units or debit.charge is None:
            continue
        charge = _charges.decode(debit.charge)
        contract = find(catalogue.contracts, charge.contract)
        if contract is None or charge.overage_price is None:
            continue
        phase = find_contract_phase(contract, debit.effective_time)
        threshold = _in_currency(phase.terms.invoice_threshold if phase else None, charge.overage_price)
        if threshold is None:
            continue
        key = (contract.name, cycle_at(contract.cycle, debit.effective_time).start_time)
        nanos_per_asset = parse_exact(charge.overage_price.price) * NANOS_PER_MAJOR
        nanos = debit.overage_units * nanos_per_asset / 10**contract.asset.scale
        exact[key] = exact.get(key, Fraction()) + nanos
        thresholds[key] = threshold.nanos
    return [UnbilledRow(*key, ceil(nanos), thresholds[key]) for key, nanos in sorted(exact.items())]


def _in_currency(threshold: Money | None, price: UnitPrice) -> Money | None:
    """Return a threshold if a price is in its currency."""
    return threshold if threshold is not None and threshold.currency_code == price.currency_code else None
