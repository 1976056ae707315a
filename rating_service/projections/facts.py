"""A page of the ledger's log as the effect that it has on rating's store. Pure.

The whole log is followed, so that nothing which might change a price or an invoice can pass unseen: a topic of
which that is not known stops the follower. Debits keep the ledger's own JSON text of draws and charge, cut out
of the event and never built anew; only a capture's two lists of draws become one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from rating_service.application.followed import (
    DebitRow,
    GrantRow,
    PaymentRow,
    PurchaseRow,
    ReversalRow,
    WithdrawalRow,
)
from rating_service.application.ports import Effect, LedgerEvent
from rating_service.domain.agreements.catalogue import (
    IGNORED_FAMILIES,
    BrokenLogError,
    Catalogue,
    UnknownTopicError,
    evolve,
)
from rating_service.domain.agreements.contract_life import CHANGE_TYPES
from rating_service.domain.debits import (
    ACTIVATION_TOPIC,
    CAPTURE_TOPIC,
    DEBIT_TOPIC,
    GRANT_TOPIC,
    REVERSAL_TOPIC,
    ROLL_OVER_TOPIC,
    GrantCategory,
    GrantFact,
    decode_activation,
    decode_grant,
    decode_reversal,
    decode_roll_over,
)
from rating_service.projections.followed_debits import capture_rows, debit_row

WALLET_FAMILY: Final = "wallet"
IGNORED_WALLET_EVENTS: Final = frozenset(
    "WalletOpened WalletUpdated WalletPolicyChanged WalletClosed CreditsExpired CreditsHeld HoldReleased DebtRepaid "
    "GrantExpiryExtended GrantRefunded ThresholdCrossed TopUpRequested "
    "TopUpSettled CreditsTransferredOut CreditsTransferredIn TransferSettled TransferReturned GrantChargedBack "
    "ReceivableLowered BreakageEstimateRevised BreakageDeclaredRemote ConsiderationEscheated RefundSettled".split()
)
"""What happens to wallets without changing any debit. What is not here and not followed is not known.

Debt that is repaid was part of its debit already.
"""

REVOCATION_TOPIC: Final = "wallet.GrantRevoked.v1"
CONTRACT_TOPICS: Final = frozenset({"contract.ContractSigned.v1", *CHANGE_TYPES})
"""What changes what a contract is to be billed."""


class UnreadableHistoryError(Exception):
    """The log holds what cannot be read, or is out of order; going on would miscount, so following stops."""


class _Revoked(msgspec.Struct):
    grant_version: int
    amount_units: int


class _RevokedFact(msgspec.Struct):
    event: _Revoked


_revocations: Final = msgspec.json.Decoder(_RevokedFact)


class _Collected(msgspec.Struct):
    agreements: list[LedgerEvent] = []
    debits: list[DebitRow] = []
    grants: list[GrantRow] = []
    reversals: list[ReversalRow] = []
    purchases: list[PurchaseRow] = []
    payments: list[PaymentRow] = []
    withdrawals: list[WithdrawalRow] = []


def effect_of(events: Sequence[LedgerEvent], *, from_position: int, to_position: int) -> Effect:
    """Return what a page changes. Raises UnreadableHistoryError."""
    effect = _Collected()
    last = from_position
    for event in events:
        if not last < event.position <= to_position:
            raise UnreadableHistoryError(f"position {event.position} follows {last}, up to {to_position}")
        last = event.position
        try:
            _collect(effect, event)
        except (UnknownTopicError, msgspec.MsgspecError) as cause:
            raise UnreadableHistoryError(f"{event.topic} at position {event.position}: {cause}") from cause
    contracts = {event.stream for event in effect.agreements if event.topic in CONTRACT_TOPICS}
    return Effect(
        from_position,
        to_position,
        effect.agreements,
        effect.debits,
        effect.grants,
        effect.reversals,
        effect.purchases,
        effect.payments,
        effect.withdrawals,
        sorted(contracts),
    )


def next_catalogue(catalogue: Catalogue, agreements: Sequence[LedgerEvent]) -> Catalogue:
    """Return the catalogue after agreement events. Raises UnreadableHistoryError."""
    for event in agreements:
        try:
            catalogue = evolve(catalogue, event.stream, event.topic, event.state)
        except (UnknownTopicError, BrokenLogError, msgspec.MsgspecError) as cause:
            raise UnreadableHistoryError(f"{event.topic} at position {event.position}: {cause}") from cause
    return catalogue


def _collect(effect: _Collected, event: LedgerEvent) -> None:
    if event.topic == DEBIT_TOPIC:
        effect.debits.append(debit_row(event))
    elif event.topic == CAPTURE_TOPIC:
        effect.debits += capture_rows(event)
    elif event.topic == REVERSAL_TOPIC:
        effect.reversals.append(_reversal_row(event))
    elif event.topic == GRANT_TOPIC:
        fact = decode_grant(stream=event.stream, version=event.version, state=event.state)
        effect.grants += _grant_rows(event, fact)
        effect.purchases += _purchase_rows(event, fact)
    elif event.topic == ROLL_OVER_TOPIC:
        fact = decode_roll_over(stream=event.stream, version=event.version, state=event.state)
        effect.grants += _grant_rows(event, fact)
    elif event.topic == ACTIVATION_TOPIC:
        paid = decode_activation(position=event.position, stream=event.stream, state=event.state)
        effect.payments.append(
            PaymentRow(paid.wallet, paid.grant_version, paid.position, paid.effective_time)
        )
    elif event.topic == REVOCATION_TOPIC:
        revoked = _revocations.decode(event.state).event
        row = WithdrawalRow(event.position, event.stream, revoked.grant_version, revoked.amount_units)
        effect.withdrawals.append(row)
    elif not _is_ignored(event.topic):
        effect.agreements.append(event)


def _is_ignored(topic: str) -> bool:
    """Say whether a topic changes nothing here. Raises UnknownTopicError if that is not known."""
    family, _, rest = topic.partition(".")
    if family != WALLET_FAMILY:
        return family in IGNORED_FAMILIES
    if rest.partition(".")[0] in IGNORED_WALLET_EVENTS:
        return True
    raise UnknownTopicError("this version of rating does not know what it does to debits")


def _reversal_row(event: LedgerEvent) -> ReversalRow:
    fact = decode_reversal(
        position=event.position, stream=event.stream, version=event.version, state=event.state
    )
    return ReversalRow(
        fact.position,
        fact.wallet,
        fact.version,
        fact.debit_version,
        fact.effective_time,
        fact.amount_units,
        fact.overage_units,
        msgspec.json.encode(fact.returned).decode(),
    )


def _grant_rows(event: LedgerEvent, fact: GrantFact) -> list[GrantRow]:
    """Return the grant if it belongs to a cycle; other credit is of no interest to an invoice."""
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


def _purchase_rows(event: LedgerEvent, fact: GrantFact) -> list[PurchaseRow]:
    """Return the grant if it was bought: paid, or waiting for its payment."""
    paid = fact.consideration
    if paid is None or not paid.nanos:
        return []
    row = PurchaseRow(
        event.stream,
        event.version,
        None if fact.pending else event.position,
        fact.effective_time,
        fact.amount_units,
        paid.currency_code,
        paid.nanos,
        fact.reference,
        fact.top_up_version,
    )
    return [row]
