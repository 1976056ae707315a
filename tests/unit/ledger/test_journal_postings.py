"""What sales, refunds, overage and bills post, account by account, to the nano."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime, timedelta

import msgspec
import pytest

from ledger_service.domain.commands import (
    BundledItemTerms,
    ChargeBackGrant,
    CreateBreakagePool,
    Debit,
    DestinationRecord,
    GrantCredits,
    LockAccountingPeriod,
    OpenWallet,
    RecordCreditNote,
    RecordInvoice,
    RefundGrant,
    RevisePoolEstimate,
    SaleTerms,
    SettleRefund,
    SettleWallet,
    TransferCredits,
)
from ledger_service.domain.events import BilledAmount, CreditsGranted, LotTerms
from ledger_service.domain.finance.accounts import Account
from ledger_service.domain.values import (
    BreakageMethod,
    GrantCategory,
    InvoiceKind,
    Money,
    NoteSettlement,
    ShortfallMode,
)
from ledger_service.domain.wallet.lots import from_grant, terms_of
from tests.bills import record_credit_note, record_invoice
from tests.builders import (
    CREDIT,
    NOW,
    WALLET,
    Book,
    after,
    agreed,
    charge,
    sign_contract,
)
from tests.fakes.finance_log import PERIODS, POOL, priced
from tests.fakes.projection_log import MemoryJournal, stored
from tests.sales import opened, sale
from tests.transfers import arrive, send

CASH, LIABILITY, OWED = Account.CASH, Account.CONTRACT_LIABILITY, Account.REFUND_LIABILITY
USAGE, BREAKAGE, OVERAGE = Account.REVENUE_USAGE, Account.REVENUE_BREAKAGE, Account.REVENUE_OVERAGE
RECEIVABLE, UNBILLED = Account.ACCOUNTS_RECEIVABLE, Account.UNBILLED_RECEIVABLE
PLAN, TAX, CREDITED = Account.REVENUE_PLAN, Account.SALES_TAX_PAYABLE, Account.CUSTOMER_CREDIT
DAY = timedelta(days=1)


def folded(ledger: Book) -> MemoryJournal:
    """Return the journal of a book, each event a run of its own."""
    store = MemoryJournal()
    for event in stored(ledger):
        store.apply([[event]])
    return store


def balances(ledger: Book, *, until: date = date.max) -> dict[Account, int]:
    """Return what each account was debited up to a day, net of credits."""
    found: dict[Account, int] = defaultdict(int)
    for key, nanos in folded(ledger).sums.items():
        if key.posting_day < until:
            found[key.flow.debit] += nanos
            found[key.flow.credit] -= nanos
    return {account: nanos for account, nanos in found.items() if nanos}


# Sales


def test_tax_never_enters_the_liability() -> None:
    ledger = opened()
    ledger.run(sale(299, terms=SaleTerms(tax=Money("EUR", 24))))

    assert balances(ledger) == {CASH: 323, LIABILITY: -299, TAX: -24}


def test_one_price_is_divided_by_standalone_prices_and_each_part_is_earned_its_own_way() -> None:
    ledger = opened()
    items = (
        BundledItemTerms("setup", Money("EUR", 300)),
        BundledItemTerms("support", Money("EUR", 100), NOW, NOW + 10 * DAY),
    )
    ledger.run(sale(250, terms=SaleTerms(standalone_price=Money("EUR", 100), bundle=items)))
    ledger.run(Debit(WALLET, 50))

    assert balances(ledger, until=NOW.date() + DAY) == {
        CASH: 250,
        # 50 for the credit, half of it used; 50 for the support, of which half a day has passed.
        LIABILITY: -(25 + 47),
        USAGE: -25,
        Account.REVENUE_PRODUCT: -150,
        PLAN: -3,
    }
    assert balances(ledger)[PLAN] == -50


def test_a_bonus_shares_the_consideration_of_its_purchase_and_its_clawback_is_no_breakage() -> None:
    ledger = opened()
    ledger.run(sale(1_200, 1_000))
    ledger.run(GrantCredits(WALLET, 200, GrantCategory.PROMOTIONAL, purchase_version=2))
    ledger.run(Debit(WALLET, 200))

    assert balances(ledger) == {CASH: 1_200, LIABILITY: -1_000, USAGE: -200}
    ledger.run(RefundGrant(WALLET, 2, 500, paid=True))
    assert balances(ledger) == {CASH: 600, LIABILITY: -400, USAGE: -200}


def test_a_bonus_that_moves_to_another_wallet_leaves_what_it_shared_with_its_purchase() -> None:
    ledger = opened()
    ledger.run(sale(1_200, 1_000))
    ledger.run(GrantCredits(WALLET, 200, GrantCategory.PROMOTIONAL, purchase_version=2))
    ledger.run(TransferCredits(WALLET, "wallets/beta", 200, DestinationRecord("customers/acme", CREDIT)))
    ledger.run(Debit(WALLET, 1_000))

    assert balances(ledger) == {CASH: 1_200, USAGE: -1_000, BREAKAGE: -200}


def test_a_sale_in_a_foreign_currency_stays_at_its_rate_and_its_refund_costs_what_it_costs() -> None:
    ledger = opened()
    terms = SaleTerms(functional_currency="USD", exchange_rate="1.1")
    ledger.run(sale(1_000, terms=terms))
    ledger.run(Debit(WALLET, 40))
    ledger.run(RefundGrant(WALLET, 2, 50, exchange_rate="1.2"))

    assert {key.currency_code for key in folded(ledger).sums} == {"USD"}
    assert balances(ledger) == {
        CASH: 1_100,
        USAGE: -440,
        LIABILITY: -110,
        OWED: -600,
        Account.EXCHANGE_DIFFERENCE: 50,
    }
    ledger.run(SettleRefund(WALLET, 4))
    assert balances(ledger)[CASH] == 500
    assert OWED not in balances(ledger)


# Refunds and chargebacks


def test_a_refund_is_owed_until_it_is_settled() -> None:
    ledger = opened()
    ledger.run(sale(100))
    ledger.run(RefundGrant(WALLET, 2, 60))

    assert balances(ledger) == {CASH: 100, LIABILITY: -40, OWED: -60}
    ledger.run(SettleRefund(WALLET, 3))
    assert balances(ledger) == {CASH: 40, LIABILITY: -40}


def test_what_a_chargeback_takes_of_used_credit_is_a_receivable() -> None:
    ledger = opened()
    ledger.run(sale(100))
    ledger.run(Debit(WALLET, 30))
    terms = LotTerms(GrantCategory.PAID, 0, 100, NOW, consideration=Money("EUR", 100))
    ledger.run(ChargeBackGrant(WALLET, 2, terms))

    assert balances(ledger) == {USAGE: -30, RECEIVABLE: 30}


def taxed(nanos: int, tax_nanos: int, units: int = 100, *, rate: str = "") -> GrantCredits:
    """Return a sale with tax, in EUR, whose books are in USD if there is a rate."""
    books = "USD" if rate else ""
    tax = Money("EUR", tax_nanos)
    return sale(nanos, units, terms=SaleTerms(tax=tax, functional_currency=books, exchange_rate=rate))


def chargeback(ledger: Book, nanos: int | None = None) -> ChargeBackGrant:
    """Return the chargeback of the first grant."""
    granted = ledger.log[1].fact.event
    assert isinstance(granted, CreditsGranted)
    recorded = terms_of(from_grant(2, granted, NOW))
    return ChargeBackGrant(WALLET, 2, recorded, None if nanos is None else Money("EUR", nanos))


def test_tax_goes_back_beside_a_refund_and_is_paid_with_it() -> None:
    ledger = opened()
    ledger.run(taxed(100, 19))
    ledger.run(RefundGrant(WALLET, 2, 50))

    assert balances(ledger) == {CASH: 119, LIABILITY: -50, TAX: -10, OWED: -59}
    ledger.run(SettleRefund(WALLET, 3))
    assert balances(ledger) == {CASH: 60, LIABILITY: -50, TAX: -10}
    ledger.run(RefundGrant(WALLET, 2, paid=True))
    assert balances(ledger) == {}


def test_tax_of_a_foreign_sale_goes_back_at_its_own_rate_and_costs_what_it_costs() -> None:
    ledger = opened()
    ledger.run(taxed(1_000, 200, rate="1.1"))
    ledger.run(RefundGrant(WALLET, 2, 50, exchange_rate="1.2"))

    assert balances(ledger) == {
        CASH: 1_320,
        LIABILITY: -550,
        TAX: -110,
        OWED: -720,
        Account.EXCHANGE_DIFFERENCE: 60,
    }
    ledger.run(SettleRefund(WALLET, 3))
    assert (balances(ledger)[CASH], balances(ledger).get(OWED)) == (600, None)


def test_what_rounding_leaves_of_tax_that_moves_to_another_wallet_is_rounding() -> None:
    ledger = opened()
    ledger.run(taxed(1_000, 5, 5, rate="0.5"))
    ledger.run(OpenWallet("wallets/beta", "customers/acme", CREDIT, ShortfallMode.SOFT))
    ledger.run(RefundGrant(WALLET, 2, 1, paid=True))
    arrive(ledger, send(ledger, 1))
    ledger.run(RefundGrant("wallets/beta", 2, paid=True))
    ledger.run(RefundGrant(WALLET, 2, paid=True))

    assert TAX not in balances(ledger)
    # 5 x 0.5 is 3 in all; 1, 1 and (3 - 1) in parts.
    assert balances(ledger)[Account.ROUNDING] == 1


def test_the_tax_of_used_credit_that_a_bank_took_back_is_owed_and_stays_payable() -> None:
    ledger = opened()
    ledger.run(taxed(100, 20))
    used = ledger.run(Debit(WALLET, 30))[-1].version
    ledger.run(chargeback(ledger))

    assert balances(ledger) == {USAGE: -30, TAX: -6, RECEIVABLE: 36}
    ledger.run(ledger.reversal(used, 10))
    assert balances(ledger) == {USAGE: -20, TAX: -4, RECEIVABLE: 24}
    ledger.run(ledger.reversal(used))
    assert balances(ledger) == {}


def test_of_part_of_a_payment_a_bank_takes_back_its_part_of_the_tax() -> None:
    ledger = opened()
    ledger.run(taxed(100, 20))
    ledger.run(chargeback(ledger, 60))

    assert balances(ledger) == {CASH: 60, LIABILITY: -50, TAX: -10}


# Pools


def test_a_pool_earns_its_breakage_in_proportion_to_the_use_of_all_its_lots() -> None:
    ledger = opened()
    ledger.run(CreateBreakagePool(POOL, "EUR", BreakageMethod.PROPORTIONAL, expected_breakage="0.2"))
    ledger.run(sale(1_000, terms=SaleTerms(pool=POOL)))
    ledger.run(sale(1_000, terms=SaleTerms(pool=POOL)))
    ledger.run(Debit(WALLET, 40))

    # P x min(R / E, 1) with P = 2,000, R = 40 and E = 160.
    assert balances(ledger) == {CASH: 2_000, LIABILITY: -1_500, USAGE: -400, BREAKAGE: -100}
    ledger.run(RevisePoolEstimate(POOL, expected_redeemed_units=100), NOW + DAY)
    assert balances(ledger)[BREAKAGE] == -400
    ledger.run(Debit(WALLET, 160), NOW + 2 * DAY)
    assert balances(ledger) == {CASH: 2_000, USAGE: -2_000}


def test_of_what_expires_in_a_pool_its_escheat_fraction_is_never_revenue() -> None:
    ledger = opened()
    ledger.run(CreateBreakagePool(POOL, "EUR", BreakageMethod.REMOTE, escheat_fraction="0.6"))
    ledger.run(sale(100, terms=SaleTerms(pool=POOL), expire_time=NOW + DAY))
    ledger.run(Debit(WALLET, 75))
    ledger.run(SettleWallet(WALLET), NOW + 2 * DAY)

    assert balances(ledger) == {
        CASH: 100,
        USAGE: -75,
        BREAKAGE: -10,
        Account.UNCLAIMED_PROPERTY_PAYABLE: -15,
    }


# Overage and bills


def billed(*amounts: BilledAmount, issue_time: datetime = NOW, tax_nanos: int = 0) -> RecordInvoice:
    """Return an invoice over amounts."""
    command = record_invoice(issue_time=issue_time, tax_nanos=tax_nanos)
    total = sum(amount.nanos for amount in amounts) + tax_nanos
    issued = msgspec.structs.replace(command.issued, amounts=amounts, total_nanos=total)
    return msgspec.structs.replace(command, issued=issued)


def noted(amount: BilledAmount, settlement: NoteSettlement) -> RecordCreditNote:
    """Return a credit note over an amount."""
    command = record_credit_note(amount.nanos)
    issued = msgspec.structs.replace(command.issued, amounts=(amount,), settlement=settlement)
    return msgspec.structs.replace(command, issued=issued)


def signed() -> Book:
    """Return a book with a contract that runs since ten days ago."""
    ledger = agreed(mode=ShortfallMode.SOFT)
    ledger.run(sign_contract(start_time=after(days=-40)))
    return ledger


def test_overage_is_unbilled_until_its_invoice_and_what_rounding_leaves_has_an_account() -> None:
    ledger = signed()
    ledger.run(Debit(WALLET, charge=priced(3_333_333, "0.03"), delivered=True))
    earned = 99_999_990

    assert balances(ledger) == {UNBILLED: earned, OVERAGE: -earned}
    ledger.run(billed(BilledAmount("OVERAGE", 100_000_000)))
    assert balances(ledger) == {RECEIVABLE: 100_000_000, OVERAGE: -earned, Account.ROUNDING: -10}


def test_a_reversal_takes_overage_back_at_the_debits_own_price() -> None:
    ledger = signed()
    ledger.run(Debit(WALLET, charge=priced(3_000_000, "0.03"), delivered=True))
    version = ledger.log[-1].version
    reversal = ledger.reversal(version, 1_000_000)
    recorded = msgspec.structs.replace(reversal.recorded, overage_price=priced(1, "0.03").overage_price)
    ledger.run(msgspec.structs.replace(reversal, recorded=recorded))

    assert balances(ledger) == {UNBILLED: 60_000_000, OVERAGE: -60_000_000}


@pytest.mark.parametrize(
    ("until", "recognised", "deferred", "unbilled"),
    [(0, 100, 0, 100), (1, 110, 190, 0), (10, 200, 100, 0), (40, 300, 0, 0)],
)
def test_a_fee_is_earned_by_time_before_and_after_its_invoice(
    until: int, recognised: int, deferred: int, unbilled: int
) -> None:
    start = NOW.replace(hour=0)
    ledger = signed()
    ledger.run(billed(BilledAmount("BASE_FEE", 300, start - 10 * DAY, start + 20 * DAY)))
    found = balances(ledger, until=start.date() + until * DAY)

    assert (-found[PLAN], -found.get(LIABILITY, 0), found.get(UNBILLED, 0)) == (
        recognised,
        deferred,
        unbilled,
    )
    assert sum(found.values()) == 0


def test_a_prepaid_commitment_is_drawn_down_by_overage_and_its_rest_is_breakage_at_its_end() -> None:
    ledger = signed()
    ledger.run(billed(BilledAmount("COMMITMENT", 1_000, NOW, NOW + 30 * DAY)))
    ledger.run(Debit(WALLET, charge=priced(30_000, "0.00002"), delivered=True))
    bill = billed(BilledAmount("OVERAGE", 600), BilledAmount("COMMITMENT_DRAW_DOWN", -600))
    issued = msgspec.structs.replace(bill.issued, invoice="invoices/acme-2", cycle_start_time=after(days=1))
    ledger.run(msgspec.structs.replace(bill, issued=issued))

    assert balances(ledger, until=NOW.date() + DAY) == {RECEIVABLE: 1_000, LIABILITY: -400, OVERAGE: -600}
    ended = balances(ledger)
    assert (ended.get(LIABILITY, 0), ended[BREAKAGE], ended[OVERAGE]) == (0, -400, -600)


@pytest.mark.parametrize(
    ("settlement", "owed"),
    [
        (NoteSettlement.REFUND, OWED),
        (NoteSettlement.CREDIT, CREDITED),
        (NoteSettlement.OFFSET, RECEIVABLE),
    ],
)
def test_a_credit_note_takes_back_what_was_earned_and_what_would_be(
    settlement: NoteSettlement, owed: Account
) -> None:
    start = NOW.replace(hour=0)
    fee = BilledAmount("BASE_FEE", 300, start - 10 * DAY, start + 20 * DAY)
    ledger = signed()
    ledger.run(billed(fee, tax_nanos=57))
    ledger.run(noted(fee, settlement))

    expected: dict[Account, int] = defaultdict(int, {RECEIVABLE: 357, TAX: -57})
    expected[owed] -= 300
    assert balances(ledger) == {account: nanos for account, nanos in expected.items() if nanos}


def test_a_threshold_invoice_bills_ahead_of_the_cycles_own() -> None:
    ledger = signed()
    ledger.run(Debit(WALLET, charge=priced(5_000_000), delivered=True))
    first = billed(BilledAmount("OVERAGE", 60_000_000))
    early = msgspec.structs.replace(first.issued, invoice="invoices/t-1", kind=InvoiceKind.THRESHOLD)
    ledger.run(msgspec.structs.replace(first, issued=early))

    assert balances(ledger) == {
        RECEIVABLE: 60_000_000,
        LIABILITY: -60_000_000,
        UNBILLED: 100_000_000,
        OVERAGE: -100_000_000,
    }
    ledger.run(billed(BilledAmount("OVERAGE", 100_000_000), BilledAmount("THRESHOLD_CREDIT", -60_000_000)))
    assert balances(ledger) == {RECEIVABLE: 100_000_000, OVERAGE: -100_000_000}


def test_a_customers_credit_is_used_up_by_an_invoice() -> None:
    ledger = signed()
    ledger.run(billed(BilledAmount("BASE_FEE", 300), BilledAmount("CREDIT_APPLIED", -100)))

    assert balances(ledger) == {RECEIVABLE: 200, CREDITED: 100, PLAN: -300}


# Periods


def test_late_usage_of_a_closed_period_is_posted_on_the_first_open_day() -> None:
    ledger = opened()
    ledger.run(sale(100, effective_time=NOW))
    later = NOW + 3 * DAY
    ledger.run(LockAccountingPeriod(PERIODS, NOW.date(), NOW.date() + DAY), later)
    ledger.run(Debit(WALLET, 30, NOW), later)
    days = {
        (key.effective_day, key.posting_day): nanos
        for key, nanos in folded(ledger).sums.items()
        if key.flow.credit is USAGE
    }

    assert days == {(NOW.date(), NOW.date() + DAY): 30}
    assert balances(ledger, until=NOW.date() + DAY) == {CASH: 100, LIABILITY: -100}


def test_the_journal_of_another_wallet_is_not_touched() -> None:
    ledger = opened()
    ledger.run(OpenWallet("wallets/other", "customers/acme", CREDIT, ShortfallMode.SOFT))
    ledger.run(Debit("wallets/other", charge=charge("5"), delivered=True))

    assert folded(ledger).sums == {}
