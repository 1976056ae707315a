"""The arithmetic of a charge that the ledger can check: parts add up to their line, lines to the charge.

That the prices are those of the phase is rating's word. A line, and so a charge, is below 0 only where it was
priced on a running total: a price may fall with the total, but nothing that stands alone costs less than nothing.
"""

from __future__ import annotations

from decimal import Decimal

from ledger_service.domain.events import Charge, ChargeLine
from ledger_service.domain.exact import EXACT, exact, is_exact_text
from ledger_service.domain.refusals import ChargeInconsistent, FieldMalformed


def check_sum(charge: Charge, *, metered: bool) -> None:
    """Refuse figures that are no decimals or do not add up; `metered` if some line has a running total.

    Raises FieldMalformed, ChargeInconsistent.
    """
    if not _is_figure(charge.exact_units, may_fall=metered):
        raise FieldMalformed(
            f"charge.exact_units {charge.exact_units[:80]!r} is not a plain decimal",
            field="charge.exact_units",
        )
    total = exact("0")
    for line in charge.lines:
        if not _is_figure(line.exact_units, may_fall=line.total_before is not None):
            raise FieldMalformed(
                f"exact_units {line.exact_units[:80]!r} of {line.dimension} is not a plain decimal",
                field="charge.lines.exact_units",
            )
        amount = exact(line.exact_units)
        if line.parts:
            _check_parts(line, amount)
        total = EXACT.add(total, amount)
    if total != exact(charge.exact_units):
        raise ChargeInconsistent(
            f"the lines add up to {total}, not to {charge.exact_units} units", field="charge.exact_units"
        )


def _is_figure(text: str, *, may_fall: bool) -> bool:
    return is_exact_text(text.removeprefix("-") if may_fall else text)


def _check_parts(line: ChargeLine, amount: Decimal) -> None:
    total = exact("0")
    for part in line.parts:
        total = EXACT.add(total, exact(part.exact_units))
    if total != amount:
        raise ChargeInconsistent(
            f"the parts of {line.dimension} add up to {total}, not to {line.exact_units} units",
            field="charge.lines.exact_units",
        )
