"""Fees that bills have billed ahead of a day, and what credit notes on them will cost the next bill.

What a note gave back of a fee counts against what the cycle's invoice returns of it once other fees apply: that invoice
returns less, so as much more is still to be billed. See docs/decisions/0041-the-same-money-once.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Final

import msgspec

from ledger_service.application.reading.agreed_contracts import Billed
from ledger_service.domain.agreement.contract import Contract
from ledger_service.domain.agreement.cycles import MICROSECOND
from ledger_service.domain.agreement.promises import fee_lasts_until
from ledger_service.domain.events import BilledAmount

CHARGED_FEES: Final = frozenset({"BASE_FEE", "SEATS", "PRORATION_CHARGE"})
FEE_KINDS: Final = CHARGED_FEES | {"PRORATION_CREDIT", "CREDITED_BEFORE"}


def fees_ahead(billed: Sequence[Billed], at: datetime) -> list[Billed]:
    """Return the fees that were billed for time after an instant."""
    return [
        each
        for each in _joined(billed)
        if each.amount.kind in FEE_KINDS and each.amount.to_time is not None and each.amount.to_time > at
    ]


def after(amount: BilledAmount, at: datetime) -> Fraction:
    """Return what of an amount is for the time from an instant on."""
    assert amount.from_time is not None
    assert amount.to_time is not None
    whole, rest = amount.to_time - amount.from_time, amount.to_time - max(at, amount.from_time)
    return amount.nanos * Fraction(rest // MICROSECOND, whole // MICROSECOND)


def _joined(billed: Iterable[Billed]) -> Iterator[Billed]:
    """Yield what was billed, amounts of one kind and span on an invoice as one: notes do not tell them apart."""
    found: dict[tuple[object, ...], Billed] = {}
    for each in billed:
        amount = each.amount
        key = (each.invoice, each.currency_code, amount.kind, amount.from_time, amount.to_time)
        before = found[key].amount.nanos if key in found else 0
        found[key] = each._replace(amount=msgspec.structs.replace(amount, nanos=before + amount.nanos))
    yield from found.values()


def counted_of_notes(
    contract: Contract, credited: Iterable[Billed], billed: Billed, at: datetime
) -> Fraction:
    """Return what of the time from an instant on notes gave back of a fee that the cycle's invoice will not return."""
    fee = billed.amount
    if fee.kind not in CHARGED_FEES or fee.from_time is None or fee.to_time is None:
        return Fraction(0)
    changed = fee_lasts_until(contract, fee.kind, fee.from_time, fee.to_time)
    left, found = after(fee, changed), Fraction(0)
    for note in credited:
        amount = note.amount
        if (note.invoice, amount.kind, amount.to_time) != (billed.invoice, fee.kind, fee.to_time):
            continue
        assert amount.from_time is not None, "it has the end of a span"
        counted = min(left, Fraction(amount.nanos))
        left -= counted
        # A note on all of a fee is for all its days; one on what is not used counts where something is returned.
        begin = amount.from_time if amount.from_time == fee.from_time else max(amount.from_time, changed)
        if begin < fee.to_time:
            span = msgspec.structs.replace(amount, from_time=begin)
            found += counted * after(span, at) / amount.nanos
    return found
