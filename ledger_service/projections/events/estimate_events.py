"""Narrow structs of what finance is told of lots: what the projections fold of them (see wallet_events)."""

from __future__ import annotations

import msgspec

from ledger_service.domain.values import Money


class Estimate(msgspec.Struct, frozen=True, gc=False):
    """Base of the narrow structs of this module."""


class Estimated(Estimate, frozen=True):
    """What the projections need of BreakageEstimateRevised."""

    grant_versions: tuple[int, ...]
    expected_breakage: str = ""
    expected_redeemed_units: int = 0
    expected_of_units: int = 0


class Remote(Estimate, frozen=True):
    """What the projections need of BreakageDeclaredRemote."""

    grant_versions: tuple[int, ...]


class Escheated(Estimate, frozen=True):
    """What the projections need of ConsiderationEscheated."""

    grant_version: int
    fraction: str


class RefundPaid(Estimate, frozen=True):
    """What the projections need of RefundSettled."""

    refund_version: int
    grant_version: int
    refund: Money
    exchange_rate: str = ""
    tax: Money | None = None


AnyEstimate = Estimated | Remote | Escheated | RefundPaid

ESTIMATE_TYPES: dict[str, type[AnyEstimate]] = {
    "wallet.BreakageEstimateRevised.v1": Estimated,
    "wallet.BreakageDeclaredRemote.v1": Remote,
    "wallet.ConsiderationEscheated.v1": Escheated,
    "wallet.RefundSettled.v1": RefundPaid,
}
