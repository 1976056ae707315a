"""Billing cycles: half-open spans that tile time, cut at calendar instants of the contract's zone."""

from __future__ import annotations

from datetime import datetime

from rating_service.domain.agreement import Cycle, Record


class CycleBounds(Record):
    """One billing cycle, [start_time, end_time), UTC."""

    start_time: datetime
    end_time: datetime


def cycle_at(cycle: Cycle, instant: datetime) -> CycleBounds:
    """Return the one cycle that holds the instant."""
    raise NotImplementedError
