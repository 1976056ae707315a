"""Debits net of what was taken back of them.

Overage comes off overage and returned units come off the draws that they came from; the rest was debt, or
draws of grants that had repaid it. A debit that was taken back whole is gone; of one that was taken back in
part the quantities stay as they were, because nobody knows which of them the rest was for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from rating_service.domain.debits import DebitFact, Draw, ReversalFact

ReversalsOfDebits = Mapping[tuple[str, int], Sequence[ReversalFact]]
"""By wallet and version of the debit."""


def net_debits(debits: Iterable[DebitFact], reversals: Iterable[ReversalFact]) -> Iterator[DebitFact]:
    """Yield what is left of debits, in their order; reversals of other debits are passed over."""
    found = by_debit(reversals)
    for debit in debits:
        taken_back = found.get((debit.wallet, debit.version)) if found else None
        net = debit if taken_back is None else net_debit(debit, taken_back)
        if net is not None:
            yield net


def by_debit(reversals: Iterable[ReversalFact]) -> ReversalsOfDebits:
    """Return reversals by the debit that they take back."""
    found: dict[tuple[str, int], list[ReversalFact]] = {}
    for reversal in reversals:
        found.setdefault((reversal.wallet, reversal.debit_version), []).append(reversal)
    return found


def net_debit(debit: DebitFact, reversals: Sequence[ReversalFact]) -> DebitFact | None:
    """Return what reversals leave of their debit, None if they leave nothing."""
    if not reversals:
        return debit
    amount_units = debit.amount_units - sum(each.amount_units for each in reversals)
    if amount_units <= 0:
        return None
    returned: dict[int, int] = {}
    for each in (part for reversal in reversals for part in reversal.returned):
        returned[each.grant_version] = returned.get(each.grant_version, 0) + each.amount_units
    return msgspec.structs.replace(
        debit,
        amount_units=amount_units,
        overage_units=debit.overage_units - sum(each.overage_units for each in reversals),
        draws=_without(debit.draws, returned),
    )


def _without(draws: Sequence[Draw], returned: dict[int, int]) -> tuple[Draw, ...]:
    """Return draws without the units that went back, last draw of a grant first, as the ledger reverses."""
    left: list[Draw] = []
    for draw in reversed(draws):
        part = min(draw.amount_units, returned.get(draw.grant_version, 0))
        if part:
            returned[draw.grant_version] -= part
        if part < draw.amount_units:
            left.append(Draw(draw.grant_version, draw.amount_units - part))
    return tuple(reversed(left))
