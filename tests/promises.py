"""Builders of contracts that promise something, and of what is recorded of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random

import msgspec

from ledger_service.application.ports import StoredEvent
from ledger_service.application.reading.agreed_contracts import AgreedContract, AgreedFact
from ledger_service.domain.agreement.contract import Contract
from ledger_service.domain.commands import (
    AnyCommand,
    Debit,
    GrantCredits,
    OpenWallet,
    RecordCreditNote,
    RecordInvoice,
)
from ledger_service.domain.events import (
    BilledAmount,
    Commitment,
    ContractPhase,
    ContractSigned,
    InvoiceIssued,
    PlanPhase,
)
from ledger_service.domain.finance.booked import BookedEntry
from ledger_service.domain.refusals import Refusal
from ledger_service.domain.values import GrantCategory, InvoiceKind, Money, ShortfallMode, UnitPrice
from ledger_service.projections.bookkeeping.booked_entries import Surroundings, WalletFold
from ledger_service.projections.events.book_events import read_page_events
from tests.bills import record_credit_note, record_invoice
from tests.builders import (
    CONTRACT,
    CREDIT,
    CUSTOMER,
    NOW,
    RATE_CARD,
    WALLET,
    Book,
    after,
    change_plan,
    create_rate_card,
    cycle,
    end_contract,
    publish_phase,
    publish_plan,
    schedule_phase,
    sign_contract,
)
from tests.fakes.finance_log import priced
from tests.fakes.projection_log import stored

DAY = timedelta(days=1)
EUR = 10**9
PRICE = UnitPrice("EUR", "1000000")
"""A euro a unit: the asset has six decimals."""


def eur(amount: int) -> Money:
    """Return euros."""
    return Money("EUR", amount * EUR)


def terms(
    key: str = "standard",
    *,
    duration: str = "",
    fee: int = 0,
    seat_fee: int = 0,
    seats: int = 0,
    minimum: int = 0,
    commitment: int = 0,
    period: str = "P1Y",
    prepaid: bool = False,
) -> PlanPhase:
    """Return a phase with fees, minimum and commitment in euros, 0 for none."""
    return PlanPhase(
        key,
        RATE_CARD,
        ShortfallMode.SOFT,
        duration,
        base_fee=eur(fee) if fee else None,
        seat_fee=eur(seat_fee) if seat_fee else None,
        seats=seats,
        minimum_spend=eur(minimum) if minimum else None,
        commitment=Commitment(eur(commitment), period, prepaid=prepaid) if commitment else None,
        overage_price=PRICE,
    )


def contract_of(*phases: tuple[PlanPhase, datetime, datetime | None]) -> Contract:
    """Return a contract with phases [from, to), monthly from the first one's beginning."""
    spans = tuple(ContractPhase(begin, each, end) for each, begin, end in phases)
    start = spans[0].from_time
    signed = ContractSigned(CUSTOMER, WALLET, "plans/pro", 1, CREDIT, start, cycle(anchor_time=start), spans)
    return Contract(signed, signed.plan, 1, spans)


def signed_book(*phases: PlanPhase, start_time: datetime = NOW, now: datetime = NOW) -> Book:
    """Return a book in which a wallet is bound by a plan of these phases."""
    book = Book()
    book.run(OpenWallet(WALLET, CUSTOMER, CREDIT, ShortfallMode.SOFT, 10**9), now)
    book.run(create_rate_card(), now)
    book.run(publish_phase(from_time=now), now)
    book.run(publish_plan(*phases), now)
    book.run(sign_contract(start_time=start_time), now)
    return book


def use(book: Book, units: int, now: datetime) -> None:
    """Use units, of which what no lot covers costs a euro each."""
    charge = msgspec.structs.replace(priced(units), overage_price=PRICE)
    book.run(Debit(WALLET, charge=charge, delivered=True, feature="chat"), now)


def bill(book: Book, *amounts: BilledAmount, now: datetime, number: int = 1) -> None:
    """Issue an invoice over amounts."""
    usual = record_invoice(issue_time=now, start_time=now)
    issued = msgspec.structs.replace(
        usual.issued,
        invoice=f"invoices/bill-{number}",
        kind=InvoiceKind.CYCLE,
        cycle_end_time=now + DAY,
        amounts=amounts,
        total_nanos=sum(amount.nanos for amount in amounts),
    )
    book.run(RecordInvoice(CONTRACT, issued), now)


def credit(
    book: Book, nanos: int, span: tuple[datetime, datetime], *, now: datetime, kind: str = "BASE_FEE"
) -> None:
    """Give something back of the first invoice, for a span of its service."""
    usual = record_credit_note(nanos, invoice="invoices/bill-1", issue_time=now)
    amounts = (BilledAmount(kind, nanos, *span),)
    book.run(RecordCreditNote(CONTRACT, msgspec.structs.replace(usual.issued, amounts=amounts)), now)


def agreed_in(book: Book) -> list[AgreedContract]:
    """Return what was recorded of the contract."""
    facts = [AgreedFact(each.version, each.fact) for each in book.log if each.stream == CONTRACT]
    return [AgreedContract(CONTRACT, "default", facts)] if facts else []


def entries_in(log: list[StoredEvent]) -> Iterator[BookedEntry]:
    """Yield the entries of the wallet and its contract."""
    fold = WalletFold(Surroundings())
    topics = {event.position: event.topic for event in log}
    for event in read_page_events(log).in_order():
        yield from fold.take(event, topics[event.position])


def random_book(seed: int) -> Book:
    """Return a contract of random terms, with sales, usage, bills and changes over half a year."""
    random = Random(seed)
    book = signed_book(*_random_phases(random), start_time=after(days=random.randint(-20, 20)))
    now = NOW
    for number in range(25):
        now += timedelta(hours=random.randint(1, 300))
        try:
            book.run(_random_command(random, number, now), now)
            if random.random() < 0.2:
                _random_note(random, book, number, now)
        except Refusal:
            continue
    return book


def _random_note(random: Random, book: Book, number: int, now: datetime) -> None:
    """Give back a part of what was billed for a span: for all of it, or the rest of it from an instant on."""
    issued = [each.fact.event for each in book.log if isinstance(each.fact.event, InvoiceIssued)]
    spans = [each for each in issued if each.amounts[0].from_time is not None]
    if not spans:
        return
    billed = random.choice(spans)
    amount = billed.amounts[0]
    begin, end = amount.from_time, amount.to_time
    assert begin is not None
    assert end is not None
    if random.random() < 0.5:
        begin += (end - begin) * random.randint(0, 9) / 10
    nanos = random.randint(1, amount.nanos)
    usual = record_credit_note(
        nanos, credit_note=f"creditNotes/note-{number}", invoice=billed.invoice, issue_time=now
    )
    given = msgspec.structs.replace(amount, nanos=nanos, from_time=begin, product="")
    book.run(RecordCreditNote(CONTRACT, msgspec.structs.replace(usual.issued, amounts=(given,))), now)


def stored_in(book: Book) -> list[StoredEvent]:
    """Return the log of a book."""
    return stored(book)


def _random_phases(random: Random) -> list[PlanPhase]:
    phases = [
        _random_terms(random, f"p{number}", random.choice(("P14D", "P1M", "P6M", "P1Y", "P3Y")))
        for number in range(random.randint(0, 2))
    ]
    last = random.choice(("", "", "P2Y"))
    return [*phases, _random_terms(random, "last", last)]


def _random_terms(random: Random, key: str, duration: str) -> PlanPhase:
    return terms(
        key,
        duration=duration,
        fee=random.choice((0, 7, 100)),
        seat_fee=random.choice((0, 3)),
        seats=random.randint(0, 9),
        minimum=random.choice((0, 0, 50, 300)),
        commitment=random.choice((0, 0, 1_000)),
        period=random.choice(("P1M", "P3M", "P1Y")),
        prepaid=random.random() < 0.5,
    )


def _random_command(random: Random, number: int, now: datetime) -> AnyCommand:
    units = random.randint(1, 90)
    match random.choice(("use", "use", "use", "sell", "bill", "bill", "schedule", "change", "end")):
        case "use":
            charge = msgspec.structs.replace(priced(units), overage_price=PRICE)
            return Debit(WALLET, charge=charge, delivered=True, feature="chat")
        case "sell":
            return GrantCredits(
                WALLET,
                units,
                GrantCategory.PAID,
                expire_time=now + random.randint(1, 900) * DAY,
                consideration=eur(random.randint(0, 90)),
            )
        case "bill":
            kind = random.choice(("BASE_FEE", "SEATS", "COMMITMENT", "OVERAGE", "RATE_MINIMUM"))
            begin = now - random.randint(0, 40) * DAY
            span = (None, None) if kind == "OVERAGE" else (begin, begin + random.randint(1, 60) * DAY)
            amount = BilledAmount(kind, random.randint(1, 50) * EUR, *span)
            usual = record_invoice(issue_time=now, start_time=now)
            return RecordInvoice(
                CONTRACT,
                msgspec.structs.replace(
                    usual.issued,
                    invoice=f"invoices/bill-{number}",
                    cycle_end_time=now + DAY,
                    amounts=(amount,),
                    total_nanos=amount.nanos,
                ),
            )
        case "schedule":
            fee = terms("standard", fee=random.randint(1, 90))
            return schedule_phase("base_fee", from_time=now + random.randint(0, 90) * DAY, terms=fee)
        case "change":
            return change_plan(from_time=None)
        case _:
            return end_contract(now + random.randint(100, 600) * DAY)
