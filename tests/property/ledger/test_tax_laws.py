"""Laws of sales tax: whatever is used, reversed, moved, refunded and taken back, no tax goes back twice.

In the currency that was paid: what was given back, taken back by a bank and is in no lot's reach any more never exceeds
what was received, neither of the price nor of its tax; all units paid back give back all of it. In the books: what is
payable to the state is what was received less what went back, in each currency to the nano.
"""

from __future__ import annotations

from collections import defaultdict
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from ledger_service.domain.commands import (
    BundledItemTerms,
    GrantCredits,
    RefundGrant,
    SaleTerms,
    SettleRefund,
)
from ledger_service.domain.events import (
    CreditsDebited,
    CreditsGranted,
    GrantChargedBack,
    GrantRefunded,
    ReceivableLowered,
)
from ledger_service.domain.finance.accounts import Account
from ledger_service.domain.invariants import tax_is_sound
from ledger_service.domain.refusals import Refusal
from ledger_service.domain.values import GrantCategory, Money, ShortfallMode
from tests.builders import WALLET, Book, debit, hold, open_wallet, release
from tests.fakes.projection_log import MemoryJournal, stored
from tests.transfers import BETA, arrive, chargeback, come_back, send

WALLETS = (WALLET, BETA)
KINDS = (
    "sell",
    "use",
    "use",
    "reverse",
    "hold",
    "release",
    "move",
    "return",
    "bank",
    *("refund",) * 3,
    "pay",
)
SEEDS = st.integers(0, 10**6)
RATES = ("", "", "0.91", "0.0061")


def sell(random: Random, *, rate: str = "", bundled: bool = False) -> GrantCredits:
    """Return a taxed sale in EUR, or in USD into books in EUR."""
    currency = "USD" if rate else "EUR"
    support = BundledItemTerms("support", Money(currency, random.randint(1, 500)))
    terms = SaleTerms(
        tax=Money(currency, random.randint(0, 5_000)),
        functional_currency="EUR" if rate else "",
        exchange_rate=rate,
        standalone_price=Money(currency, random.randint(1, 900)) if bundled else None,
        bundle=(support,) if bundled else (),
    )
    consideration = Money(currency, random.randint(1, 20_000))
    units = random.randint(1, 60)
    return GrantCredits(WALLET, units, GrantCategory.PAID, consideration=consideration, finance=terms)


def opened() -> Book:
    """Return a book of two wallets of one customer that are never short."""
    ledger = Book()
    for wallet in WALLETS:
        ledger.run(open_wallet(wallet=wallet, mode=ShortfallMode.SOFT, overage_limit_units=10**6))
    return ledger


def play(seed: int, *, foreign: bool = True) -> Book:
    """Return a book after random steps; what is refused leaves nothing."""
    random, ledger = Random(seed), opened()
    ledger.run(sell(random))
    for _ in range(40):
        try:
            _step(random, ledger, random.choice(KINDS), random.choice(WALLETS), RATES if foreign else ("",))
        except Refusal:
            continue
    return ledger


def _step(random: Random, ledger: Book, kind: str, wallet: str, rates: tuple[str, ...]) -> None:  # noqa: C901
    state, units = ledger.wallet(wallet), random.randint(1, 30)
    lot = random.choice(state.lots) if state.lots else None
    match kind:
        case "sell":
            ledger.run(sell(random, rate=random.choice(rates), bundled=random.random() < 0.3))
        case "use":
            ledger.run(debit(units, wallet=wallet))
        case "reverse":
            debits = [each for each in ledger.log if isinstance(each.fact.event, CreditsDebited)]
            chosen = random.choice(debits) if debits else None
            if chosen is not None and chosen.stream == WALLET:
                ledger.run(ledger.reversal(chosen.version, random.randint(1, units)))
        case "hold" if wallet == WALLET:
            ledger.place(hold(units))
        case "release" if state.holds and wallet == WALLET:
            ledger.run(release(random.choice(state.holds).hold_version))
        case "move" | "return":
            other = BETA if wallet == WALLET else WALLET
            sent = send(ledger, units, wallet=wallet, destination=other)
            ends = arrive if kind == "move" else come_back
            ends(ledger, sent, wallet=wallet)
        case "bank" if lot is not None and random.random() < 0.5:
            nanos = random.choice((None, random.randint(1, 5_000)))
            currency = lot.consideration.currency_code if lot.consideration is not None else "EUR"
            ledger.run(chargeback(ledger, lot.grant_version, nanos, wallet=wallet, currency=currency))
        case "refund" if lot is not None:
            part = random.choice((0, random.randint(1, max(lot.remaining_units, 1))))
            stated = Money("EUR", random.randint(0, 500)) if random.random() < 0.1 else None
            now_worth = random.choice(("", "1.3"))
            paid = random.random() < 0.4
            ledger.run(RefundGrant(wallet, lot.grant_version, part, paid, now_worth, stated))
        case "pay" if state.owed_refunds:
            ledger.run(SettleRefund(wallet, next(iter(state.owed_refunds))))
        case _:
            pass


def paid_and_back(ledger: Book) -> dict[str, list[int]]:
    """Return by currency: price and tax received for credit and all else, price given back, tax given back."""
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for each in ledger.log:
        match each.fact.event:
            case CreditsGranted(consideration=Money() as price, finance=terms):
                found = sums[price.currency_code]
                found[0] += price.nanos
                found[1] += terms.tax.nanos if terms is not None and terms.tax is not None else 0
            case GrantRefunded(refund=refund, tax=tax):
                sums[refund.currency_code][2] += refund.nanos
                sums[refund.currency_code][3] += tax.nanos if tax is not None else 0
            case GrantChargedBack(amount=amount, tax=tax):
                sums[amount.currency_code][2] += amount.nanos
                sums[amount.currency_code][3] += tax.nanos if tax is not None else 0
            case _:
                pass
    return sums


def balances(store: MemoryJournal) -> dict[Account, int]:
    """Return what each account was debited in all, net of credits."""
    found: dict[Account, int] = defaultdict(int)
    for key, nanos in store.sums.items():
        found[key.flow.debit] += nanos
        found[key.flow.credit] -= nanos
    return found


def folded(ledger: Book, *, pieces: int = 1) -> MemoryJournal:
    """Return the journal of a book, folded in so many pieces."""
    log, store = stored(ledger), MemoryJournal()
    step = max(len(log) // pieces, 1)
    for begin in range(0, len(log), step):
        store.apply([log[begin : begin + step]])
    return store


def owed_tax(ledger: Book) -> int:
    """Return the tax that customers owe after chargebacks."""
    taken = 0
    for each in ledger.log:
        match each.fact.event:
            case GrantChargedBack(tax_receivable=Money(nanos=nanos)):
                taken += nanos
            case ReceivableLowered(tax=Money(nanos=nanos)):
                taken -= nanos
            case _:
                pass
    return taken


@given(SEEDS)
def test_neither_price_nor_tax_goes_back_beyond_what_was_paid(seed: int) -> None:
    ledger = play(seed)

    for price, tax, price_back, tax_back in paid_and_back(ledger).values():
        assert price_back <= price
        assert tax_back <= tax
    for wallet in WALLETS:
        assert tax_is_sound(ledger.wallet(wallet))


@given(SEEDS)
def test_what_is_payable_is_what_was_received_less_what_went_back(seed: int) -> None:
    ledger = play(seed, foreign=False)
    _, tax, _, tax_back = paid_and_back(ledger)["EUR"]
    assert -balances(folded(ledger))[Account.SALES_TAX_PAYABLE] == tax - tax_back + owed_tax(ledger)


@given(SEEDS, st.integers(2, 9))
def test_however_it_is_cut_the_same_is_posted_and_it_balances(seed: int, pieces: int) -> None:
    ledger = play(seed)
    whole, cut = folded(ledger), folded(ledger, pieces=pieces)

    assert (whole.sums, whole.lots) == (cut.sums, cut.lots)
    assert sum(balances(whole).values()) == 0


@given(SEEDS, st.sampled_from(RATES), st.booleans())
def test_a_full_refund_in_any_parts_leaves_nothing_payable(seed: int, rate: str, settles: bool) -> None:
    random, ledger = Random(seed), opened()
    ledger.run(sell(random, rate=rate))
    used = ledger.run(debit(random.randint(1, 20)))[-1].version
    _refund_some(random, ledger, settles=settles)
    ledger.run(ledger.reversal(used, 0))
    if ledger.wallet().lots:
        left = sum(lot.remaining_units for lot in ledger.wallet().lots)
        sent = send(ledger, random.randint(1, left))
        random.choice((arrive, arrive, come_back))(ledger, sent)
    while any(ledger.wallet(wallet).lots for wallet in WALLETS):
        _refund_some(random, ledger, settles=settles)
    for wallet in WALLETS:
        for version in ledger.wallet(wallet).owed_refunds:
            ledger.run(SettleRefund(wallet, version))

    accounts = balances(folded(ledger))
    ((_, tax, _, tax_back),) = paid_and_back(ledger).values()
    assert tax_back == tax
    assert accounts[Account.SALES_TAX_PAYABLE] == 0
    assert accounts[Account.REFUND_LIABILITY] == 0


def _refund_some(random: Random, ledger: Book, *, settles: bool) -> None:
    for wallet in WALLETS:
        for lot in ledger.wallet(wallet).lots:
            units = random.randint(1, lot.remaining_units)
            ledger.run(RefundGrant(wallet, lot.grant_version, units, paid=not settles))


@given(SEEDS)
def test_any_parts_of_a_refund_give_back_what_one_of_all_of_them_does(seed: int) -> None:
    random = Random(seed)
    sold = sell(random, bundled=random.random() < 0.3)
    whole, parts = opened(), opened()
    for ledger in (whole, parts):
        ledger.run(sold)
    count = random.randint(1, sold.amount_units)
    whole.run(RefundGrant(WALLET, 2, count))
    left = count
    while left:
        part = random.randint(1, left)
        parts.run(RefundGrant(WALLET, 2, part))
        left -= part

    assert paid_and_back(whole) == paid_and_back(parts)
    assert _payable(whole) == _payable(parts)


def _payable(ledger: Book) -> tuple[int, int]:
    accounts = balances(folded(ledger))
    return accounts[Account.SALES_TAX_PAYABLE], accounts[Account.REFUND_LIABILITY]


def test_the_laws_above_play_all_that_moves_tax() -> None:
    kinds = {type(each.fact.event).__name__ for seed in range(40) for each in play(seed).log}

    assert kinds >= {
        "CreditsGranted",
        "GrantRefunded",
        "GrantChargedBack",
        "ReceivableLowered",
        "RefundSettled",
        "CreditsTransferredIn",
        "TransferReturned",
        "DebitReversed",
    }
