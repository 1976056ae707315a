"""Identity of a command: what must be the same for two calls with one idempotency key to be one call.

The fingerprint is a digest of it and is stored with the event. When it differs, the fields of the recorded
event are compared with those of the new command, so that the refusal can name the first one that differs.
A charge counts by the usage it prices and not by its prices: a usage that is sent again after a price
change gets its first answer. So does a hold that says what its units are an estimate for.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

import msgspec

from ledger_service.domain.commands import (
    ActivateGrant,
    AnyCommand,
    CaptureHold,
    ChargeBackGrant,
    CloseWallet,
    Debit,
    ExtendGrant,
    GrantCredits,
    OpenWallet,
    PlaceHold,
    ReceiveTransfer,
    RecordAdjustment,
    RecurrenceTerms,
    RefundGrant,
    ReleaseHold,
    RequestTopUp,
    ReturnTransfer,
    ReverseDebit,
    RevokeGrant,
    SettleTopUp,
    SettleTransfer,
    SettleWallet,
    TransferCredits,
    UpdateWallet,
)
from ledger_service.domain.events import (
    Adjustment,
    Charge,
    CreditsDebited,
    CreditsGranted,
    CreditsHeld,
    CreditsTransferredIn,
    CreditsTransferredOut,
    DebitReversed,
    Event,
    Fact,
    GrantActivated,
    GrantChargedBack,
    GrantExpiryExtended,
    GrantRefunded,
    GrantRevoked,
    HoldCaptured,
    HoldReleased,
    TopUpRequested,
    TopUpSettled,
    WalletClosed,
    WalletOpened,
    WalletUpdated,
)
from ledger_service.domain.events.wallets import POLICY_PATHS
from ledger_service.domain.identity_of_agreements import (
    Identity,
    fields,
    identity_of_agreement,
    recorded_agreement,
)
from ledger_service.domain.identity_of_charges import adjustment_of, held_amount, late_hold, spender, usage_of
from ledger_service.domain.identity_of_finance import (
    FINANCE_COMMANDS,
    FINANCE_EVENTS,
    identity_of_finance,
    identity_of_sale,
    recorded_finance,
)
from ledger_service.domain.identity_of_payments import (
    charged_back_amount,
    recorded_payment,
    recorded_withdrawal,
    top_up_fields,
    withdrawal,
)
from ledger_service.domain.refusals import IdempotencyKeyReused
from ledger_service.domain.wallet.hold import TTL_DEFAULT
from ledger_service.domain.wallet.rules import RULE_OF

_encoder: Final = msgspec.json.Encoder()


def fingerprint(command: AnyCommand) -> str:
    """Return 16 bytes (hex) that differ for different commands."""
    if type(command) is Debit and not (
        command.charge or command.late_hold_version or command.api_key or command.user
    ):
        # The plain debit, written out: what `identity` gives, at a third of the cost.
        values: Sequence[object] = (
            command.amount_units,
            command.effective_time,
            command.feature,
            command.delivered,
            command.take_available,
            None,
        )
    else:
        values = list(identity(command).values())
    encoded = _encoder.encode((type(command).__name__, values))
    return blake2b(encoded, digest_size=16).hexdigest()


def hash_key(stream: str, idempotency_key: str) -> bytes:
    """Return the 16 bytes under which a stream's idempotency key is unique for ever."""
    return blake2b(f"{stream}\n{idempotency_key}".encode(), digest_size=16).digest()


def check_same_call(command: AnyCommand, recorded: Fact[Event]) -> None:
    """Refuse a command whose key was used for another one. Raises IdempotencyKeyReused."""
    if recorded.fingerprint == fingerprint(command):
        return
    field = _first_difference(identity(command), _recorded_identity(recorded))
    if field is not None:
        raise IdempotencyKeyReused(
            f"idempotency_key {recorded.idempotency_key!r} was used before with another {field}",
            field="idempotency_key",
            differing_field=field,
        )


def identity(command: AnyCommand) -> Identity:  # noqa: C901, PLR0912
    """Return what makes the command itself, beside its stream."""
    if isinstance(command, FINANCE_COMMANDS):
        return identity_of_finance(command)
    match command:
        case Debit():
            return (
                {
                    "amount_units": command.amount_units,
                    "effective_time": command.effective_time,
                    "feature": command.feature,
                    "delivered": command.delivered,
                    "take_available": command.take_available,
                }
                | late_hold(command.late_hold_version)
                | usage_of(command.charge)
                | spender(command.api_key, command.user)
            )
        case GrantCredits():
            return _grant_fields(command, "wallet", "books") | {"scope": sorted(command.scope)}
        case PlaceHold():
            held = fields(command, "wallet", "amount_units", "api_key", "user", "estimate_of")
            held |= {"ttl": command.ttl or TTL_DEFAULT}
            amount = held_amount(command.amount_units, command.estimate_of)
            return amount | held | spender(command.api_key, command.user)
        case CaptureHold():
            return fields(command, "wallet", "over_hold", "charge") | usage_of(command.charge)
        case ReverseDebit():
            return fields(command, "wallet", "recorded")
        case RevokeGrant() | RefundGrant():
            return withdrawal(command)
        case ReleaseHold() | ExtendGrant():
            return fields(command, "wallet")
        case ActivateGrant() | SettleTopUp():
            # The terms follow from the grant, or the request, tax and rate.
            return fields(command, "wallet", "books", "finance")
        case RequestTopUp():
            return top_up_fields(command, "wallet", "books_currency")
        case UpdateWallet():
            return _update(command)
        case TransferCredits() | ChargeBackGrant():
            return fields(command, "wallet", "recorded")
        case ReceiveTransfer():
            return {"source": command.source, "transfer_version": command.transfer_version}
        case OpenWallet():
            return fields(command, "wallet", "books_currency")
        case CloseWallet() | SettleWallet() | SettleTransfer() | ReturnTransfer():
            return fields(command, "wallet")
        case RecordAdjustment():
            return adjustment_of(command.charge, command.effective_time)
        case _:
            return identity_of_agreement(command)


def _recorded_identity(fact: Fact[Event]) -> Identity:  # noqa: C901, PLR0912
    event = fact.event
    # An effective time equal to the record time is what "now" became.
    effective_time = None if fact.effective_time == fact.record_time else fact.effective_time
    if isinstance(event, FINANCE_EVENTS):
        return recorded_finance(event)
    match event:
        case CreditsDebited(charge=Charge(adjustment=Adjustment()) as charge):
            return adjustment_of(charge, effective_time)
        case CreditsDebited():
            return (
                {
                    "amount_units": 0 if event.charge else event.requested_units or event.amount_units,
                    "effective_time": effective_time,
                    "feature": event.feature,
                    "delivered": event.delivered,
                    "take_available": event.take_available,
                }
                | late_hold(event.late_hold_version)
                | usage_of(event.charge)
                | spender(event.api_key, event.user)
            )
        case CreditsGranted():
            return _granted(event) | {"effective_time": effective_time}
        case CreditsHeld() | HoldCaptured() | HoldReleased() | DebitReversed():
            return _recorded_hold_or_reversal(fact, event)
        case GrantRevoked() | GrantRefunded():
            return recorded_withdrawal(event)
        case GrantExpiryExtended():
            return fields(event)
        case GrantActivated() | TopUpRequested() | TopUpSettled():
            return recorded_payment(event)
        case WalletUpdated():
            return _update(event)
        case CreditsTransferredOut():
            return fields(event, "slices", "burn_down_order")
        case CreditsTransferredIn():
            return {"source": event.source, "transfer_version": event.transfer_version}
        case GrantChargedBack():
            amount = None if event.whole else charged_back_amount(event)
            return {"grant_version": event.grant_version, "amount": amount, "reference": event.reference}
        case WalletClosed():
            return fields(event, "forfeited_units")
        case WalletOpened():
            return fields(event)
        case _:
            return recorded_agreement(event, effective_time)


def _granted(event: CreditsGranted) -> Identity:
    granted = _grant_fields(event, "series_version", "top_up_version") | {"scope": sorted(event.scope)}
    if event.recurrence is None:
        return granted
    left = event.recurrence.periods_left
    terms = RecurrenceTerms(
        period=event.recurrence.period,
        zone=event.recurrence.zone,
        period_count=0 if left is None else left + 1,
        roll_over=event.recurrence.roll_over,
        anchor_time=None if event.recurrence.periods_before is None else event.recurrence.anchor_time,
    )
    return granted | {"recurrence": terms, "expire_time": None}


def _recorded_hold_or_reversal(
    fact: Fact[Event], event: CreditsHeld | HoldCaptured | HoldReleased | DebitReversed
) -> Identity:
    match event:
        case CreditsHeld():
            ttl = event.expire_time - fact.effective_time
            amount = held_amount(event.amount_units, event.estimate_of)
            return amount | {"ttl": ttl, "feature": event.feature} | spender(event.api_key, event.user)
        case HoldCaptured():
            return {
                "hold_version": event.hold_version,
                "amount_units": 0 if event.charge else event.amount_units,
                "final": event.final,
            } | usage_of(event.charge)
        case HoldReleased():
            return {"hold_version": event.hold_version}
        case DebitReversed():
            return {"debit_version": event.debit_version, "amount_units": event.amount_units}


def _grant_fields(grant: GrantCredits | CreditsGranted, *without: str) -> Identity:
    # Only goodwill says what it compensates, so that the fingerprints of other grants stay what they are.
    optional = () if grant.compensates_version else ("compensates_version",)
    return fields(grant, *without, *optional, "finance", "consideration") | identity_of_sale(
        grant.consideration, grant.finance
    )


def _update(update: UpdateWallet | WalletUpdated) -> Identity:
    """Return what an update names, and no more: the event also holds what stayed as it was."""
    values: Identity = {path: getattr(update, path) for path in POLICY_PATHS if path in update.paths}
    values |= {path: getattr(update.rules, name) for path, name in RULE_OF.items() if path in update.paths}
    if "rules" in update.paths:
        values["rules"] = update.rules
    return {"update_mask": update.paths} | values


def _first_difference(asked: Identity, recorded: Identity) -> str | None:
    names = asked | recorded
    return next((name for name in names if not _same(name, asked.get(name), recorded.get(name))), None)


def _same(name: str, asked: object, recorded: object) -> bool:
    # Version 0 of a plan asked for the newest one, and tax that is not stated for what is due: the event names which.
    open_asked = {"plan_version": 0, "tax": None}
    return asked == recorded or (name in open_asked and asked == open_asked[name])
