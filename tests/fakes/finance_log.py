"""Histories for finance: what the real decisions record when lots of all terms are sold, used, estimated and ended."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from random import Random

import msgspec

from ledger_service.domain.commands import (
    AnyCommand,
    CreateBreakagePool,
    Debit,
    DeclareBreakageRemote,
    ExtendGrant,
    GrantCredits,
    LockAccountingPeriod,
    OpenWallet,
    RecordEscheat,
    RefundGrant,
    ReviseBreakageEstimate,
    RevisePoolEstimate,
    RevokeGrant,
    SaleTerms,
    SettleRefund,
    SettleWallet,
)
from ledger_service.domain.events import Charge, LotTerms
from ledger_service.domain.refusals import Refusal
from ledger_service.domain.values import BreakageMethod, GrantCategory, Money, ShortfallMode, UnitPrice
from tests.builders import CREDIT, NOW, WALLET, Book, charge

POOL = "breakagePools/packs"
PERIODS = "accountingPeriods/default"
KINDS = (
    *("sell", "sell", "use", "use", "use", "use", "settle"),
    *("reverse", "refund", "pay", "estimate", "remote", "escheat", "extend", "end", "bonus", "pool", "lock"),
)


class Act(msgspec.Struct, frozen=True):
    """One thing that happens, some hours after the one before it; numbers choose among what there is."""

    kind: str
    units: int = 10
    hours_later: int = 1
    number: int = 0
    pooled: bool = False
    breakage: str = ""
    lasts_hours: int | None = None
    nanos: int = 1_000
    tax_nanos: int = 0
    foreign: bool = False
    """Sold in USD, into books in EUR."""


def random_acts(seed: int, count: int) -> list[Act]:
    """Return acts of all kinds, the same for the same seed."""
    random = Random(seed)
    return [
        Act(
            kind=random.choice(KINDS),
            units=random.randint(1, 60),
            hours_later=random.randint(0, 30),
            number=random.randint(0, 9),
            pooled=random.random() < 0.3,
            breakage=random.choice(("", "", "0.1", "0.25", "0.5")),
            lasts_hours=random.choice((None, 50, 200, 900)),
            nanos=random.randint(0, 10_000),
            tax_nanos=random.choice((0, random.randint(1, 2_000))),
            foreign=random.random() < 0.2,
        )
        for _ in range(count)
    ]


def play(acts: Iterable[Act]) -> Book:
    """Return a book in which a pool and a wallet are there from the start; refused acts leave nothing."""
    ledger = Book()
    ledger.run(OpenWallet(WALLET, "customers/acme", CREDIT, ShortfallMode.SOFT, 10**6))
    ledger.run(
        CreateBreakagePool(
            POOL, "EUR", BreakageMethod.PROPORTIONAL, expected_breakage="0.2", escheat_fraction="0.5"
        )
    )
    now = NOW
    for act in acts:
        now += timedelta(hours=act.hours_later)
        try:
            command = _command(ledger, act, now)
            if command is not None:
                ledger.run(command, now)
        except Refusal:
            continue
    return ledger


def priced(units: int, price: str = "0.02") -> Charge:
    """Return a charge whose overage has a price."""
    return msgspec.structs.replace(charge(str(units)), overage_price=UnitPrice("EUR", price))


def _command(ledger: Book, act: Act, now: datetime) -> AnyCommand | None:  # noqa: C901, PLR0912
    wallet = ledger.wallet()
    lots = [lot for lot in wallet.lots if lot.consideration is not None]
    lot = lots[act.number % len(lots)] if lots else None
    match act.kind:
        case "sell":
            return _sale(act, now)
        case "use":
            return Debit(WALLET, charge=priced(act.units), delivered=True)
        case "settle":
            return SettleWallet(WALLET)
        case "pool":
            if act.number > 5:
                return RevisePoolEstimate(POOL, expected_redeemed_units=act.units)
            return RevisePoolEstimate(POOL, act.breakage or "0")
        case "lock":
            return _lock(ledger, now.date())
        case "reverse":
            debits = [
                each.version for each in ledger.log if "CreditsDebited" in type(each.fact.event).__name__
            ]
            return ledger.reversal(debits[act.number % len(debits)], 1) if debits else None
        case "pay":
            return SettleRefund(WALLET, next(iter(wallet.owed_refunds))) if wallet.owed_refunds else None
        case _ if lot is None or act.kind == "idle":
            return None
        case "refund":
            return RefundGrant(WALLET, lot.grant_version, min(act.units, lot.remaining_units), act.pooled)
        case "estimate":
            return ReviseBreakageEstimate(WALLET, (lot.grant_version,), act.breakage or "0")
        case "remote":
            return DeclareBreakageRemote(WALLET, (lot.grant_version,))
        case "escheat":
            terms = LotTerms(GrantCategory.PAID, 0, lot.granted_units, NOW, consideration=lot.consideration)
            return RecordEscheat(WALLET, lot.grant_version, "0.6", terms)
        case "extend":
            return ExtendGrant(WALLET, lot.grant_version, now + timedelta(hours=act.lasts_hours or 10))
        case "end":
            return RevokeGrant(WALLET, lot.grant_version, amount_units=min(act.units, lot.remaining_units))
        case "bonus":
            return GrantCredits(
                WALLET, act.units, GrantCategory.PROMOTIONAL, purchase_version=lot.grant_version
            )
        case _:
            raise AssertionError(f"{act.kind} is no kind of act")


def _sale(act: Act, now: datetime) -> GrantCredits:
    currency = "USD" if act.foreign else "EUR"
    terms = SaleTerms(
        pool=POOL if act.pooled else "",
        expected_breakage="" if act.pooled else act.breakage,
        tax=Money(currency, act.tax_nanos) if act.tax_nanos else None,
        functional_currency="EUR" if act.foreign else "",
        exchange_rate="0.91" if act.foreign else "",
    )
    return GrantCredits(
        WALLET,
        act.units,
        GrantCategory.PAID,
        expire_time=None if act.lasts_hours is None else now + timedelta(hours=act.lasts_hours),
        consideration=Money(currency, act.nanos),
        finance=terms,
    )


def _lock(ledger: Book, today: date) -> LockAccountingPeriod | None:
    state = ledger.states.get(PERIODS)
    start: date = getattr(state, "open_day", NOW.date())
    if start >= today:
        return None
    if state is not None:
        # What the close of the period before adds changes no figure.
        ledger.states[PERIODS] = msgspec.structs.replace(state, closed=True)
    return LockAccountingPeriod(PERIODS, start, today)
