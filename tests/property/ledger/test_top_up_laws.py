"""The law of top-ups: one that is sold on terms is in every figure what a grant on the same terms is.

It does not matter whether tax and exchange rate were said with the request or with the payment. What follows (usage,
reversals, estimates, refunds, expiry) is the same for both, and so are postings, lots and pools.
"""

from __future__ import annotations

from datetime import timedelta
from random import Random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ledger_service.domain.commands import (
    AnyCommand,
    BundledItemTerms,
    CreateBreakagePool,
    GrantCredits,
    RefundGrant,
    RequestTopUp,
    ReviseBreakageEstimate,
    SaleTerms,
    SettleRefund,
    SettleTopUp,
    SettleWallet,
)
from ledger_service.domain.events import TopUpOutcome
from ledger_service.domain.finance.lots import PaidLot
from ledger_service.domain.refusals import Refusal
from ledger_service.domain.values import BreakageMethod, GrantCategory, Money
from tests.builders import NOW, WALLET, Book, debit
from tests.fakes.projection_log import MemoryJournal, stored
from tests.sales import opened

POOL = "breakagePools/packs"
UNITS = 50
EXPIRE_TIME = NOW + timedelta(days=20)


def random_terms(random: Random, currency: str, *, foreign: bool) -> SaleTerms:
    """Return terms of any kind that a sale of 50 units can have."""
    pooled = random.random() < 0.3 and not foreign
    estimated = random.choice(("", "fraction", "units")) if not pooled else ""
    bundled = random.random() < 0.4
    span = (NOW, NOW + timedelta(days=10)) if random.random() < 0.5 else (None, None)
    support = BundledItemTerms("support", Money(currency, random.randint(1, 500)), *span)
    return SaleTerms(
        entity="" if pooled else random.choice(("", "acme-de")),
        product=random.choice(("", "packs")),
        pool=POOL if pooled else "",
        expected_breakage="0.25" if estimated == "fraction" else "",
        expected_redeemed_units=40 if estimated == "units" else 0,
        bonus_units=random.choice((0, 5)),
        tax=Money(currency, random.randint(0, 4_000)) if random.random() < 0.7 else None,
        functional_currency="EUR" if foreign else "",
        exchange_rate="0.91" if foreign else "",
        standalone_price=Money(currency, random.randint(1, 900)) if bundled else None,
        bundle=(support,) if bundled else (),
    )


def sell(random: Random, terms: SaleTerms, price: Money, *, by_top_up: bool) -> tuple[Book, int]:
    """Return a book in which units were sold on terms, and the version of their grant."""
    ledger = opened()
    ledger.run(CreateBreakagePool(POOL, "EUR", BreakageMethod.PROPORTIONAL, expected_breakage="0.2"))
    if not by_top_up:
        command = GrantCredits(
            WALLET,
            UNITS,
            GrantCategory.PAID,
            expire_time=EXPIRE_TIME,
            consideration=price,
            finance=terms,
        )
        return ledger, ledger.run(command)[-1].version
    asked = terms
    paid = SettleTopUp(WALLET, 0, TopUpOutcome.SUCCEEDED)
    if random.random() < 0.5:
        asked = msgspec.structs.replace(asked, tax=None)
        paid = msgspec.structs.replace(paid, tax=terms.tax)
    if random.random() < 0.5:
        asked = msgspec.structs.replace(asked, exchange_rate="")
        paid = msgspec.structs.replace(paid, exchange_rate=terms.exchange_rate)
    request = RequestTopUp(WALLET, UNITS, price, expire_time=EXPIRE_TIME, finance=asked)
    version = ledger.run(request, NOW - timedelta(hours=1))[-1].version
    return ledger, ledger.run(msgspec.structs.replace(paid, top_up_version=version))[-1].version


def go_on(random: Random, ledger: Book, grant_version: int) -> None:
    """Let things happen to a grant, the same for the same random numbers; what is refused leaves nothing."""
    now = NOW
    for _ in range(12):
        now += timedelta(hours=random.randint(0, 60))
        kind, units = (
            random.choice(("use", "use", "reverse", "refund", "estimate", "pay")),
            random.randint(1, 12),
        )
        try:
            command = _command(ledger, kind, grant_version, units)
            if command is not None:
                ledger.run(command, now)
        except Refusal:
            continue
    ledger.run(SettleWallet(WALLET), EXPIRE_TIME + timedelta(days=1))


def _command(ledger: Book, kind: str, grant_version: int, units: int) -> AnyCommand | None:
    wallet = ledger.wallet()
    match kind:
        case "use":
            return debit(units)
        case "reverse":
            debits = [
                each.version for each in ledger.log if type(each.fact.event).__name__ == "CreditsDebited"
            ]
            return ledger.reversal(debits[-1], 1) if debits else None
        case "refund":
            return RefundGrant(WALLET, grant_version, units)
        case "estimate":
            return ReviseBreakageEstimate(WALLET, (grant_version,), "0.1")
        case _:
            owed = wallet.owed_refunds
            return SettleRefund(WALLET, next(iter(owed))) if owed else None


def folded(ledger: Book) -> tuple[MemoryJournal, list[PaidLot]]:
    """Return the journal of a book, and its lots in the order in which they began."""
    store = MemoryJournal()
    store.apply([stored(ledger)])
    return store, [store.lots[key] for key in sorted(store.lots)]


@given(st.integers(0, 10**6))
def test_a_top_up_on_terms_is_booked_as_a_grant_on_these_terms(seed: int) -> None:
    random = Random(seed)
    foreign = random.random() < 0.4
    currency = "USD" if foreign else "EUR"
    terms = random_terms(random, currency, foreign=foreign)
    price = Money(currency, random.randint(0, 20_000))
    journals = []
    for by_top_up in (False, True):
        ledger, version = sell(Random(seed), terms, price, by_top_up=by_top_up)
        go_on(Random(seed), ledger, version)
        journals.append(folded(ledger))

    (granted, granted_lots), (bought, bought_lots) = journals
    assert granted.sums == bought.sums
    assert granted_lots == bought_lots
    assert granted.pools == bought.pools
