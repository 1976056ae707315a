"""What overage and bills in a foreign currency post in the books of an entity, account by account, to the nano."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta

import msgspec
import pytest

from ledger_service.domain.commands import (
    Debit,
    LockAccountingPeriod,
    RecordCreditNote,
    RecordInvoice,
    SetExchangeRate,
    SetFunctionalCurrency,
)
from ledger_service.domain.events import BilledAmount
from ledger_service.domain.finance.accounts import Account
from ledger_service.domain.values import InvoiceKind, NoteSettlement, ShortfallMode
from tests.bills import record_credit_note, record_invoice
from tests.builders import (
    NOW,
    WALLET,
    Book,
    after,
    book,
    create_rate_card,
    open_wallet,
    publish_phase,
    publish_plan,
    sign_contract,
)
from tests.fakes.finance_log import priced
from tests.fakes.projection_log import MemoryJournal, stored

BOOKS = "entities/us"
DAY = timedelta(days=1)
RECEIVABLE, UNBILLED, OVERAGE = (
    Account.ACCOUNTS_RECEIVABLE,
    Account.UNBILLED_RECEIVABLE,
    Account.REVENUE_OVERAGE,
)
LIABILITY, PLAN, TAX = Account.CONTRACT_LIABILITY, Account.REVENUE_PLAN, Account.SALES_TAX_PAYABLE
EXCHANGE, OWED, CREDIT = (
    Account.EXCHANGE_DIFFERENCE,
    Account.REFUND_LIABILITY,
    Account.CUSTOMER_CREDIT,
)
OVERAGE_LINE = BilledAmount("OVERAGE", 200_000_000)


def signed(*rates: tuple[int, str]) -> Book:
    """Return a book with a contract of a wallet of an entity in USD, and rates of EUR by day."""
    opening = open_wallet(mode=ShortfallMode.SOFT, overage_limit_units=10**9)
    ledger = book(
        msgspec.structs.replace(opening, entity="us"),
        create_rate_card(),
        publish_phase(),
        publish_plan(),
        sign_contract(),
        SetFunctionalCurrency(BOOKS, "USD"),
    )
    for day, rate in rates:
        ledger.run(SetExchangeRate(BOOKS, "EUR", rate, NOW + day * DAY))
    return ledger


def use(ledger: Book, units: int = 10_000_000, now: datetime = NOW) -> int:
    """Use so many units at 0.02 EUR a million, and return the version of the debit."""
    ledger.run(Debit(WALLET, charge=priced(units), delivered=True), now)
    return ledger.wallet().version


def bill(
    ledger: Book,
    *amounts: BilledAmount,
    day: int = 0,
    tax_nanos: int = 0,
    kind: InvoiceKind = InvoiceKind.CYCLE,
) -> RecordInvoice:
    """Issue an invoice on a day."""
    issue_time = NOW + day * DAY
    command = record_invoice(
        invoice=f"invoices/acme-{len(ledger.log)}", kind=kind, tax_nanos=tax_nanos, issue_time=issue_time
    )
    total = sum(each.nanos for each in amounts) + tax_nanos
    start = after(seconds=len(ledger.log))
    issued = msgspec.structs.replace(
        command.issued, amounts=amounts, total_nanos=total, cycle_start_time=start
    )
    command = msgspec.structs.replace(command, issued=issued)
    ledger.run(command, issue_time)
    return command


def note(
    ledger: Book, billed: RecordInvoice, settlement: NoteSettlement, *amounts: BilledAmount, day: int
) -> None:
    """Issue a credit note on a day."""
    command = record_credit_note(1, invoice=billed.issued.invoice, issue_time=NOW + day * DAY)
    issued = msgspec.structs.replace(
        command.issued,
        amounts=amounts,
        settlement=settlement,
        total_nanos=sum(each.nanos for each in amounts),
    )
    ledger.run(RecordCreditNote(command.contract, issued), NOW + day * DAY)


def balances(ledger: Book) -> dict[tuple[str, Account], int]:
    """Return what each account of the entity was debited by currency, net of credits."""
    store = MemoryJournal()
    for event in stored(ledger):
        store.apply([[event]])
    found: dict[tuple[str, Account], int] = defaultdict(int)
    for key, nanos in store.sums.items():
        assert key.entity == "us"
        found[key.currency_code, key.flow.debit] += nanos
        found[key.currency_code, key.flow.credit] -= nanos
    return {place: nanos for place, nanos in found.items() if nanos}


def in_usd(ledger: Book) -> dict[Account, int]:
    """Return the same, which must be in USD alone."""
    found = balances(ledger)
    assert {currency for currency, _ in found} == {"USD"}
    return {account: nanos for (_, account), nanos in found.items()}


def test_overage_is_converted_at_the_rate_in_force_when_it_counts() -> None:
    ledger = signed((-1, "1.25"), (0, "1.5"))
    ledger.run(
        Debit(WALLET, charge=priced(10_000_000), delivered=True, effective_time=after(microseconds=-1))
    )
    use(ledger)

    assert in_usd(ledger) == {UNBILLED: 550_000_000, OVERAGE: -550_000_000}


def test_overage_without_a_rate_stays_in_its_own_currency_and_so_does_its_bill() -> None:
    ledger = signed()
    use(ledger)
    ledger.run(SetExchangeRate(BOOKS, "EUR", "1.25", NOW + DAY))
    bill(ledger, OVERAGE_LINE, BilledAmount("BASE_FEE", 100), day=2)

    assert balances(ledger) == {
        ("EUR", RECEIVABLE): 200_000_000,
        ("EUR", OVERAGE): -200_000_000,
        ("USD", RECEIVABLE): 125,
        ("USD", PLAN): -125,
    }


def test_a_rate_that_is_put_right_changes_nothing_that_was_recorded() -> None:
    ledger = signed((0, "1.25"))
    use(ledger)
    ledger.run(SetExchangeRate(BOOKS, "EUR", "9", NOW))
    use(ledger, 1_000_000)

    assert in_usd(ledger)[UNBILLED] == 250_000_000 + 180_000_000


@pytest.mark.parametrize(
    ("rate", "receivable", "difference"), [("1.25", 250, 0), ("1.5", 300, -50), ("1", 200, 50)]
)
def test_an_invoice_is_a_receivable_at_its_own_rate_and_clears_what_was_carried(
    rate: str, receivable: int, difference: int
) -> None:
    ledger = signed((0, "1.25"), (5, rate))
    use(ledger)
    bill(ledger, OVERAGE_LINE, day=5)
    expected = {RECEIVABLE: receivable, OVERAGE: -250, EXCHANGE: difference}

    assert in_usd(ledger) == {account: each * 10**6 for account, each in expected.items() if each}


def test_a_part_of_overage_is_cleared_at_its_part_of_what_was_carried() -> None:
    ledger = signed((0, "1"), (1, "2"), (5, "2"))
    use(ledger)
    use(ledger, 10_000_000, NOW + DAY)
    bill(ledger, OVERAGE_LINE, day=5)

    assert in_usd(ledger) == {
        RECEIVABLE: 400_000_000,
        UNBILLED: 300_000_000,
        OVERAGE: -600_000_000,
        EXCHANGE: -100_000_000,
    }


def test_what_a_bill_leaves_below_a_cent_is_rounding() -> None:
    ledger = signed((0, "1.25"))
    use(ledger, 10_400_000)
    bill(ledger, BilledAmount("OVERAGE", 200_000_000))

    assert in_usd(ledger) == {
        RECEIVABLE: 250_000_000,
        OVERAGE: -260_000_000,
        Account.ROUNDING: 10_000_000,
    }


def test_a_reversal_takes_its_part_of_what_is_carried() -> None:
    ledger = signed((0, "1.25"), (5, "3"))
    version = use(ledger)
    reversal = ledger.reversal(version, 4_000_000)
    recorded = msgspec.structs.replace(reversal.recorded, overage_price=priced(1).overage_price)
    ledger.run(msgspec.structs.replace(reversal, recorded=recorded), NOW + 5 * DAY)

    assert in_usd(ledger) == {UNBILLED: 150_000_000, OVERAGE: -150_000_000}


def test_what_was_billed_ahead_comes_off_at_the_rate_that_it_was_booked_at() -> None:
    ledger = signed((0, "1.25"), (5, "1.5"))
    use(ledger)
    bill(ledger, OVERAGE_LINE, kind=InvoiceKind.THRESHOLD)
    ahead = in_usd(ledger)[LIABILITY]
    bill(ledger, OVERAGE_LINE, BilledAmount("THRESHOLD_CREDIT", -200_000_000), day=5)

    # Both halves of the second bill are worth 50 more than they were carried at, and cancel.
    assert ahead == -250_000_000
    assert in_usd(ledger) == {RECEIVABLE: 250_000_000, OVERAGE: -250_000_000}


def test_a_commitment_is_drawn_down_at_the_rate_of_its_own_bill() -> None:
    ledger = signed((0, "1.25"), (5, "1.5"))
    bill(ledger, BilledAmount("COMMITMENT", 1_000_000_000, NOW, NOW + 30 * DAY))
    use(ledger)
    bill(ledger, OVERAGE_LINE, BilledAmount("COMMITMENT_DRAW_DOWN", -200_000_000), day=5)

    assert in_usd(ledger) == {
        RECEIVABLE: 1_250_000_000,
        OVERAGE: -250_000_000,
        Account.REVENUE_BREAKAGE: -1_000_000_000,
    }


def test_a_fee_and_its_tax_are_booked_at_the_rate_of_the_bill_to_the_nano() -> None:
    ledger = signed((0, "1.333333333333333333"))
    begin = NOW.replace(hour=0) - 10 * DAY
    fee = BilledAmount("BASE_FEE", 300, begin, begin + 30 * DAY)
    bill(ledger, fee, BilledAmount("SEATS", 1), BilledAmount("SEATS", 1), tax_nanos=1)

    # 303 nanos are worth 404, whatever each line by itself is rounded to.
    assert in_usd(ledger) == {RECEIVABLE: 404, PLAN: -403, TAX: -1}


@pytest.mark.parametrize(
    ("settlement", "owed", "difference"),
    [
        (NoteSettlement.REFUND, OWED, 75),
        (NoteSettlement.CREDIT, CREDIT, 75),
        (NoteSettlement.OFFSET, None, 0),
    ],
)
def test_a_credit_note_takes_back_what_its_invoice_booked_and_owes_it_at_its_own_rate(
    settlement: NoteSettlement, owed: Account | None, difference: int
) -> None:
    ledger = signed((0, "1.25"), (5, "1.5"))
    begin = NOW.replace(hour=0)
    fee = BilledAmount("BASE_FEE", 300, begin, begin + 30 * DAY)
    billed = bill(ledger, fee)
    note(ledger, billed, settlement, fee, day=5)
    expected = {RECEIVABLE: 375} | ({owed: -450, EXCHANGE: difference} if owed else {RECEIVABLE: 0})

    assert in_usd_or_nothing(ledger) == {account: nanos for account, nanos in expected.items() if nanos}


def in_usd_or_nothing(ledger: Book) -> dict[Account, int]:
    """Return balances in USD; there may be none."""
    return {account: nanos for (_, account), nanos in balances(ledger).items()}


def test_credit_that_is_owed_is_set_off_at_what_it_was_carried_at() -> None:
    ledger = signed((0, "1.25"), (5, "1.5"), (9, "2"))
    billed = bill(ledger, BilledAmount("SEATS", 300))
    note(ledger, billed, NoteSettlement.CREDIT, BilledAmount("SEATS", 200), day=5)
    bill(ledger, BilledAmount("SEATS", 500), BilledAmount("CREDIT_APPLIED", -200), day=9)

    # 375 of the first bill, and 600 of the last.
    assert in_usd(ledger) == {RECEIVABLE: 975, PLAN: -1_125, EXCHANGE: 150}


def test_a_bill_is_late_by_the_periods_of_its_own_entity() -> None:
    ledger = signed((0, "1.25"))
    for entity, day in (("de", 9), ("us", 1)):
        period = f"accountingPeriods/{entity}"
        ledger.run(LockAccountingPeriod(period, NOW.date(), NOW.date() + day * DAY), NOW + 9 * DAY)
    ledger.run(Debit(WALLET, charge=priced(10_000_000), delivered=True, effective_time=NOW), NOW + 9 * DAY)
    store = MemoryJournal()
    store.apply([stored(ledger)])

    assert {key.posting_day for key in store.sums} == {NOW.date() + DAY}
