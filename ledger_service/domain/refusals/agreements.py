"""Refusals concerning rate cards, plans and contracts."""

from __future__ import annotations

from ledger_service.domain.refusals.base import Refusal


class RateCardNotFound(Refusal):
    """There is no such rate card."""

    reason = "RATE_CARD_NOT_FOUND"


class RateCardExists(Refusal):
    """A rate card of this name was created before, under another idempotency key."""

    reason = "RATE_CARD_EXISTS"


class PhaseOverlaps(Refusal):
    """A phase would reach where another one has its fixed place."""

    reason = "PHASE_OVERLAPS"


class PhaseInPast(Refusal):
    """An instant lies in the past, where usage may have been priced already."""

    reason = "PHASE_IN_PAST"


class ProposalNotOpen(Refusal):
    """The phase is not proposed any more: it was accepted or rejected."""

    reason = "PROPOSAL_NOT_OPEN"


class RatesAmbiguous(Refusal):
    """Two equally specific rates could price the same usage."""

    reason = "RATES_AMBIGUOUS"


class CardsAmbiguous(Refusal):
    """Two equally specific rate cards of a phase could price the same usage."""

    reason = "CARDS_AMBIGUOUS"


class TiersOutOfOrder(Refusal):
    """The tiers of a price or multiplier, or the bands of a bracket, do not ascend."""

    reason = "TIERS_OUT_OF_ORDER"


class TiersIncomplete(Refusal):
    """Tiers of a price, or bands of a bracket, leave quantities out: only the last one may, and must, be endless."""

    reason = "TIERS_INCOMPLETE"


class BoundsOutOfOrder(Refusal):
    """A maximum lies below its minimum."""

    reason = "BOUNDS_OUT_OF_ORDER"


class PlanNotFound(Refusal):
    """There is no such plan, or not in this version."""

    reason = "PLAN_NOT_FOUND"


class ContractNotFound(Refusal):
    """There is no such contract."""

    reason = "CONTRACT_NOT_FOUND"


class ContractExists(Refusal):
    """A contract of this name was signed before, or the wallet is bound to another one."""

    reason = "CONTRACT_EXISTS"


class ContractNotInForce(Refusal):
    """The contract is not in force at the instant."""

    reason = "CONTRACT_NOT_IN_FORCE"


class ContractChanged(Refusal):
    """The contract has changed since the caller read it: read it again, and decide anew."""

    reason = "CONTRACT_CHANGED"


class PhaseNotFound(Refusal):
    """There is no such phase."""

    reason = "PHASE_NOT_FOUND"


class PhaseIsLast(Refusal):
    """The phase is no trial: no other follows it."""

    reason = "PHASE_IS_LAST"


class CustomerMismatch(Refusal):
    """The wallet belongs to another customer."""

    reason = "CUSTOMER_MISMATCH"


class AssetMismatch(Refusal):
    """Two things that must count the same asset do not."""

    reason = "ASSET_MISMATCH"


class PolicyByContract(Refusal):
    """A contract's phase decides the wallet's shortfall policy now: change the contract instead."""

    reason = "POLICY_BY_CONTRACT"
