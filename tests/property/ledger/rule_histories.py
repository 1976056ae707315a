"""Histories of one wallet in which every rule is met: the real decisions play them, and refusals leave nothing.

Acts name what they are about by a number, which is taken modulo what there is, so that shrinking keeps them
meaningful.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random

import msgspec
from hypothesis import strategies as st

from ledger_service.application.ports import StoredEvent
from ledger_service.domain.commands import (
    ActivateGrant,
    AnyCommand,
    CaptureHold,
    Debit,
    ExtendGrant,
    GrantCredits,
    OpenWallet,
    PlaceHold,
    RecurrenceTerms,
    RefundGrant,
    ReleaseHold,
    RequestTopUp,
    ReturnTransfer,
    RevokeGrant,
    SettleTopUp,
    SettleTransfer,
    SettleWallet,
    UpdateWallet,
)
from ledger_service.domain.events import (
    AutoTopUp,
    CreditsDebited,
    CreditsGranted,
    CreditsHeld,
    CreditsRolledOver,
    HoldCaptured,
    RollOver,
    TopUpOutcome,
    TopUpRequested,
    WalletRules,
)
from ledger_service.domain.refusals import Refusal
from ledger_service.domain.topics import TOPIC_OF, encode_fact
from ledger_service.domain.values import GrantCategory, Money, ShortfallMode
from tests.builders import CREDIT, MICROSECOND, NOW, WALLET, Book, Recorded
from tests.transfers import chargeback, transfer

HOUR = timedelta(hours=1)
GRACE_HOURS = 24
KINDS = (
    *("grant", "recurring", "bonus", "debit", "debit", "hold", "hold", "capture", "capture", "release"),
    *("reverse", "reverse", "revoke", "refund", "extend", "extend", "settle", "late", "late", "grace"),
    *("send", "end_transfer", "end_transfer", "end_transfer", "charge_back", "refund"),
    *("pending", "activate", "ask", "pay", "pay", "rule"),
)


class Act(msgspec.Struct, frozen=True):
    """One thing that somebody tries, some hours after the act before it."""

    kind: str
    units: int = 5
    hours_later: int = 0
    pick: int = 0
    paid_nanos: int = 1_000
    partly: bool = False


ACTS = st.lists(
    st.builds(
        Act,
        kind=st.sampled_from(KINDS),
        units=st.integers(1, 20),
        hours_later=st.sampled_from([0, 0, 0, 1, 3, 30]),
        pick=st.integers(0, 5),
        paid_nanos=st.integers(0, 1_000),
        partly=st.booleans(),
    ),
    max_size=40,
)
MODES = st.sampled_from(list(ShortfallMode))


def random_acts(seed: int, count: int) -> list[Act]:
    """Return acts of all kinds, the same for the same seed."""
    random = Random(seed)
    return [
        Act(
            kind=random.choice(KINDS),
            units=random.randint(1, 20),
            hours_later=random.choice((0, 0, 0, 1, 3, 30)),
            pick=random.randint(0, 5),
            paid_nanos=random.randint(0, 1_000),
            partly=random.random() < 0.5,
        )
        for _ in range(count)
    ]


def play_acts(acts: Sequence[Act], mode: ShortfallMode = ShortfallMode.SOFT) -> Book:
    """Return a book in which the wallet was opened with a grace and the acts were tried in turn."""
    ledger = Book()
    ledger.run(OpenWallet(WALLET, "customers/acme", CREDIT, mode, rules=grace_of(GRACE_HOURS)), NOW)
    now = NOW
    for act in acts:
        now += act.hours_later * HOUR
        command = command_of(ledger, act, now)
        if command is None:
            continue
        try:
            ledger.run(command, now)
        except Refusal:
            continue
    return ledger


def grace_of(hours: int) -> WalletRules:
    """Return rules with a grace of so many hours."""
    return WalletRules(late_usage_grace_seconds=hours * 3600)


def stored_as_if_paid(ledger: Book) -> list[StoredEvent]:
    """Return the book's log as if recurring grants had been paid for.

    Today's decisions refuse that, each period being a purchase of its own; the projections would know what to do.
    """
    log = [_as_if_paid(each) for each in ledger.log]
    return [
        StoredEvent(
            position, each.stream, each.version, TOPIC_OF[type(each.fact.event)], encode_fact(each.fact)
        )
        for position, each in enumerate(log, start=1)
    ]


def _as_if_paid(recorded: Recorded) -> Recorded:
    replace = msgspec.structs.replace
    event = recorded.fact.event
    price = Money("USD", 1_001)
    if isinstance(event, CreditsGranted) and event.recurrence is not None:
        event = replace(event, category=GrantCategory.PAID, consideration=price)
    elif isinstance(event, CreditsRolledOver):
        event = replace(event, lot=replace(event.lot, category=GrantCategory.PAID, consideration=price))
    return replace(recorded, fact=replace(recorded.fact, event=event))


def command_of(ledger: Book, act: Act, now: datetime) -> AnyCommand | None:
    """Return what an act asks for at an instant, None if there is nothing it could be about."""
    match act.kind:
        case "pending" | "activate" | "ask" | "pay" | "rule":
            return _payment(ledger, act, now)
        case "grant" | "bonus" | "recurring":
            return _grant(ledger, act, now)
        case "debit":
            return Debit(WALLET, act.units, delivered=act.partly)
        case "hold":
            return PlaceHold(WALLET, act.units, ttl=timedelta(hours=1 + act.pick))
        case "settle":
            return SettleWallet(WALLET)
        case "late":
            used_time = now - (0, 1, 2, 5, 9, 26)[act.pick] * HOUR - act.partly * MICROSECOND
            return Debit(WALLET, act.units, used_time)
        case "grace":
            return UpdateWallet(
                WALLET, ("rules.late_usage_grace",), rules=grace_of((GRACE_HOURS, 2)[act.partly])
            )
        case "capture" | "release":
            return _end_hold(ledger, act)
        case "send" | "end_transfer":
            return transfer(act.units) if act.kind == "send" else _end_transfer(ledger, act)
        case _:
            return _take_back(ledger, act)


def _grant(ledger: Book, act: Act, now: datetime) -> GrantCredits | None:
    category = list(GrantCategory)[act.pick % 3] if act.partly else GrantCategory.PAID
    money = Money("USD", act.paid_nanos) if category is GrantCategory.PAID else None
    if act.kind == "recurring":
        roll_over = RollOver("50", 2, 7) if act.pick % 2 else RollOver("100", 3)
        terms = RecurrenceTerms("PT4H", period_count=act.pick, roll_over=roll_over)
        return GrantCredits(WALLET, act.units, GrantCategory.INCLUDED, recurrence=terms)
    if act.kind == "bonus":
        purchase = _pick(ledger, act, CreditsGranted)
        if purchase is None:
            return None
        return GrantCredits(WALLET, act.units, GrantCategory.PROMOTIONAL, purchase_version=purchase)
    lasts = (None, 2, 4, 24, 48, 100)[act.pick]
    return GrantCredits(
        WALLET,
        act.units,
        category,
        effective_time=None,
        expire_time=None if lasts is None else now + lasts * HOUR,
        consideration=money,
    )


def _payment(ledger: Book, act: Act, now: datetime) -> AnyCommand | None:
    match act.kind:
        case "pending":
            granted = _grant(ledger, msgspec.structs.replace(act, kind="grant", partly=False), now)
            return None if granted is None else msgspec.structs.replace(granted, pending=True)
        case "activate":
            version = _pick(ledger, act, CreditsGranted)
            return None if version is None else ActivateGrant(WALLET, version)
        case "ask":
            return RequestTopUp(WALLET, act.units, Money("USD", act.paid_nanos), valid_for="PT9H")
        case "pay":
            version = _pick(ledger, act, TopUpRequested)
            outcome = TopUpOutcome.FAILED if act.partly else TopUpOutcome.SUCCEEDED
            return None if version is None else SettleTopUp(WALLET, version, outcome)
        case _:
            rule = AutoTopUp(act.pick, Money("USD", 1_001), 3, amount_units=act.units)
            return UpdateWallet(WALLET, ("rules.auto_top_up",), rules=WalletRules(auto_top_up=rule))


def _end_hold(ledger: Book, act: Act) -> CaptureHold | ReleaseHold | None:
    version = _pick(ledger, act, CreditsHeld)
    if version is None:
        return None
    if act.kind == "release":
        return ReleaseHold(WALLET, version)
    return CaptureHold(WALLET, version, act.units, final=not act.partly)


def _take_back(ledger: Book, act: Act) -> AnyCommand | None:
    if act.kind == "reverse":
        version = _pick(ledger, act, CreditsDebited, HoldCaptured)
        return None if version is None else ledger.reversal(version, act.units if act.partly else 0)
    version = _pick(ledger, act, CreditsGranted, CreditsRolledOver)
    if version is None:
        return None
    if act.kind == "charge_back":
        return _charge_back(ledger, act)
    if act.kind == "revoke":
        return RevokeGrant(WALLET, version)
    if act.kind == "refund":
        return RefundGrant(WALLET, version, act.units if act.partly else 0)
    return ExtendGrant(WALLET, version, None if act.partly else NOW + 200 * HOUR)


def _end_transfer(ledger: Book, act: Act) -> SettleTransfer | ReturnTransfer | None:
    transfers = ledger.wallet().transfers
    if not transfers:
        return None
    version = transfers[-1 - act.pick % len(transfers)].transfer_version
    if act.partly:
        return SettleTransfer(WALLET, version)
    return ReturnTransfer(WALLET, version, "AMOUNT_OUT_OF_RANGE")


def _charge_back(ledger: Book, act: Act) -> AnyCommand | None:
    version = _pick(ledger, act, CreditsGranted)
    if version is None:
        return None
    return chargeback(ledger, version, act.paid_nanos if act.partly else None, currency="USD")


def _pick(ledger: Book, act: Act, *kinds: type) -> int | None:
    """Return the version of one of the latest events of some kinds."""
    found = [each.version for each in ledger.log if isinstance(each.fact.event, kinds)]
    return found[-1 - act.pick % len(found)] if found else None
