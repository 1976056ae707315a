"""The roll-forward on the command line."""

from __future__ import annotations

from datetime import date

from ledger_service.cli.finance_roll_forward import COLUMNS, cells_of
from ledger_service.domain.finance.accounts import Account
from ledger_service.domain.finance.journal import Movement
from ledger_service.projections.reports.roll_forward import roll_forward_days, sums_of
from ledger_service.rpc.finance.finance_messages import write_row

DAY = date(2026, 3, 1)


def test_the_cells_of_a_row_tie_whatever_moved_the_liability() -> None:
    moved = [(Account.CONTRACT_LIABILITY, movement, 3**place) for place, movement in enumerate(Movement)]
    before = sums_of([(Account.CONTRACT_LIABILITY, Movement.SALE, -1_000)])
    rolled = roll_forward_days(
        before, {DAY: sums_of(moved)}, from_day=DAY, to_day=date(2026, 3, 2), position=0
    ).total
    label, currency, opening, billings, *gone, closing = cells_of("Total", write_row(rolled, "EUR"))

    assert (label, currency, opening) == ("Total", "EUR", 1_000)
    assert len(COLUMNS) == 2 + 2 + len(gone) + 1
    assert all(gone), "each column has its share"
    assert (
        int(opening) + int(billings) - sum(map(int, gone))
        == closing
        == 1_000 - sum(nanos for _, _, nanos in moved)
    )
