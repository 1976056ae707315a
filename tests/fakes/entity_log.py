"""Histories of legal entities: two wallets of two entities, with contracts, overage and bills in a foreign currency.

The real decisions play them, and what is refused leaves nothing. `us` keeps its books in USD and `de` in EUR; both are
paid and bill in GBP as well, at rates that come, change and are put right.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from fractions import Fraction
from random import Random

import msgspec

from ledger_service.domain.commands import (
    AnyCommand,
    Debit,
    DebitRecord,
    GrantCredits,
    LockAccountingPeriod,
    RecordCreditNote,
    RecordInvoice,
    ReverseDebit,
    SaleTerms,
    SetExchangeRate,
    SetFunctionalCurrency,
)
from ledger_service.domain.events import BilledAmount, CreditNoteIssued, InvoiceIssued
from ledger_service.domain.finance.methods import round_half_up
from ledger_service.domain.refusals import Refusal
from ledger_service.domain.values import (
    GrantCategory,
    InvoiceKind,
    Money,
    NoteSettlement,
    ShortfallMode,
    UnitPrice,
)
from tests.builders import NOW, Book, charge, create_rate_card, publish_phase, publish_plan, sign_contract
from tests.builders import open_wallet as opening

FOREIGN = "GBP"
CURRENCIES = {"us": "USD", "de": "EUR"}
PRICE = "70123.457"
"""Of one whole credit, which has a scale of 6: a unit costs about 7 cents."""
KINDS = (*("rate", "sell", "use", "use", "use", "undo", "bill", "bill", "early", "note", "lock", "set"),)


class Act(msgspec.Struct, frozen=True):
    """One thing that happens to an entity, some hours after the one before it."""

    kind: str
    entity: str = "us"
    units: int = 10
    hours_later: int = 1
    number: int = 0
    rate: str = "1.25"


def random_acts(seed: int, count: int, *, rates: tuple[str, ...] = (), hours_max: int = 60) -> list[Act]:
    """Return acts of all kinds, the same for the same seed; with one rate, exchange never differs."""
    random = Random(seed)
    return [
        Act(
            kind=random.choice(KINDS),
            entity=random.choice(("us", "de")),
            units=random.randint(1, 60),
            hours_later=random.randint(0, hours_max),
            number=random.randint(0, 9),
            rate=random.choice(rates or ("1.25", "1.1", "0.873", "1.333333333333333333")),
        )
        for _ in range(count)
    ]


class World(msgspec.Struct):
    """What was played, and by entity what is there to be billed. Mutable: it plays."""

    ledger: Book
    now: datetime = NOW
    unbilled: dict[str, int] = {}
    ahead: dict[str, int] = {}
    credit: dict[str, int] = {}
    invoices: dict[str, list[InvoiceIssued]] = {}
    debits: dict[str, list[tuple[int, int]]] = {}
    """Versions of debits, with their overage that was not taken back."""
    bills: int = 0


def wallet_of(entity: str) -> str:
    """Return the wallet of an entity."""
    return f"wallets/{entity}"


def contract_of(entity: str) -> str:
    """Return the contract of the wallet of an entity."""
    return f"contracts/{entity}"


def play(acts: Iterable[Act], *, currencies_first: bool = False) -> World:
    """Return what became of acts; with `currencies_first` books are in functional currencies from the start."""
    ledger = Book()
    for command in (create_rate_card(), publish_phase(), publish_plan()):
        ledger.run(command)
    for entity, currency in CURRENCIES.items():
        wallet = opening(wallet=wallet_of(entity), mode=ShortfallMode.SOFT, overage_limit_units=10**9)
        ledger.run(msgspec.structs.replace(wallet, entity=entity))
        ledger.run(sign_contract(contract=contract_of(entity), wallet=wallet_of(entity)))
        if currencies_first:
            ledger.run(SetFunctionalCurrency(f"entities/{entity}", currency))
            begin = NOW - timedelta(days=30)
            ledger.run(SetExchangeRate(f"entities/{entity}", FOREIGN, "1.25", begin))
    world = World(ledger)
    for act in acts:
        world.now += timedelta(hours=act.hours_later)
        try:
            _play(world, act)
        except Refusal:
            continue
    return world


def bill_the_rest(world: World) -> None:
    """Bill all that is not billed, and give back what was billed ahead."""
    for entity in CURRENCIES:
        world.now += timedelta(hours=1)
        _bill(world, Act("bill", entity, number=0), everything=True)


def _play(world: World, act: Act) -> None:  # noqa: C901
    match act.kind:
        case "set":
            _run(world, SetFunctionalCurrency(f"entities/{act.entity}", CURRENCIES[act.entity]))
        case "rate":
            from_time = world.now + timedelta(hours=20 * (act.number - 6))
            _run(world, SetExchangeRate(f"entities/{act.entity}", FOREIGN, act.rate, from_time))
        case "sell":
            _run(world, _sale(world, act))
        case "use":
            _use(world, act)
        case "undo":
            _undo(world, act)
        case "bill":
            _bill(world, act)
        case "early":
            _early(world, act)
        case "note":
            _note(world, act)
        case "lock":
            _lock(world, act)
        case "idle":
            pass
        case _:
            raise AssertionError(f"{act.kind} is no kind of act")


def _run(world: World, command: AnyCommand) -> None:
    world.ledger.run(command, world.now)


def _sale(world: World, act: Act) -> GrantCredits:
    other = "de" if act.entity == "us" else "us"
    entity = other if act.number == 0 else ""
    books = f"entities/{entity or act.entity}"
    currency = FOREIGN if act.number % 2 else CURRENCIES[entity or act.entity]
    return GrantCredits(
        wallet_of(act.entity),
        act.units,
        GrantCategory.PAID,
        expire_time=world.now + timedelta(hours=100),
        consideration=Money(currency, act.units * 12_345_678),
        finance=SaleTerms(entity=entity, tax=Money(currency, 19)),
        books=books if books in world.ledger.states else "",
    )


def _use(world: World, act: Act) -> None:
    usage = msgspec.structs.replace(charge(str(act.units)), overage_price=UnitPrice(FOREIGN, PRICE))
    event = world.ledger.debit(
        Debit(
            wallet_of(act.entity),
            charge=usage,
            delivered=True,
            effective_time=world.now - timedelta(hours=10 * act.number),
        ),
        world.now,
    )
    if event.overage_units:
        version = world.ledger.wallet(wallet_of(act.entity)).version
        world.debits.setdefault(act.entity, []).append((version, event.overage_units))
        _owe(world, act.entity, _price(event.overage_units))


def _undo(world: World, act: Act) -> None:
    debits = world.debits.get(act.entity)
    if debits:
        version, units = debits.pop(act.number % len(debits))
        evidence = DebitRecord(version, (), units, {}, overage_price=UnitPrice(FOREIGN, PRICE))
        _run(world, ReverseDebit(wallet_of(act.entity), version, evidence, units))
        _owe(world, act.entity, -_price(units))


def _price(units: int) -> int:
    return round_half_up(Fraction(PRICE) * units * 10**3)


def _owe(world: World, entity: str, nanos: int) -> None:
    world.unbilled[entity] = world.unbilled.get(entity, 0) + nanos


def _bill(world: World, act: Act, *, everything: bool = False) -> None:
    """Issue an invoice of overage, a fee, a prepaid commitment and all that there is to be set off."""
    entity, unbilled = act.entity, world.unbilled.get(act.entity, 0)
    cleared = unbilled if everything or act.number % 2 else unbilled // 3
    amounts = [BilledAmount("OVERAGE", cleared), *_fees(world, act, everything=everything)]
    ahead = world.ahead.get(entity, 0)
    if ahead and (everything or act.number > 4):
        amounts.append(BilledAmount("THRESHOLD_CREDIT", -ahead))
    else:
        ahead = 0
    total = sum(each.nanos for each in amounts)
    applied = min(world.credit.get(entity, 0), max(total, 0))
    if applied:
        amounts.append(BilledAmount("CREDIT_APPLIED", -applied))
    due = max(-total, 0)
    if due:
        amounts.append(BilledAmount("CREDIT_DUE", due))
    _issue(world, entity, InvoiceKind.CYCLE, amounts, tax_nanos=act.units * 7)
    _owe(world, entity, -cleared)
    world.ahead[entity] = world.ahead.get(entity, 0) - ahead
    world.credit[entity] = world.credit.get(entity, 0) + due - applied


def _fees(world: World, act: Act, *, everything: bool) -> list[BilledAmount]:
    if everything or act.number < 3:
        return []
    begin, end = world.now - timedelta(days=10), world.now + timedelta(days=21)
    fee = BilledAmount("BASE_FEE", 10**9 + act.units, begin, end, "plan")
    if act.number < 6:
        return [fee]
    return [
        fee,
        BilledAmount("COMMITMENT", act.units * 10**8, world.now, world.now + timedelta(days=9)),
        BilledAmount("COMMITMENT_DRAW_DOWN", -act.units * 3 * 10**7),
    ]


def _early(world: World, act: Act) -> None:
    nanos = max(world.unbilled.get(act.entity, 0) - world.ahead.get(act.entity, 0), 0)
    if nanos:
        _issue(world, act.entity, InvoiceKind.THRESHOLD, [BilledAmount("OVERAGE", nanos)])
        world.ahead[act.entity] = world.ahead.get(act.entity, 0) + nanos


def _issue(
    world: World, entity: str, kind: InvoiceKind, amounts: list[BilledAmount], *, tax_nanos: int = 0
) -> None:
    world.bills += 1
    start = NOW + timedelta(minutes=world.bills)
    issued = InvoiceIssued(
        f"invoices/{entity}-{world.bills}",
        kind,
        start,
        start + timedelta(days=31),
        7,
        "ab" * 32,
        world.now,
        FOREIGN,
        tuple(amounts),
        tax_nanos,
        sum(each.nanos for each in amounts) + tax_nanos,
    )
    _run(world, RecordInvoice(contract_of(entity), issued))
    world.invoices.setdefault(entity, []).append(issued)


def _note(world: World, act: Act) -> None:
    """Take back a fee of an invoice, or some of its overage."""
    issued = world.invoices.get(act.entity)
    if not issued:
        return
    invoice = issued[act.number % len(issued)]
    settlement = tuple(NoteSettlement)[act.units % len(NoteSettlement)]
    fees = [each for each in invoice.amounts if each.kind == "BASE_FEE"]
    amount = fees[0] if fees else BilledAmount("OVERAGE", 5)
    world.bills += 1
    note = CreditNoteIssued(
        f"creditNotes/{act.entity}-{world.bills}",
        invoice.invoice,
        settlement,
        "ab" * 32,
        world.now,
        FOREIGN,
        (amount,),
        3,
        amount.nanos + 3,
    )
    _run(world, RecordCreditNote(contract_of(act.entity), note))
    if settlement is NoteSettlement.CREDIT:
        world.credit[act.entity] = world.credit.get(act.entity, 0) + note.total_nanos


def _lock(world: World, act: Act) -> None:
    period = f"accountingPeriods/{act.entity}"
    state = world.ledger.states.get(period)
    start = getattr(state, "open_day", NOW.date())
    if start < world.now.date():
        if state is not None:
            # What the close of the period before adds changes no figure.
            world.ledger.states[period] = msgspec.structs.replace(state, closed=True)
        _run(world, LockAccountingPeriod(period, start, world.now.date()))
