"""How caps stand, written for the wire."""

from __future__ import annotations

from credits.ledger.v1 import wallet_caps_pb2
from ledger_service.domain.wallet.room import CapUse
from ledger_service.rpc.values import write_time


def write_cap_use(use: CapUse) -> wallet_caps_pb2.CapUse:
    """Return how a cap stands."""
    message = wallet_caps_pb2.CapUse(
        budget_id=use.terms.budget,
        limit_units=use.terms.amount_units,
        used_units=use.used_units,
        held_units=use.held_units,
        remaining_units=use.remaining_units,
        contract_phase=use.contract_phase,
    )
    if use.terms.api_key:
        message.api_key = use.terms.api_key
    elif use.terms.user:
        message.user = use.terms.user
    elif use.terms.feature:
        message.feature = use.terms.feature
    if use.period_end_time is not None:
        message.period_end_time.CopyFrom(write_time(use.period_end_time))
    return message
