"""What a statement says of one event: the change of posted units, the overage, and a sentence for people."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from ledger_service.domain.events import (
    BreakageDeclaredRemote,
    BreakageEstimateRevised,
    Charge,
    ConsiderationEscheated,
    CreditsDebited,
    CreditsExpired,
    CreditsGranted,
    CreditsHeld,
    CreditsRolledOver,
    CreditsTransferredIn,
    CreditsTransferredOut,
    DebitReversed,
    DebtRepaid,
    Event,
    GrantActivated,
    GrantChargedBack,
    GrantExpiryExtended,
    GrantRefunded,
    GrantRevoked,
    HoldCaptured,
    HoldReleased,
    ReceivableLowered,
    RefundSettled,
    ThresholdCrossed,
    TopUpRequested,
    TopUpSettled,
    TransferReturned,
    TransferSettled,
    WalletClosed,
    WalletOpened,
    WalletPolicyChanged,
    WalletUpdated,
)
from ledger_service.domain.values import AlertKind, CrossingDirection, Money


class Text(NamedTuple):
    """What an event changes of the posted units, what it adds to overage, and one sentence."""

    change_units: int
    overage_units: int
    description: str


def describe(event: Event) -> Text:
    """Return the text of an event of a wallet. Holds change nothing that is posted."""
    match event:
        case CreditsGranted() as granted:
            return Text(0 if granted.pending else granted.amount_units, 0, _describe_grant(granted))
        case CreditsDebited() as debited:
            return Text(-_drawn_units(debited), debited.overage_units, _describe_debit(debited))
        case HoldCaptured() as captured:
            return Text(-_drawn_units(captured), captured.overage_units, _describe_capture(captured))
        case CreditsHeld() as held:
            return Text(0, 0, f"Held until {held.expire_time.isoformat()}{_by(held)}")
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
        case GrantRefunded(grant_version=grant, amount_units=units, refund=refund, tax=tax):
            return Text(-units, 0, f"Grant {grant} refunded: {_money(refund)}{_and_tax(tax)}")
        case GrantExpiryExtended(grant_version=grant, expire_time=expire_time):
            until = f"until {expire_time.isoformat()}" if expire_time is not None else "for ever"
            return Text(0, 0, f"Grant {grant} extended {until}")
        case CreditsRolledOver(grant_version=grant):
            return Text(0, 0, f"Rest of grant {grant} rolled over")
        case DebtRepaid(amount_units=units, repayments=repayments):
            debits = ", ".join(str(each.debit_version) for each in repayments)
            return Text(-units, 0, f"Debt of debit {debits} repaid")
        case _:
            return _describe_movement(event)


def _describe_movement(event: Event) -> Text:
    match event:
        case CreditsTransferredOut(destination=destination, amount_units=units):
            return Text(-units, 0, f"Transferred to {destination}")
        case CreditsTransferredIn(source=source, transfer_version=transfer, amount_units=units):
            return Text(units, 0, f"Transferred from {source}, transfer {transfer} there")
        case TransferSettled(transfer_version=transfer):
            return Text(0, 0, f"Transfer {transfer} arrived")
        case TransferReturned(transfer_version=transfer, slices=slices, reason=reason):
            units = sum(each.amount_units for each in slices)
            return Text(units, 0, f"Transfer {transfer} returned ({reason})")
        case GrantChargedBack() as charged_back:
            return Text(-charged_back.revoked_units, 0, _describe_chargeback(charged_back))
        case ReceivableLowered(grant_version=grant, amount_units=units, reduction=reduction, tax=tax):
            less = f"{_money(reduction)}{_and_tax(tax)} less owed"
            return Text(-units, 0, f"Returned to charged back grant {grant}: {less}")
        case _:
            return _describe_wallet(event)


def _describe_wallet(event: Event) -> Text:
    match event:
        case WalletOpened(asset=asset, shortfall_mode=mode):
            return Text(0, 0, f"Opened in {asset.code}/{asset.scale}, shortfall {mode.value}")
        case WalletPolicyChanged() as policy:
            return Text(0, 0, _describe_policy(policy))
        case WalletUpdated(paths=paths):
            return Text(0, 0, f"Updated: {', '.join(paths)}")
        case WalletClosed(forfeit=forfeit):
            return Text(0, 0, "Closed, the rest forfeited" if forfeit else "Closed")
        case ThresholdCrossed() as crossed:
            return Text(0, 0, describe_crossing(crossed))
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
            return Text(0, 0, _describe_finance(event))


def _describe_finance(event: Event) -> str:
    match event:
        case BreakageEstimateRevised(grant_versions=grants) as revised:
            stated = revised.expected_breakage or f"all but {revised.expected_redeemed_units} units"
            return f"Expected breakage of {_grants(grants)} is now {stated}"
        case BreakageDeclaredRemote(grant_versions=grants):
            return f"Use of the rest of {_grants(grants)} is remote"
        case ConsiderationEscheated(grant_version=grant, fraction=fraction, jurisdiction=jurisdiction):
            to = f" to {jurisdiction}" if jurisdiction else ""
            return f"{fraction} of what is unused of grant {grant} escheated{to}"
        case RefundSettled(refund_version=refund, refund=money, reference=reference, tax=tax):
            paid = f"Refund {refund} paid: {_money(money)}{_and_tax(tax)}"
            return paid + (f" ({reference})" if reference else "")
        case _:
            raise AssertionError(f"{type(event).__name__} is not an event of a wallet")


def _grants(versions: tuple[int, ...]) -> str:
    return f"{'grant' if len(versions) == 1 else 'grants'} {', '.join(map(str, versions))}"


def describe_crossing(crossed: ThresholdCrossed) -> str:
    """Return one sentence about an alert."""
    rising = crossed.direction is CrossingDirection.RISING
    match crossed.kind:
        case AlertKind.ENTITLEMENT:
            return f"Alert: {crossed.threshold} % of the entitlement used{'' if rising else ' no more'}"
        case AlertKind.LOW_BALANCE:
            return f"Alert: {'above' if rising else 'at or below'} {crossed.threshold} units available"
        case AlertKind.FAST_RISE:
            return f"Alert: use rises fast, {crossed.window_units} units in the window"


def _describe_chargeback(charged_back: GrantChargedBack) -> str:
    amount = _money(charged_back.amount) + _and_tax(charged_back.tax)
    owed = _money(charged_back.receivable) + _and_tax(charged_back.tax_receivable)
    reference = f" ({charged_back.reference})" if charged_back.reference else ""
    return f"Grant {charged_back.grant_version} charged back: {amount}, of which {owed} are owed{reference}"


def _describe_policy(policy: WalletPolicyChanged) -> str:
    ended = f"{policy.ended_contract or 'The contract'} ended"
    what = f"Phase {policy.contract_phase} of {policy.contract}" if policy.contract else ended
    later = "; what it had scheduled later no longer holds" if policy.replaces_later else ""
    cap = policy.spend_cap
    capped = "" if cap is None else f", spend cap {cap.amount_units} units in {cap.period}"
    percents = ", ".join(f"{percent} %" for percent in policy.alert_percents)
    told = f", alerts at {percents}" if percents else ""
    return f"{what}, shortfall {policy.shortfall_mode.value}{capped}{told}{later}"


def _drawn_units(debited: CreditsDebited | HoldCaptured) -> int:
    """Return what leaves the posted units; what is drawn late had left them when it expired."""
    if isinstance(debited, CreditsDebited):
        return sum(
            draw.amount_units for draw in debited.draws if draw.grant_version not in debited.late_grants
        )
    return debited.amount_units - debited.overage_units - debited.debt_units


def _describe_grant(granted: CreditsGranted) -> str:
    words = [granted.category.value.capitalize(), "credit granted"]
    if granted.consideration is not None:
        words.append(f"for {_money(granted.consideration)}")
    if granted.compensates_version:
        words.append(f"as goodwill for debit {granted.compensates_version}")
    if granted.expire_time is not None:
        words.append(f"until {granted.expire_time.isoformat()}")
    if granted.pending:
        words.append("once it is paid")
    if granted.reference:
        words.append(f"({granted.reference})")
    return " ".join(words)


def _describe_debit(debited: CreditsDebited) -> str:
    late = f", late capture of hold {debited.late_hold_version}" if debited.late_hold_version else ""
    if debited.late_grants:
        grants = "grant" if len(debited.late_grants) == 1 else "grants"
        late += f", late, from expired {grants} {', '.join(map(str, debited.late_grants))}"
    return _describe_usage("Debit", debited.feature, debited.charge) + _by(debited) + late


def _describe_capture(captured: HoldCaptured) -> str:
    what = f"Capture of hold {captured.hold_version}"
    if captured.charge is None:
        return _describe_usage(what, captured.feature, None) + _by(captured)
    usage = _describe_usage(what, captured.feature, captured.charge)
    return f"{usage}{_by(captured)}, hold {captured.hold_version}"


def _by(event: CreditsDebited | CreditsHeld | HoldCaptured) -> str:
    by_key = f", key {event.api_key}" if event.api_key else ""
    return by_key + (f", user {event.user}" if event.user else "")


def _describe_usage(what: str, feature: str, charge: Charge | None) -> str:
    if charge is None:
        return f"{what} for {feature}" if feature else what
    if charge.adjustment is not None:
        adjusted = charge.adjustment
        cycle = f"the cycle from {adjusted.cycle_start_time.isoformat()}"
        figures = f"{adjusted.charged_units} units were charged and {adjusted.rated_units} are due"
        return f"Adjustment of {cycle}: {figures} ({charge.rate_card_phase})"
    usage = ", ".join(f"{line.quantity} {line.dimension}" for line in charge.lines if line.quantity)
    model = charge.properties.get("model", "")
    return f"Usage{' of ' + model if model else ''}: {usage or 'none'} ({charge.rate_card_phase})"


def _describe_revocation(revoked: GrantRevoked) -> str:
    if revoked.clawback:
        return f"Bonus grant {revoked.grant_version} clawed back"
    reason = f" ({revoked.reason})" if revoked.reason else ""
    return f"Grant {revoked.grant_version} revoked{reason}"


def _and_tax(tax: Money | None) -> str:
    return "" if tax is None else f" and {_money(tax)} tax"


def _money(money: Money) -> str:
    return f"{money.currency_code} {Decimal(money.nanos).scaleb(-9).normalize():f}"
