"""Caps: what a wallet has spent of its spend cap and of its budgets.

A cap counts by record time: a debit falls into the period in which the ledger decides it, so a backdated debit
cannot bypass a cap and one counter a cap is enough. The counter begins at 0 when the cap is made and in each new
period. A changed amount keeps what was used; a changed period, zone, anchor or selector begins anew.
What holds reserve is not kept here: it is counted over the open holds whenever it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from ledger_service.domain.calendar import FIRST_INSTANT, LAST_INSTANT, period_at
from ledger_service.domain.events import Budget, SpendCap, WalletRules
from ledger_service.domain.wallet.phase_caps import AgreedCap, PhaseCount, PhasePolicy, agreed_caps, count_at


class Spender(msgspec.Struct, frozen=True, gc=False):
    """On whose account a debit or hold is counted; empty where nobody was named."""

    api_key: str = ""
    user: str = ""
    feature: str = ""


class Cap(msgspec.Struct, frozen=True, gc=False):
    """A cap and what was used of it in the period [from_time, to_time).

    `since_version` is that of the event that made it: debits before it were never counted.
    """

    terms: Budget
    since_version: int
    from_time: datetime
    to_time: datetime
    used_units: int = 0


class Caps(msgspec.Struct, frozen=True, gc=False):
    """A wallet's caps: its spend cap, its budgets by what they select, and the cap of a contract's phase.

    At most five of them count one debit.
    """

    spend_cap: Cap | None = None
    """Its terms are those of a budget without name and selector."""
    api_keys: dict[str, Cap] = {}
    users: dict[str, Cap] = {}
    features: dict[str, Cap] = {}
    agreed: tuple[AgreedCap, ...] = ()
    """What the phases of contracts bring, by from_time ascending."""
    phase_count: PhaseCount | None = None
    """What was used of the agreed cap that was in force when something counted last."""


Change = Callable[[Cap], Cap]


def all_caps(caps: Caps) -> list[Cap]:
    """Return every cap of the rules: the spend cap, then the budgets of keys, users and features."""
    spend_cap = [] if caps.spend_cap is None else [caps.spend_cap]
    return [*spend_cap, *caps.api_keys.values(), *caps.users.values(), *caps.features.values()]


def caps_of(caps: Caps, spender: Spender) -> list[Cap]:
    """Return the caps that count what a spender spends, in the order in which they refuse."""
    found = (
        caps.spend_cap,
        caps.api_keys.get(spender.api_key),
        caps.users.get(spender.user),
        caps.features.get(spender.feature),
    )
    return [cap for cap in found if cap is not None]


def counts(cap: Cap, spender: Spender) -> bool:
    """Say whether a cap counts what a spender spends."""
    terms = cap.terms
    return (
        terms.api_key in ("", spender.api_key)
        and terms.user in ("", spender.user)
        and terms.feature in ("", spender.feature)
    )


def in_period(cap: Cap, instant: datetime) -> Cap:
    """Return the cap as it stands at an instant: whole again if a later period has begun."""
    return cap if instant < cap.to_time else _begun(cap.terms, cap.since_version, instant)


def spent(caps: Caps, spender: Spender, amount_units: int, record_time: datetime) -> Caps:
    """Return the caps after a debit."""

    def count(cap: Cap) -> Cap:
        now = in_period(cap, record_time)
        return msgspec.structs.replace(now, used_units=now.used_units + amount_units)

    return _changed(caps, spender, count, _phase_spent(caps, amount_units, record_time))


def given_back(
    caps: Caps,
    spender: Spender,
    amount_units: int,
    *,
    debit_version: int,
    debit_time: datetime,
    record_time: datetime,
) -> Caps:
    """Return the caps after a reversal: room comes back where the debit is counted in the period of now."""

    def give_back(cap: Cap) -> Cap:
        now = in_period(cap, record_time)
        if debit_version <= cap.since_version or debit_time < now.from_time:
            return now
        return msgspec.structs.replace(now, used_units=now.used_units - amount_units)

    phase = phase_count_at(caps, record_time)
    given_units = 0 if phase is None or debit_time < phase.from_time else min(amount_units, phase.used_units)
    return _changed(caps, spender, give_back, _phase_spent(caps, -given_units, record_time))


def with_rules(caps: Caps | None, rules: WalletRules, version: int, record_time: datetime) -> Caps | None:
    """Return the caps that rules ask for; what did not change keeps its count, what is gone is forgotten."""
    agreed = () if caps is None else caps.agreed
    if rules.spend_cap is None and not rules.budgets and not agreed:
        return None
    known = {cap.terms.budget: cap for cap in all_caps(caps or Caps())}

    def cap_of(terms: Budget) -> Cap:
        cap = known.get(terms.budget)
        if cap is None or msgspec.structs.replace(cap.terms, amount_units=terms.amount_units) != terms:
            return _begun(terms, version, record_time)
        return msgspec.structs.replace(cap, terms=terms)

    return Caps(
        None if rules.spend_cap is None else cap_of(_as_budget(rules.spend_cap)),
        {budget.api_key: cap_of(budget) for budget in rules.budgets if budget.api_key},
        {budget.user: cap_of(budget) for budget in rules.budgets if budget.user},
        {budget.feature: cap_of(budget) for budget in rules.budgets if budget.feature},
        agreed,
        None if caps is None else caps.phase_count,
    )


def with_agreed(caps: Caps | None, policies: Sequence[PhasePolicy]) -> Caps | None:
    """Return the caps after what contracts agree has changed."""
    agreed = agreed_caps(policies)
    if caps is None:
        return Caps(agreed=agreed) if agreed else None
    if not agreed and not all_caps(caps):
        return None
    return msgspec.structs.replace(caps, agreed=agreed)


def phase_count_at(caps: Caps, instant: datetime) -> PhaseCount | None:
    """Return the cap of the contract's phase as it stands at an instant, None without one."""
    return count_at(caps.agreed, caps.phase_count, instant) if caps.agreed else None


def _as_budget(cap: SpendCap) -> Budget:
    return Budget("", cap.amount_units, cap.anchor_time, period=cap.period, zone=cap.zone)


def _begun(terms: Budget, since_version: int, instant: datetime) -> Cap:
    if not terms.period:
        return Cap(terms, since_version, FIRST_INSTANT, LAST_INSTANT)
    return Cap(terms, since_version, *period_at(instant, terms.anchor_time, terms.period, terms.zone))


def _phase_spent(caps: Caps, amount_units: int, instant: datetime) -> PhaseCount | None:
    count = phase_count_at(caps, instant)
    if count is None:
        return caps.phase_count
    return msgspec.structs.replace(count, used_units=count.used_units + amount_units)


def _changed(caps: Caps, spender: Spender, change: Change, phase_count: PhaseCount | None) -> Caps:
    return Caps(
        None if caps.spend_cap is None else change(caps.spend_cap),
        _changed_at(caps.api_keys, spender.api_key, change),
        _changed_at(caps.users, spender.user, change),
        _changed_at(caps.features, spender.feature, change),
        caps.agreed,
        phase_count,
    )


def _changed_at(caps: dict[str, Cap], selected: str, change: Change) -> dict[str, Cap]:
    cap = caps.get(selected)
    return caps if cap is None else caps | {selected: change(cap)}
