"""Wallets, contracts and credit: what customers hold before and while they use the API."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from credits.ledger.v1 import agreement_pb2, contract_service_pb2, money_pb2, wallet_pb2, wallet_service_pb2
from credits.rating.v1 import billing_pb2
from deploy.demo.customers import (
    PACKS,
    PROMOTION_CREDITS,
    SCALE,
    UNITS_PER_CREDIT,
    Customer,
    Pack,
    PlanName,
)
from deploy.demo.services import CALL_SECONDS_MAX, DemoFailed, Services, stamp
from deploy.demo.timeline import Timeline

PACK_LIFE: Final = timedelta(days=365)
NANOS_PER_CENT: Final = 10_000_000
LAST_PRIORITY: Final = 100
"""Of the pack that expires unused: it is drawn after everything else."""


def open_accounts(services: Services, customers: Sequence[Customer], timeline: Timeline) -> int:
    """Open a wallet and sign a contract for each customer; return the position of the last contract."""
    return max(open_account(services, customer, timeline) for customer in customers)


def open_account(services: Services, customer: Customer, timeline: Timeline) -> int:
    """Open a wallet, sign the contract, and grant what is given away."""
    asset = money_pb2.Asset(code="CREDIT", scale=SCALE)
    services.wallets.OpenWallet(
        wallet_service_pb2.OpenWalletRequest(
            wallet_id=customer.key,
            wallet=wallet_pb2.Wallet(customer=customer.customer, asset=asset),
            idempotency_key="open",
        ),
        timeout=CALL_SECONDS_MAX,
    )
    answer = services.contracts.SignContract(
        contract_service_pb2.SignContractRequest(
            contract_id=customer.key, contract=contract_for(customer, timeline.start), idempotency_key="sign"
        ),
        timeout=CALL_SECONDS_MAX,
    )
    if customer.plan is PlanName.STARTER:
        grant_promotion(services, customer, timeline)
    return answer.position


def contract_for(customer: Customer, start: datetime) -> agreement_pb2.Contract:
    """Return the contract of a customer: monthly cycles from an instant."""
    return agreement_pb2.Contract(
        customer=customer.customer,
        wallet=customer.wallet,
        plan=f"plans/{customer.plan.value}",
        start_time=stamp(start),
        cycle=agreement_pb2.Cycle(interval=agreement_pb2.CYCLE_INTERVAL_MONTH),
    )


def run_billing(services: Services) -> None:
    """Have the service grant what each plan includes, and issue what is due, before time goes on."""
    for progress in services.invoices.RunBilling(billing_pb2.RunBillingRequest(), timeout=CALL_SECONDS_MAX):
        for failure in progress.failures:
            raise DemoFailed(f"{failure.contract} cannot be billed: {failure.message}")


def grant_promotion(services: Services, customer: Customer, timeline: Timeline) -> None:
    """Give a customer credit that expires in mid-month."""
    grant = wallet_pb2.Grant(
        amount_units=PROMOTION_CREDITS * UNITS_PER_CREDIT,
        category=wallet_pb2.GRANT_CATEGORY_PROMOTIONAL,
        effective_time=stamp(timeline.start),
        expire_time=stamp(timeline.promotion_expire_time),
        reference="welcome credit",
    )
    send_grant(services, customer.wallet, "promotion", grant)


def sell_packs(services: Services, timeline: Timeline) -> None:
    """Grant the packs that customers buy."""
    for pack in PACKS:
        send_grant(services, f"wallets/{pack.customer}", "pack", pack_grant(pack, timeline))


def pack_grant(pack: Pack, timeline: Timeline) -> wallet_pb2.Grant:
    """Return the grant of a pack."""
    expire_time = timeline.pack_expire_time if pack.short_lived else timeline.packs_time + PACK_LIFE
    return wallet_pb2.Grant(
        amount_units=pack.credits * UNITS_PER_CREDIT,
        category=wallet_pb2.GRANT_CATEGORY_PAID,
        priority=LAST_PRIORITY if pack.short_lived else 0,
        effective_time=stamp(timeline.packs_time),
        expire_time=stamp(expire_time),
        consideration=money_pb2.Money(currency_code="USD", nanos=pack.price_cents * NANOS_PER_CENT),
        reference=f"{pack.credits:,} credits for ${pack.price_cents // 100}.{pack.price_cents % 100:02d}",
    )


def send_grant(services: Services, wallet: str, key: str, grant: wallet_pb2.Grant) -> None:
    """Issue credit."""
    request = wallet_service_pb2.GrantRequest(name=wallet, idempotency_key=key, grant=grant)
    services.wallets.Grant(request, timeout=CALL_SECONDS_MAX)


def cycles(timeline: Timeline) -> list[tuple[datetime, datetime]]:
    """Return the months played, as spans."""
    return list(pairwise(timeline.cycle_starts))
