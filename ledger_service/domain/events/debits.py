"""What is recorded of credit that is used, given back or owed."""

from __future__ import annotations

from datetime import datetime

import msgspec

from ledger_service.domain.events.grants import LotTerms
from ledger_service.domain.events.price_models import ChargePart, RunningTotal
from ledger_service.domain.record import Record
from ledger_service.domain.values import UnitPrice


class Draw(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Units taken from the lot of the grant at `grant_version` in the same stream."""

    grant_version: int
    amount_units: int


class ChargeLine(Record, frozen=True):
    """One dimension of a charge, exact: quantity / unit_size x unit_price x multiplier, or the sum of `parts`."""

    dimension: str
    quantity: int
    unit_price: str
    exact_units: str
    unit_size: int = 1
    multiplier: str = "1"
    model: str = "unit"
    parts: tuple[ChargePart, ...] = ()
    total_before: RunningTotal | None = None
    provider_cost: str = ""


class TakenBack(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Units taken back of the debit at `debit_version` in the same stream."""

    debit_version: int
    amount_units: int


class MeterMoved(Record, frozen=True):
    """A meter of the cycle that stands elsewhere once its usage is priced by other rates."""

    meter: str
    quantity_before: int = 0
    usages_before: int = 0
    quantity: int = 0
    usages: int = 0


class Adjustment(Record, frozen=True):
    """Usage of a cycle was priced again, because a phase was accepted after it.

    charged_units + the charge's exact_units - what is taken back + left_units = rated_units. The `number`th of
    its phase, contract and cycle; what is left comes with the next. The figures are those of history up to
    `watermark_position`.
    """

    cycle_start_time: datetime
    cycle_end_time: datetime
    charged_units: str
    rated_units: str
    number: int = 1
    left_units: str = "0"
    taken_back: tuple[TakenBack, ...] = ()
    meters: tuple[MeterMoved, ...] = ()
    watermark_position: int = 0


class Charge(Record, frozen=True):
    """Usage priced under the phase in force, or what was charged too much or too little, which has no lines."""

    contract: str
    contract_phase: str
    rate_card_phase: str
    phase_hash: str
    lines: tuple[ChargeLine, ...]
    exact_units: str
    properties: dict[str, str] = {}
    overage_price: UnitPrice | None = None
    provider_cost: str = ""
    cost_currency: str = ""
    adjustment: Adjustment | None = None


class CreditsDebited(Record, frozen=True):
    """Credit was consumed. Draws, overage and debt add up to amount_units.

    Overage is final, debt is repaid by later grants. `requested_units` is set where the debit took what there
    was; `late_hold_version` names the hold that had timed out before its capture. `late_grants` are those of the
    draws' grants that had expired when the debit was recorded: that much of their expiry is taken back.
    """

    amount_units: int
    draws: tuple[Draw, ...]
    burn_down_order: str
    overage_units: int = 0
    feature: str = ""
    delivered: bool = False
    charge: Charge | None = None
    debt_units: int = 0
    take_available: bool = False
    requested_units: int = 0
    late_hold_version: int = 0
    late_grants: tuple[int, ...] = ()
    api_key: str = ""
    user: str = ""


class Return(Record, frozen=True):
    """Units that went back to the lot of a grant."""

    grant_version: int
    amount_units: int
    lot: LotTerms


class DebitReversed(Record, frozen=True):
    """A debit was taken back in part or whole: overage first, then debt, then its draws, last one first.

    The feature is the debit's own, and so is the overage price where overage is taken back. Where the wallet has caps,
    `debit_time` is the record time of the debit, and api_key and user are its own.
    """

    debit_version: int
    amount_units: int
    returned: tuple[Return, ...] = ()
    overage_units: int = 0
    debt_units: int = 0
    debit_time: datetime | None = None
    api_key: str = ""
    user: str = ""
    feature: str = ""
    overage_price: UnitPrice | None = None


class Repayment(msgspec.Struct, frozen=True, array_like=True):
    """Units of the debt of the debit at `debit_version` in the same stream."""

    debit_version: int
    amount_units: int


class DebtRepaid(Record, frozen=True):
    """A lot paid back what earlier debits owed, oldest debt first."""

    grant_version: int
    amount_units: int
    repayments: tuple[Repayment, ...]
