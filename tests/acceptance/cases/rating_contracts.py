"""Contracts of rating cases: a plan of one phase, a wallet, and usage recorded under them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from credits.ledger.v1 import (
    agreement_pb2,
    billing_terms_pb2,
    contract_service_pb2,
    money_pb2,
    wallet_pb2,
    wallet_service_pb2,
)
from credits.rating.v1 import billing_pb2, invoice_service_pb2, rating_service_pb2
from tests.acceptance.cases.amounts import price_text, to_nanos
from tests.acceptance.cases.fields import timestamp
from tests.acceptance.cases.rating_cards import CURRENCY, USD, Card
from tests.acceptance.cases.services import Refused, call
from tests.acceptance.cases.timeline import Playing, Session

PLAN_PHASE_KEY = "main"


class Terms(NamedTuple):
    """What a plan asks for; overage costs `overage_price` in USD a whole asset, nothing without one."""

    asset: money_pb2.Asset = USD
    base_fee: Decimal | None = None
    included_units: int = 0
    overage_price: Decimal | None = Decimal(1)
    included_roll_over: billing_terms_pb2.IncludedRollOver | None = None
    minimum_spend: Decimal | None = None
    tax_percent: Decimal | None = None
    shortfall_mode: wallet_pb2.ShortfallMode.ValueType = wallet_pb2.SHORTFALL_MODE_SOFT


class Signed(NamedTuple):
    """A contract in force, its wallet, and the position of the log at which it is known."""

    contract: str
    wallet: str
    position: int


async def sign(
    session: Session, playing: Playing, card: Card, terms: Terms, cycle: agreement_pb2.Cycle, start: datetime
) -> Signed:
    """Open a wallet, publish a plan on the card, and bind the two from an instant."""
    customer = f"customers/{playing.key}"
    wallet = await _open_wallet(session, playing, customer, terms)
    plan = await publish_plan(session, playing, card, terms)
    contract = agreement_pb2.Contract(
        customer=customer, wallet=wallet, plan=plan, start_time=timestamp(start), cycle=cycle
    )
    request = contract_service_pb2.SignContractRequest(
        contract_id=playing.key, contract=contract, idempotency_key=playing.next_key()
    )
    answer = await call(session.services.contracts.SignContract, request)
    return Signed(answer.contract.name, wallet, answer.position)


async def _open_wallet(session: Session, playing: Playing, customer: str, terms: Terms) -> str:
    wallet = wallet_pb2.Wallet(customer=customer, asset=terms.asset, shortfall_mode=terms.shortfall_mode)
    request = wallet_service_pb2.OpenWalletRequest(
        wallet_id=playing.key, wallet=wallet, idempotency_key=playing.next_key()
    )
    return (await call(session.services.wallets.OpenWallet, request)).wallet.name


async def publish_plan(
    session: Session, playing: Playing, card: Card, terms: Terms, *, suffix: str = ""
) -> str:
    """Publish a plan of one phase on a card and return its name."""
    phase = agreement_pb2.PlanPhase(
        key=PLAN_PHASE_KEY,
        rate_card=card.name,
        base_fee=_money(terms.base_fee),
        included_units=terms.included_units,
        included_roll_over=terms.included_roll_over,
        shortfall_mode=terms.shortfall_mode,
        overage_price=_unit_price(terms.overage_price),
        minimum_spend=_money(terms.minimum_spend),
        tax_rates=_tax_rates(terms.tax_percent),
    )
    request = contract_service_pb2.PublishPlanRequest(
        plan_id=f"{playing.key}{suffix}",
        plan=agreement_pb2.Plan(asset=terms.asset, phases=[phase]),
        idempotency_key=playing.next_key(),
    )
    return (await call(session.services.contracts.PublishPlan, request)).plan.name


def _money(amount: Decimal | None) -> money_pb2.Money | None:
    return None if amount is None else money_pb2.Money(currency_code=CURRENCY, nanos=to_nanos(amount))


def _unit_price(price: Decimal | None) -> money_pb2.UnitPrice | None:
    if price is None:
        return None
    return money_pb2.UnitPrice(currency_code=CURRENCY, price=price_text(price))


def _tax_rates(percent: Decimal | None) -> list[billing_terms_pb2.TaxRate]:
    if percent is None:
        return []
    return [billing_terms_pb2.TaxRate(name="VAT", percent=price_text(percent))]


async def record(
    session: Session, playing: Playing, signed: Signed, quantities: Mapping[str, int]
) -> rating_service_pb2.RecordUsageResponse:
    """Record one usage now."""
    usage = rating_service_pb2.Usage(
        id=playing.next_key(),
        contract=signed.contract,
        effective_time=timestamp(session.now),
        quantities=quantities,
    )
    request = rating_service_pb2.RecordUsageRequest(usage=usage, min_position=signed.position)
    response = await call(session.services.rating.RecordUsage, request)
    if response.HasField("quarantined"):
        raise Refused("RecordUsage", response.quarantined.reason, response.quarantined.message)
    return response


async def record_many(
    session: Session, signed: Signed, usages: Sequence[rating_service_pb2.Usage]
) -> list[rating_service_pb2.RecordUsageResponse]:
    """Record a batch of usages. Raises Refused if one of them is refused or quarantined."""
    request = rating_service_pb2.BatchRecordUsageRequest(usages=usages, min_position=signed.position)
    answer = await call(session.services.rating.BatchRecordUsage, request)
    for result in answer.results:
        if result.HasField("error"):
            raise Refused.by_status("BatchRecordUsage", result.error)
        if result.HasField("quarantined"):
            raise Refused("BatchRecordUsage", result.quarantined.reason, result.quarantined.message)
    assert len(answer.results) == len(usages), "a batch has one result a usage"
    return [result.response for result in answer.results]


async def preview(session: Session, signed: Signed, cycle_time: datetime) -> invoice_service_pb2.Invoice:
    """Return the invoice of the cycle that holds an instant, as it would be issued now."""
    request = invoice_service_pb2.PreviewInvoiceRequest(
        contract=signed.contract, cycle_time=timestamp(cycle_time)
    )
    return (await call(session.services.invoices.PreviewInvoice, request)).invoice


async def bill(session: Session, signed: Signed) -> None:
    """Have the contract billed, so that what its plan includes is in the wallet. Raises Refused."""
    request = billing_pb2.RunBillingRequest(contract=signed.contract)
    async for progress in session.services.invoices.RunBilling(request):
        for failure in progress.failures:
            raise Refused("RunBilling", failure.reason, failure.message)
