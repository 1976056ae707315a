"""Rating cases of what credit pays for: before the invoice, in which order it goes back, and what moves on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from credits.ledger.v1 import agreement_pb2, money_pb2, wallet_pb2, wallet_service_pb2
from credits.rating.v1 import invoice_service_pb2
from tests.acceptance.cases.amounts import from_nanos, from_units, quantity_of, scale_for, to_units
from tests.acceptance.cases.expected import Expected
from tests.acceptance.cases.fields import Fields, timestamp
from tests.acceptance.cases.rating_cards import USD, CardPhase, publish_card, rate_of
from tests.acceptance.cases.rating_contracts import Terms, preview, record, sign
from tests.acceptance.cases.services import call
from tests.acceptance.cases.timeline import Playing, Rank, Session, Step
from tests.acceptance.cases.verdicts import Unsupported, number

SETTLEMENTS: Final = {
    "credit_then_invoice": wallet_pb2.SHORTFALL_MODE_SOFT,
    "credit_only": wallet_pb2.SHORTFALL_MODE_ADVANCE,
}
OWED: Final = ("advance", "debt", "uncovered", "outstanding")
"""How a case may call what credit alone has to pay and there is not."""
CHARGE: Final = "charge"
START: Final = datetime(2026, 1, 1, tzinfo=UTC)
NEXT_PERIOD: Final = datetime(2026, 2, 1, tzinfo=UTC)


def plan_credit_then_invoice(given: Fields, expected: Expected, playing: Playing) -> list[Step]:
    """Play a charge against a balance of credit, and compare what credit paid, what is invoiced and what is owed."""
    mode = given.text("mode", "credit_then_invoice")
    if mode not in SETTLEMENTS:
        raise Unsupported(f"mode {mode}")
    charge, credit = given.decimal("charge"), given.decimal("credit_balance")
    given.ignore("currency")
    given.finish()
    expected.offer("credits_consumed", "invoice_remainder", "credit_remaining", *OWED)
    quantity = quantity_of(charge)
    terms = Terms(shortfall_mode=SETTLEMENTS[mode])

    async def run(session: Session) -> None:
        rate = rate_of(CHARGE, Decimal(1), unit_size=quantity.unit_size)
        card = await publish_card(session, playing, [CardPhase([rate])])
        cycle = agreement_pb2.Cycle(interval=agreement_pb2.CYCLE_INTERVAL_MONTH)
        signed = await sign(session, playing, card, terms, cycle, session.now)
        if credit:
            await _grant(session, playing, signed.wallet, to_units(credit, USD.scale))
        if quantity.parts:
            await record(session, playing, signed, {CHARGE: quantity.parts})
        invoice = await preview(session, signed, session.now)
        paid = [line for line in invoice.lines if line.kind == invoice_service_pb2.LINE_KIND_USAGE]
        balance = await _balance(session, signed.wallet, session.now)
        owed = from_units(balance.debt_units, USD.scale)
        figures = {
            "credits_consumed": from_units(sum(line.amount_units for line in paid), USD.scale) - owed,
            "invoice_remainder": from_nanos(invoice.total.nanos),
            "credit_remaining": from_units(balance.available_units, USD.scale),
            **dict.fromkeys(OWED, owed),
        }
        expected.compare(playing, figures)

    return [Step(None, Rank.USE, run)]


def plan_restore(given: Fields, expected: Expected, playing: Playing) -> list[Step]:
    """Play one debit over several grants, take a part of it back, and compare what each grant got."""
    parts = _allocation(given)
    restore = given.decimal("restore")
    given.finish()
    expected.offer("restored", "still_used")
    scale = scale_for([restore, *parts.values()])

    async def run(session: Session) -> None:
        wallet = await _open_wallet(session, playing, money_pb2.Asset(code="CREDIT", scale=scale))
        grants = {
            name: await _grant(session, playing, wallet, to_units(amount, scale))
            for name, amount in parts.items()
        }
        debit = wallet_service_pb2.DebitRequest(
            name=wallet,
            idempotency_key=playing.next_key(),
            amount_units=to_units(sum(parts.values(), Decimal(0)), scale),
        )
        debited = (await call(session.services.wallets.Debit, debit)).debit
        undo = wallet_service_pb2.ReverseDebitRequest(
            name=debited.name, idempotency_key=playing.next_key(), amount_units=to_units(restore, scale)
        )
        await call(session.services.wallets.ReverseDebit, undo)
        lots = {lot.grant: lot.posted_units for lot in (await _balance(session, wallet, session.now)).lots}
        restored = {name: from_units(lots.get(grant, 0), scale) for name, grant in grants.items()}
        wanted = expected.raw("restored")
        named = wanted if isinstance(wanted, Mapping) else parts
        figures = {
            "restored": {name: units for name, units in restored.items() if units or name in named},
            "still_used": {name: parts[name] - units for name, units in restored.items()},
        }
        expected.compare(playing, figures)

    return [Step(None, Rank.USE, run)]


def _allocation(given: Fields) -> dict[str, Decimal]:
    """Return what was drawn by grant, in the order in which it was drawn."""
    parts: dict[str, Decimal] = {}
    for row in given.objects("original_allocation"):
        for name in row.names():
            amount = number(row.raw(name))
            if amount is None or name in parts:
                raise Unsupported("an allocation that is not one amount for each grant")
            parts[name] = amount
    return parts


def plan_next_period(given: Fields, expected: Expected, playing: Playing) -> list[Step]:
    """Play a grant of each month of which the rest rolls over, and compare the month after."""
    per_period, used = given.decimal("units_per_period"), given.decimal("used")
    times = given.integer("rollover_periods", 0)
    given.finish()
    expected.offer("rolled_over", "next_period_total")
    scale = scale_for([per_period, used])

    async def begin(session: Session) -> None:
        wallet = await _open_wallet(session, playing, money_pb2.Asset(code="CREDIT", scale=scale))
        roll_over = wallet_pb2.RollOver(percent="100", times=times) if times else None
        recurrence = wallet_pb2.Recurrence(period="P1M", roll_over=roll_over)
        await _grant(session, playing, wallet, to_units(per_period, scale), recurrence)
        if used:
            debit = wallet_service_pb2.DebitRequest(
                name=wallet, idempotency_key=playing.next_key(), amount_units=to_units(used, scale)
            )
            await call(session.services.wallets.Debit, debit)

    async def look(session: Session) -> None:
        balance = await _balance(session, f"wallets/{playing.key}", session.now)
        total = from_units(balance.available_units, scale)
        expected.compare(playing, {"rolled_over": total - per_period, "next_period_total": total})

    return [Step(START, Rank.USE, begin), Step(NEXT_PERIOD, Rank.LOOK, look)]


async def _open_wallet(session: Session, playing: Playing, asset: money_pb2.Asset) -> str:
    wallet = wallet_pb2.Wallet(customer=f"customers/{playing.key}", asset=asset)
    request = wallet_service_pb2.OpenWalletRequest(
        wallet_id=playing.key, wallet=wallet, idempotency_key=playing.next_key()
    )
    return (await call(session.services.wallets.OpenWallet, request)).wallet.name


async def _grant(
    session: Session,
    playing: Playing,
    wallet: str,
    units: int,
    recurrence: wallet_pb2.Recurrence | None = None,
) -> str:
    grant = wallet_pb2.Grant(
        amount_units=units, category=wallet_pb2.GRANT_CATEGORY_PROMOTIONAL, recurrence=recurrence
    )
    request = wallet_service_pb2.GrantRequest(name=wallet, idempotency_key=playing.next_key(), grant=grant)
    return (await call(session.services.wallets.Grant, request)).grant.name


async def _balance(session: Session, wallet: str, at: datetime) -> wallet_pb2.Balance:
    request = wallet_service_pb2.GetBalanceRequest(name=wallet, as_of_time=timestamp(at))
    return (await call(session.services.wallets.GetBalance, request)).balance
