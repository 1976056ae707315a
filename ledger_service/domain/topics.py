"""Topics: the stable names under which events are stored, and their bytes.

A topic is chosen once and never derived from a class path. Bytes are JSON in the field order of the structs,
so that the same fact always gives the same bytes, which the hash chain relies on.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

import msgspec

from ledger_service.domain import events

TOPICS: Final[dict[str, type[events.Event]]] = {
    "wallet.CreditsDebited.v1": events.CreditsDebited,
    "wallet.CreditsGranted.v1": events.CreditsGranted,
    "wallet.CreditsExpired.v1": events.CreditsExpired,
    "wallet.CreditsHeld.v1": events.CreditsHeld,
    "wallet.HoldCaptured.v1": events.HoldCaptured,
    "wallet.HoldReleased.v1": events.HoldReleased,
    "wallet.DebitReversed.v1": events.DebitReversed,
    "wallet.GrantRevoked.v1": events.GrantRevoked,
    "wallet.GrantRefunded.v1": events.GrantRefunded,
    "wallet.GrantExpiryExtended.v1": events.GrantExpiryExtended,
    "wallet.CreditsRolledOver.v1": events.CreditsRolledOver,
    "wallet.DebtRepaid.v1": events.DebtRepaid,
    "wallet.CreditsTransferredOut.v1": events.CreditsTransferredOut,
    "wallet.CreditsTransferredIn.v1": events.CreditsTransferredIn,
    "wallet.TransferSettled.v1": events.TransferSettled,
    "wallet.TransferReturned.v1": events.TransferReturned,
    "wallet.GrantChargedBack.v1": events.GrantChargedBack,
    "wallet.ReceivableLowered.v1": events.ReceivableLowered,
    "wallet.GrantActivated.v1": events.GrantActivated,
    "wallet.TopUpRequested.v1": events.TopUpRequested,
    "wallet.TopUpSettled.v1": events.TopUpSettled,
    "wallet.BreakageEstimateRevised.v1": events.BreakageEstimateRevised,
    "wallet.BreakageDeclaredRemote.v1": events.BreakageDeclaredRemote,
    "wallet.ConsiderationEscheated.v1": events.ConsiderationEscheated,
    "wallet.RefundSettled.v1": events.RefundSettled,
    "breakage_pool.BreakagePoolCreated.v1": events.BreakagePoolCreated,
    "breakage_pool.PoolEstimateRevised.v1": events.PoolEstimateRevised,
    "accounting_period.AccountingPeriodLocked.v1": events.AccountingPeriodLocked,
    "accounting_period.AccountingPeriodClosed.v1": events.AccountingPeriodClosed,
    "entity.FunctionalCurrencySet.v1": events.FunctionalCurrencySet,
    "entity.ExchangeRateSet.v1": events.ExchangeRateSet,
    "wallet.WalletOpened.v1": events.WalletOpened,
    "wallet.WalletPolicyChanged.v1": events.WalletPolicyChanged,
    "wallet.WalletUpdated.v1": events.WalletUpdated,
    "wallet.WalletClosed.v1": events.WalletClosed,
    "wallet.ThresholdCrossed.v1": events.ThresholdCrossed,
    "rate_card.RateCardCreated.v1": events.RateCardCreated,
    "rate_card.RateCardPhasePublished.v1": events.RateCardPhasePublished,
    "plan.PlanPublished.v1": events.PlanPublished,
    "contract.ContractSigned.v1": events.ContractSigned,
    "contract.ContractPhaseScheduled.v1": events.ContractPhaseScheduled,
    "contract.TrialExtended.v1": events.TrialExtended,
    "contract.PlanChanged.v1": events.PlanChanged,
    "contract.ContractEnded.v1": events.ContractEnded,
    "rate_card.RateCardPhaseWithdrawn.v1": events.RateCardPhaseWithdrawn,
    "rate_card.RateCardPhaseProposed.v1": events.RateCardPhaseProposed,
    "rate_card.RateCardPhaseAccepted.v1": events.RateCardPhaseAccepted,
    "rate_card.RateCardPhaseRejected.v1": events.RateCardPhaseRejected,
    "contract.InvoiceIssued.v1": events.InvoiceIssued,
    "contract.CreditNoteIssued.v1": events.CreditNoteIssued,
}
TOPIC_OF: Final[dict[type, str]] = {event_type: topic for topic, event_type in TOPICS.items()}

GENESIS_HASH: Final = "0" * 64
"""`previous_hash` of the first event of a stream."""

_encoder: Final = msgspec.json.Encoder()
_decoders: Final[dict[str, msgspec.json.Decoder[Any]]] = {
    topic: msgspec.json.Decoder(events.Fact[event_type])  # type: ignore[valid-type]
    for topic, event_type in TOPICS.items()
}


class UnknownTopicError(Exception):
    """The store holds a topic that this version of the code does not know."""


def encode_fact(fact: events.Fact[events.Event]) -> bytes:
    """Return the stored bytes of a fact."""
    return _encoder.encode(fact)


def decode_fact(topic: str, state: bytes) -> events.Fact[events.Event]:
    """Return the fact behind stored bytes. Raises UnknownTopicError, msgspec.ValidationError."""
    decoder = _decoders.get(topic)
    if decoder is None:
        raise UnknownTopicError(f"topic {topic!r} is not known to this version of the ledger")
    fact: events.Fact[events.Event] = decoder.decode(state)
    return fact


def hash_event(stream: str, version: int, topic: str, state: bytes) -> str:
    """Return the hash that the next event of the stream must hold: SHA-256 (hex) of the stored form."""
    return sha256(f"{stream}\n{version}\n{topic}\n".encode() + state).hexdigest()
