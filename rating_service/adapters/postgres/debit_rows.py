"""Debits, reversals and grants as rows, and back as the facts that the domain computes with."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from psycopg import sql

from rating_service.domain.debits import (
    DebitFact,
    Draw,
    GrantCategory,
    GrantFact,
    Returned,
    ReversalFact,
)
from rating_service.domain.usage import Charge

DEBIT_COLUMNS: Final = sql.SQL(
    "position, wallet, version, effective_time, amount_units, overage_units, draws, charge, usage"
)
REVERSAL_COLUMNS: Final = sql.SQL(
    "r.position, r.wallet, r.version, r.debit_version, r.effective_time, r.amount_units, r.overage_units,"
    " r.returned"
)

_draws: Final = msgspec.json.Decoder(tuple[Draw, ...])
_returned: Final = msgspec.json.Decoder(tuple[Returned, ...])
_charges: Final = msgspec.json.Decoder(Charge)


def debit_from_row(row: Any) -> DebitFact:
    """Return the debit behind a row of DEBIT_COLUMNS."""
    position, wallet, version, effective_time, amount_units, overage_units, draws, charge, usage = row
    return DebitFact(
        position,
        wallet,
        version,
        effective_time,
        amount_units,
        overage_units,
        _draws.decode(draws),
        None if charge is None else _charges.decode(charge),
        usage,
    )


def reversal_from_row(row: Any) -> ReversalFact:
    """Return the reversal behind a row of REVERSAL_COLUMNS."""
    position, wallet, version, debit_version, effective_time, amount_units, overage_units, returned = row
    return ReversalFact(
        position,
        wallet,
        version,
        debit_version,
        effective_time,
        amount_units,
        overage_units,
        _returned.decode(returned),
    )


def grant_from_row(row: Any) -> GrantFact:
    """Return the grant behind a row of wallet, version, effective time, units, expiry and contract."""
    wallet, version, effective_time, amount_units, expire_time, contract = row
    return GrantFact(
        wallet, version, effective_time, amount_units, GrantCategory.INCLUDED, expire_time, contract
    )
