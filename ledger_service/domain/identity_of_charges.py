"""Identity of charges: what must be the same of two debits or captures with one idempotency key; see `identity`."""

from __future__ import annotations

from datetime import datetime

from ledger_service.domain.events import Charge
from ledger_service.domain.identity_of_agreements import Identity


def late_hold(hold_version: int) -> Identity:
    """Return the hold of a late capture."""
    # Only late captures have it, so that the fingerprints of ordinary debits stay what they are.
    return {"hold_version": hold_version} if hold_version else {}


def held_amount(amount_units: int, estimate_of: str) -> Identity:
    """Return how much a hold reserves, or what that is an estimate for."""
    # An estimate names its field, so that no text is taken for an amount.
    return {"estimate_of": ("estimate_of", estimate_of)} if estimate_of else {"amount_units": amount_units}


def spender(api_key: str, user: str) -> Identity:
    """Return on whose account it is."""
    # Only what is set counts, likewise; each value names its field, for a fingerprint is made of values alone.
    named = (("api_key", api_key), ("user", user))
    return {field: (field, value) for field, value in named if value}


def usage_of(charge: Charge | None) -> Identity:
    """Return the usage that a charge prices; its prices are not part of it."""
    if charge is None:
        return {"charge": None}
    return {
        "charge.contract": charge.contract,
        "charge.properties": sorted(charge.properties.items()),
        "charge.lines": [(line.dimension, line.quantity) for line in charge.lines],
    }


def adjustment_of(charge: Charge, effective_time: datetime | None) -> Identity:
    """Return what an adjustment puts right."""
    return {
        "effective_time": effective_time,
        "charge.contract": charge.contract,
        "charge.rate_card_phase": charge.rate_card_phase,
        "charge.exact_units": charge.exact_units,
        "charge.adjustment": charge.adjustment,
    }
