"""What is posted for a cycle that was re-rated: one adjustment, or several where many debits give something back.

A difference above 0 is one debit of its exact amount. One below 0 is taken back of the debits that cost less, in the
order of the log, each by its own share: the exact shares are added up and every debit gives the whole units by which
their sum grew, so that all of them together give the floor of it. What an earlier adjustment charged is taken back
first. The part below one unit, and what debits no longer have left, is charged below 0 and carried by the wallet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from hashlib import sha256
from math import floor
from typing import Final

import msgspec

from rating_service.domain.agreements.agreement import Contract, PlanPhase, RateCardPhase
from rating_service.domain.agreements.catalogue import find_contract_phase
from rating_service.domain.agreements.contract_life import end_of
from rating_service.domain.corrections.rerating import CycleRerating, Share
from rating_service.domain.exact import exact_text
from rating_service.domain.usage import Adjustment, Charge, TakenBack

PARTS_MAX: Final = 500
"""Debits of which one adjustment takes something back, as the ledger allows."""
MICROSECOND: Final = timedelta(microseconds=1)


class AdjustmentOrder(msgspec.Struct, frozen=True):
    """An adjustment to be asked of the ledger. No `effective_time` means now."""

    wallet: str
    key: str
    charge: Charge
    effective_time: datetime | None
    difference: Fraction


def plan_adjustments(
    found: CycleRerating, phase: RateCardPhase, *, number: int, now: datetime, watermark_position: int
) -> Iterator[AdjustmentOrder]:
    """Yield what puts a cycle right, each in its turn; nothing if it is right.

    `number` is that of the first, `watermark_position` how much of history the figures are made of.
    """
    if not found.differs:
        return
    contract, cycle = found.contract, found.cycle
    terms, effective_time = _terms_at(contract, now)
    charged = found.charged + found.adjusted
    parts = list(shares_of(found.shares, floor(-found.difference))) if found.difference < 0 else []
    chunks = [tuple(parts[at : at + PARTS_MAX]) for at in range(0, len(parts), PARTS_MAX)] or [()]
    for place, chunk in enumerate(chunks):
        is_last = place == len(chunks) - 1
        returned = sum(part.amount_units for part in chunk)
        exact = found.rated - charged + returned if is_last else Fraction(0)
        left = found.rated - charged + returned - exact
        adjustment = Adjustment(
            cycle.start_time,
            cycle.end_time,
            exact_text(charged),
            exact_text(found.rated),
            number + place,
            exact_text(left),
            chunk,
            found.meters if is_last else (),
            watermark_position,
        )
        charge = Charge(
            contract.name,
            terms.key,
            phase.name,
            phase.phase_hash,
            (),
            exact_text(exact),
            overage_price=terms.overage_price,
            adjustment=adjustment,
        )
        key = adjustment_key(phase.name, contract.name, cycle.start_time, number + place)
        yield AdjustmentOrder(contract.wallet, key, charge, effective_time, found.rated - charged)
        charged += exact - returned


def shares_of(shares: Sequence[Share], units: int) -> Iterator[TakenBack]:
    """Yield so many whole units of debits by their exact shares, fewer if they have no more left.

    What one debit has not left is made up for by those after it.
    """
    owed = Fraction(0)
    for share in shares:
        owed += share.surplus
        part = min(floor(owed), share.left_units, units)
        if part > 0:
            yield TakenBack(share.debit_version, part)
            owed -= part
            units -= part


def adjustment_key(phase: str, contract: str, cycle_start_time: datetime, number: int) -> str:
    """Return the idempotency key of an adjustment: one for each phase, contract, cycle and number, of fixed length."""
    named = f"{phase}\n{contract}\n{cycle_start_time.isoformat()}\n{number}"
    return f"rerating-{sha256(named.encode()).hexdigest()}"


def _terms_at(contract: Contract, now: datetime) -> tuple[PlanPhase, datetime | None]:
    """Return the terms under which an adjustment is invoiced: those of now, or of the contract's last instant."""
    phase = find_contract_phase(contract, now)
    if phase is not None:
        return phase.terms, None
    end_time = end_of(contract)
    if end_time is None or end_time > now:
        return contract.phases[0].terms, None
    return contract.phases[-1].terms, end_time - MICROSECOND
