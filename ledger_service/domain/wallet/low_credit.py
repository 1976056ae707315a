"""Low credit: recording the automatic top-up that a wallet's rule asks for (the rule is in auto_top_up)."""

from __future__ import annotations

from datetime import datetime

from ledger_service.domain.wallet.auto_top_up import blocked_until, request_at, requests_by_itself
from ledger_service.domain.wallet.tape import Tape


def request_if_low(tape: Tape, instant: datetime) -> None:
    """Request a top-up if the wallet's rule asks for one at an instant, or when the newest event was decided."""
    if not requests_by_itself(tape.wallet):
        return
    # What a backdated grant sets in motion lies in the past; it is acted upon when it became known.
    instant = max(instant, tape.wallet.payments.automatic.decided_time)
    request = request_at(tape.wallet, instant)
    if request is not None and blocked_until(tape.wallet) <= instant:
        tape.add(request, instant)
