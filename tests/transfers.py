"""Transfers and chargebacks on a book: each step of a transfer by itself, and the evidence that commands need."""

from __future__ import annotations

from datetime import datetime

from ledger_service.domain.commands import (
    ChargeBackGrant,
    DestinationRecord,
    ReceiveTransfer,
    ReturnTransfer,
    SettleTransfer,
    TransferCredits,
)
from ledger_service.domain.events import (
    CreditsGranted,
    CreditsTransferredIn,
    CreditsTransferredOut,
    LotTerms,
)
from ledger_service.domain.values import Asset, Money
from ledger_service.domain.wallet.lots import from_grant, terms_of
from tests.builders import CREDIT, CUSTOMER, NOW, WALLET, Book, Recorded, grant, open_wallet

BETA = "wallets/beta"


def two_wallets() -> Book:
    """Return a book with two empty wallets of one customer and asset."""
    ledger = Book()
    ledger.run(open_wallet())
    ledger.run(open_wallet(wallet=BETA))
    return ledger


def transfer(
    amount_units: int,
    *,
    wallet: str = WALLET,
    destination: str = BETA,
    customer: str = CUSTOMER,
    asset: Asset = CREDIT,
) -> TransferCredits:
    """Return a transfer to the other wallet."""
    return TransferCredits(wallet, destination, amount_units, DestinationRecord(customer, asset))


def send(
    ledger: Book, amount_units: int, now: datetime = NOW, *, wallet: str = WALLET, destination: str = BETA
) -> int:
    """Let credit leave and return the version of the transfer."""
    return ledger.run(transfer(amount_units, wallet=wallet, destination=destination), now)[-1].version


def sent(ledger: Book, version: int, *, wallet: str = WALLET) -> CreditsTransferredOut:
    """Return a departure."""
    event = next(each.fact.event for each in ledger.log if (each.stream, each.version) == (wallet, version))
    assert isinstance(event, CreditsTransferredOut)
    return event


def arrival(ledger: Book, version: int, *, wallet: str = WALLET) -> ReceiveTransfer:
    """Return the arrival of a transfer."""
    event = sent(ledger, version, wallet=wallet)
    source = ledger.wallet(wallet)
    return ReceiveTransfer(event.destination, wallet, version, event.slices, source.customer, source.asset)


def arrive(ledger: Book, version: int, now: datetime = NOW, *, wallet: str = WALLET) -> list[Recorded]:
    """Let a transfer arrive and be settled; return what arrived."""
    arrived = ledger.run(arrival(ledger, version, wallet=wallet), now)
    ledger.run(SettleTransfer(wallet, version), now)
    return arrived


def come_back(ledger: Book, version: int, now: datetime = NOW, *, wallet: str = WALLET) -> list[Recorded]:
    """Let a transfer return and return what was recorded."""
    return ledger.run(ReturnTransfer(wallet, version, "AMOUNT_OUT_OF_RANGE"), now)


def buy(ledger: Book, amount_units: int, paid_nanos: int, now: datetime = NOW, **fields: object) -> int:
    """Grant paid credit and return the version of the grant."""
    command = grant(amount_units, paid_nanos=paid_nanos, **fields)  # type: ignore[arg-type]
    return ledger.run(command, now)[-1].version


def issued_terms(ledger: Book, grant_version: int, *, wallet: str = WALLET) -> LotTerms:
    """Return the terms of a lot as it began."""
    fact = next(each.fact for each in ledger.log if (each.stream, each.version) == (wallet, grant_version))
    if isinstance(fact.event, CreditsTransferredIn):
        return fact.event.lot
    assert isinstance(fact.event, CreditsGranted)
    return terms_of(from_grant(grant_version, fact.event, fact.effective_time))


def chargeback(
    ledger: Book, grant_version: int, nanos: int | None = None, *, wallet: str = WALLET, currency: str = "EUR"
) -> ChargeBackGrant:
    """Return a chargeback, of all that is left unless told."""
    return ChargeBackGrant(
        wallet,
        grant_version,
        issued_terms(ledger, grant_version, wallet=wallet),
        None if nanos is None else Money(currency, nanos),
        "dispute-1",
    )
