"""Invariants: what is true of every wallet after every event. Stated once; tests and the audit call these."""

from __future__ import annotations

from collections.abc import Iterator

from ledger_service.domain.events import CreditsDebited, Draw, Event, Fact, HoldCaptured
from ledger_service.domain.streams import State
from ledger_service.domain.wallet.caps import all_caps
from ledger_service.domain.wallet.state import Wallet, in_transit_units, issued_units, posted_units
from ledger_service.domain.wallet.totals import MeterTotal, is_metered, total_of, totals_are_sound


def broken_invariants(state: State, fact: Fact[Event]) -> Iterator[tuple[str, str]]:
    """Yield (name, description) of each invariant that does not hold after an event."""
    if isinstance(state, Wallet):
        if not is_conserved(state):
            yield (
                "CONSERVATION",
                f"granted {state.granted_units} + received {state.received_units}"
                f" != posted {posted_units(state)} + drawn {state.drawn_units}"
                f" + expired {state.expired_units} + revoked {state.revoked_units} + sent {state.sent_units}",
            )
        if not holds_are_reserved(state):
            yield "HOLDS", "what holds reserve is not what the lots have reserved"
        if not lapsed_lots_are_sound(state):
            yield "LAPSED_LOTS", "what late usage may draw is not part of what expired inside the grace"
        if state.carried_fraction >= 1:
            yield "CARRIED_FRACTION", f"the carried fraction {state.carried_fraction} is not below 1"
        if not (totals_are_sound(state.totals) and totals_follow(state, fact.event)):
            yield "TOTALS", "what is counted of a meter is not what the debits counted and were priced on"
        if not caps_are_counted(state):
            yield "CAPS", "a cap has less than nothing used, or is not the one that the rules ask for"
        if (state.gone_tax or state.owed_tax) and not tax_is_sound(state):
            yield "TAX", "more tax has gone than was received, or less than nothing is owed of it"
    if not is_paid(fact.event):
        yield "DRAWS", "draws, overage and debt do not add up to amount_units"


def totals_follow(wallet: Wallet, event: Event) -> bool:
    """Say whether each total that an event's charge was priced on, and its quantity, are what is counted now."""
    charge = event.charge if isinstance(event, CreditsDebited | HoldCaptured) else None
    if charge is None or not is_metered(charge):
        return True
    last = {
        (line.total_before.meter, line.total_before.cycle_start_time): line
        for line in charge.lines
        if line.total_before is not None and line.total_before.cycle_start_time is not None
    }
    return all(
        total_of(wallet.totals, charge.contract, line.total_before)
        == MeterTotal(line.total_before.quantity + line.quantity, line.total_before.usages + 1)
        for line in last.values()
        if line.total_before is not None
    )


def is_conserved(wallet: Wallet) -> bool:
    """Say whether granted + received = posted + drawn + expired + revoked + sent, and what is on its way was sent."""
    gone_units = wallet.drawn_units + wallet.expired_units + wallet.revoked_units + wallet.sent_units
    return (
        issued_units(wallet) == posted_units(wallet) + gone_units
        and in_transit_units(wallet) <= wallet.sent_units
    )


def holds_are_reserved(wallet: Wallet) -> bool:
    """Say whether each lot has reserved just what the holds say, and no lot holds less than nothing."""
    slices: dict[int, int] = {}
    for hold in wallet.holds:
        for each in hold.slices:
            slices[each.grant_version] = slices.get(each.grant_version, 0) + each.amount_units
    reserved: dict[int, int] = {}
    for lot in wallet.lots:
        if lot.remaining_units < 0:
            return False
        if lot.held_units:
            reserved[lot.grant_version] = lot.held_units
    return slices == reserved


def caps_are_counted(wallet: Wallet) -> bool:
    """Say whether there is just one counter for each cap of the rules, and none below 0, that of a phase neither."""
    count = None if wallet.caps is None else wallet.caps.phase_count
    if count is not None and count.used_units < 0:
        return False
    rules = wallet.rules
    if wallet.caps is None:
        return not rules.budgets and rules.spend_cap is None
    caps = all_caps(wallet.caps)
    asked = {budget.budget: budget.amount_units for budget in rules.budgets}
    if rules.spend_cap is not None:
        asked[""] = rules.spend_cap.amount_units
    return asked == {cap.terms.budget: cap.terms.amount_units for cap in caps} and all(
        cap.used_units >= 0 for cap in caps
    )


def tax_is_sound(wallet: Wallet) -> bool:
    """Say whether of no lot more tax went back or moved on than came with it, and nothing is counted below zero."""
    received = {
        lot.grant_version: 0 if lot.finance is None or lot.finance.tax is None else lot.finance.tax.nanos
        for lot in wallet.lots
    }
    return all(nanos >= 0 for nanos in (*wallet.gone_tax.values(), *wallet.owed_tax.values())) and all(
        nanos <= received.get(version, nanos) for version, nanos in wallet.gone_tax.items()
    )


def lapsed_lots_are_sound(wallet: Wallet) -> bool:
    """Say whether what late usage may draw is part of what expired, and whether there is a grace for it."""
    if not wallet.lapsed_lots:
        return wallet.expired_units >= 0
    lapsed_units = [lot.remaining_units for lot in wallet.lapsed_lots]
    return (
        all(units > 0 for units in lapsed_units)
        and sum(lapsed_units) <= wallet.expired_units
        and wallet.rules.late_usage_grace_seconds > 0
    )


def is_paid(event: Event) -> bool:
    """Say whether what pays for a debit or a capture adds up to it."""
    match event:
        case CreditsDebited():
            return is_covered(event)
        case HoldCaptured():
            return is_captured(event)
        case _:
            return True


def is_covered(debit: CreditsDebited) -> bool:
    """Say whether draws, overage and debt add up to the debit, none is negative, and late grants are drawn on."""
    return _adds_up(debit, debit.draws) and (
        not debit.late_grants or {draw.grant_version for draw in debit.draws}.issuperset(debit.late_grants)
    )


def is_captured(capture: HoldCaptured) -> bool:
    """Say whether a capture's draws, overage and debt add up to it, and none is negative."""
    return _adds_up(capture, (*capture.held_draws, *capture.draws))


def _adds_up(debit: CreditsDebited | HoldCaptured, draws: tuple[Draw, ...]) -> bool:
    # Plain loops here and above: an audit asks this of every event of the log.
    units = debit.overage_units + debit.debt_units
    for draw in draws:
        if draw.amount_units <= 0:
            return False
        units += draw.amount_units
    return units == debit.amount_units and debit.overage_units >= 0 and debit.debt_units >= 0
