"""What a statement says of one event: the change of posted units, the overage, and a sentence for people."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from ledger_service.domain.events import (
    Charge,
    CreditsDebited,
    CreditsExpired,
    CreditsGranted,
    CreditsHeld,
    CreditsRolledOver,
    DebitReversed,
    DebtRepaid,
    Event,
    GrantActivated,
    GrantExpiryExtended,
    GrantRefunded,
    GrantRevoked,
    HoldCaptured,
    HoldReleased,
    TopUpRequested,
    TopUpSettled,
    WalletOpened,
    WalletPolicyChanged,
    WalletUpdated,
)
from ledger_service.domain.values import Money


class Text(NamedTuple):
    """What an event changes of the posted units, what it adds to overage, and one sentence."""

    change_units: int
    overage_units: int
    description: str


def describe(event: Event) -> Text:
    """Return the text of an event of a wallet. Holds change nothing that is posted."""
    match event:
        case WalletOpened(asset=asset, shortfall_mode=mode):
            return Text(0, 0, f"Opened in {asset.code}/{asset.scale}, shortfall {mode.value}")
        case WalletPolicyChanged(contract="", shortfall_mode=mode):
            return Text(0, 0, f"The contract ended, shortfall {mode.value}")
        case WalletPolicyChanged(contract=contract, contract_phase=phase, shortfall_mode=mode):
            return Text(0, 0, f"Phase {phase} of {contract}, shortfall {mode.value}")
        case WalletUpdated(paths=paths):
            return Text(0, 0, f"Updated: {', '.join(paths)}")
        case CreditsGranted() as granted:
            return Text(0 if granted.pending else granted.amount_units, 0, _describe_grant(granted))
        case CreditsDebited() as debited:
            return Text(-_drawn_units(debited), debited.overage_units, _describe_debit(debited))
        case HoldCaptured() as captured:
            return Text(-_drawn_units(captured), captured.overage_units, _describe_capture(captured))
        case CreditsHeld(expire_time=expire_time):
            return Text(0, 0, f"Held until {expire_time.isoformat()}")
        case HoldReleased(hold_version=hold, timed_out=timed_out):
            return Text(0, 0, f"Hold {hold} {'timed out' if timed_out else 'released'}")
        case _:
            return _describe_correction(event)


def _describe_correction(event: Event) -> Text:
    match event:
        case CreditsExpired(grant_version=grant, pending=True):
            return Text(0, 0, f"Grant {grant} lapsed unpaid")
        case CreditsExpired(grant_version=grant, amount_units=units):
            return Text(-units, 0, f"Grant {grant} expired")
        case DebitReversed(debit_version=debit, returned=returned, overage_units=overage_units):
            returned_units = sum(each.amount_units for each in returned)
            return Text(returned_units, -overage_units, f"Debit {debit} reversed")
        case GrantRevoked() as revoked:
            return Text(-revoked.amount_units, 0, _describe_revocation(revoked))
        case GrantRefunded(grant_version=grant, amount_units=units, refund=refund):
            return Text(-units, 0, f"Grant {grant} refunded: {_money(refund)}")
        case GrantExpiryExtended(grant_version=grant, expire_time=expire_time):
            until = f"until {expire_time.isoformat()}" if expire_time is not None else "for ever"
            return Text(0, 0, f"Grant {grant} extended {until}")
        case CreditsRolledOver(grant_version=grant):
            return Text(0, 0, f"Rest of grant {grant} rolled over")
        case DebtRepaid(amount_units=units, repayments=repayments):
            debits = ", ".join(str(each.debit_version) for each in repayments)
            return Text(-units, 0, f"Debt of debit {debits} repaid")
        case _:
            return _describe_payment(event)


def _describe_payment(event: Event) -> Text:
    match event:
        case GrantActivated(grant_version=grant, lot=lot):
            return Text(lot.granted_units, 0, f"Grant {grant} activated")
        case TopUpRequested() as requested:
            how = "Automatic top-up" if requested.automatic else "Top-up"
            what = f"{how} of {requested.amount_units} units requested for {_money(requested.price)}"
            return Text(0, 0, f"{what} ({requested.reference})" if requested.reference else what)
        case TopUpSettled(top_up_version=top_up, outcome=outcome, failure_reason=reason):
            what = f"Top-up {top_up} {outcome.value.lower()}"
            return Text(0, 0, f"{what} ({reason})" if reason else what)
        case _:
            raise AssertionError(f"{type(event).__name__} is not an event of a wallet")


def _drawn_units(debited: CreditsDebited | HoldCaptured) -> int:
    return debited.amount_units - debited.overage_units - debited.debt_units


def _describe_grant(granted: CreditsGranted) -> str:
    words = [granted.category.value.capitalize(), "credit granted"]
    if granted.consideration is not None:
        words.append(f"for {_money(granted.consideration)}")
    if granted.expire_time is not None:
        words.append(f"until {granted.expire_time.isoformat()}")
    if granted.pending:
        words.append("once it is paid")
    if granted.reference:
        words.append(f"({granted.reference})")
    return " ".join(words)


def _describe_debit(debited: CreditsDebited) -> str:
    late = f", late capture of hold {debited.late_hold_version}" if debited.late_hold_version else ""
    return _describe_usage("Debit", debited.feature, debited.charge) + late


def _describe_capture(captured: HoldCaptured) -> str:
    what = f"Capture of hold {captured.hold_version}"
    if captured.charge is None:
        return _describe_usage(what, captured.feature, None)
    return f"{_describe_usage(what, captured.feature, captured.charge)}, hold {captured.hold_version}"


def _describe_usage(what: str, feature: str, charge: Charge | None) -> str:
    if charge is None:
        return f"{what} for {feature}" if feature else what
    usage = ", ".join(f"{line.quantity} {line.dimension}" for line in charge.lines if line.quantity)
    model = charge.properties.get("model", "")
    return f"Usage{' of ' + model if model else ''}: {usage or 'none'} ({charge.rate_card_phase})"


def _describe_revocation(revoked: GrantRevoked) -> str:
    if revoked.clawback:
        return f"Bonus grant {revoked.grant_version} clawed back"
    reason = f" ({revoked.reason})" if revoked.reason else ""
    return f"Grant {revoked.grant_version} revoked{reason}"


def _money(money: Money) -> str:
    return f"{money.currency_code} {Decimal(money.nanos).scaleb(-9).normalize():f}"
