"""A page of the ledger's log as the effect that it has on rating's store. Pure.

The whole log is followed, so that nothing which might change a price or an invoice can pass unseen: a topic of
which that is not known stops the follower. Debits keep the ledger's own JSON text of draws and charge, cut out
of the event and never built anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from rating_service.application.ports import DebitRow, Effect, GrantRow, LedgerEvent
from rating_service.domain.catalogue import (
    IGNORED_FAMILIES,
    BrokenLogError,
    Catalogue,
    UnknownTopicError,
    evolve,
)
from rating_service.domain.debits import DEBIT_TOPIC, GRANT_TOPIC, GrantCategory, decode_grant

WALLET_FAMILY: Final = "wallet"
IGNORED_WALLET_EVENTS: Final = frozenset(
    "WalletOpened WalletPolicyChanged WalletClosed CreditsExpired CreditsHeld HoldReleased CreditsRolledOver "
    "GrantActivated GrantExpiryExtended GrantRevoked GrantRefunded ThresholdCrossed TopUpRequested "
    "TopUpSettled".split()
)
"""What happens to wallets without changing any debit. What is not here and not followed is not known."""

_NO_DRAWS: Final = msgspec.Raw(b"[]")
_NO_CHARGE: Final = msgspec.Raw(b"")


class UnreadableHistoryError(Exception):
    """The log holds what cannot be read, or is out of order; going on would miscount, so following stops."""


class _ChargeKeys(msgspec.Struct):
    contract: str
    contract_phase: str
    rate_card_phase: str


class _Debited(msgspec.Struct):
    amount_units: int
    draws: msgspec.Raw = _NO_DRAWS
    overage_units: int = 0
    charge: msgspec.Raw = _NO_CHARGE


class _DebitFact(msgspec.Struct):
    event: _Debited
    effective_time: datetime
    idempotency_key: str = ""


_UNCHARGED: Final = _ChargeKeys("", "", "")
_debits: Final = msgspec.json.Decoder(_DebitFact)
_charge_keys: Final = msgspec.json.Decoder(_ChargeKeys)


def effect_of(events: Sequence[LedgerEvent], *, from_position: int, to_position: int) -> Effect:
    """Return what a page changes. Raises UnreadableHistoryError."""
    agreements: list[LedgerEvent] = []
    debits: list[DebitRow] = []
    grants: list[GrantRow] = []
    last = from_position
    for event in events:
        if not last < event.position <= to_position:
            raise UnreadableHistoryError(f"position {event.position} follows {last}, up to {to_position}")
        last = event.position
        try:
            if event.topic == DEBIT_TOPIC:
                debits.append(_debit_row(event))
            elif event.topic == GRANT_TOPIC:
                grants += _grant_rows(event)
            elif not _is_ignored(event.topic):
                agreements.append(event)
        except (UnknownTopicError, msgspec.MsgspecError) as cause:
            raise UnreadableHistoryError(f"{event.topic} at position {event.position}: {cause}") from cause
    return Effect(from_position, to_position, agreements, debits, grants)


def next_catalogue(catalogue: Catalogue, agreements: Sequence[LedgerEvent]) -> Catalogue:
    """Return the catalogue after agreement events. Raises UnreadableHistoryError."""
    for event in agreements:
        try:
            catalogue = evolve(catalogue, event.stream, event.topic, event.state)
        except (UnknownTopicError, BrokenLogError, msgspec.MsgspecError) as cause:
            raise UnreadableHistoryError(f"{event.topic} at position {event.position}: {cause}") from cause
    return catalogue


def _is_ignored(topic: str) -> bool:
    """Say whether a topic changes nothing here. Raises UnknownTopicError if that is not known."""
    family, _, rest = topic.partition(".")
    if family != WALLET_FAMILY:
        return family in IGNORED_FAMILIES
    if rest.partition(".")[0] in IGNORED_WALLET_EVENTS:
        return True
    raise UnknownTopicError("this version of rating does not know what it does to debits")


def _debit_row(event: LedgerEvent) -> DebitRow:
    fact = _debits.decode(event.state)
    debited = fact.event
    charge = bytes(debited.charge).decode()
    keys = _charge_keys.decode(debited.charge) if charge else _UNCHARGED
    return DebitRow(
        event.position,
        event.stream,
        event.version,
        fact.effective_time,
        fact.idempotency_key,
        debited.amount_units,
        debited.overage_units,
        bytes(debited.draws).decode(),
        keys.contract,
        keys.contract_phase,
        keys.rate_card_phase,
        charge or None,
    )


def _grant_rows(event: LedgerEvent) -> list[GrantRow]:
    """Return the grant if it belongs to a cycle; other credit is of no interest to an invoice."""
    fact = decode_grant(stream=event.stream, version=event.version, state=event.state)
    if fact.category is not GrantCategory.INCLUDED:
        return []
    row = GrantRow(
        event.stream,
        event.version,
        event.position,
        fact.contract,
        fact.effective_time,
        fact.expire_time,
        fact.amount_units,
    )
    return [row]
