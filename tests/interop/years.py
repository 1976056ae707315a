"""Years of business with a fixed seed, decided by the real rules, stored in a real log and projected from it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import msgspec

from ledger_service.application.exporting.export_ports import ExportFormat, ExportRequest
from ledger_service.application.ports import StoredEvent
from ledger_service.domain.commands import Debit
from ledger_service.domain.events import BilledAmount
from ledger_service.domain.values import InvoiceKind
from ledger_service.projections.connections import connect
from ledger_service.projections.reports.export import export
from tests.bills import record_credit_note, record_invoice
from tests.builders import NOW, WALLET, sign_contract
from tests.fakes import entity_log
from tests.fakes.finance_log import play, priced, random_acts
from tests.fakes.projection_log import stored
from tests.property.ledger import rule_histories
from tests.sales import agreed_wallet

DAY = timedelta(days=1)
SCHEMA = "ledger"
LATER = datetime(2028, 1, 1, tzinfo=UTC)
WHOLE = date(2026, 1, 1), date(2028, 1, 1)
PART = date(2026, 3, 10), date(2026, 4, 20)


def finance_year() -> list[StoredEvent]:
    """Sales of all terms, estimates, refunds, escheat, closed periods and bills."""
    ledger = agreed_wallet(play(random_acts(5, 500)))
    now = NOW + 340 * DAY
    ledger.run(sign_contract(start_time=NOW), now)
    ledger.run(Debit(WALLET, charge=priced(40_000_000), delivered=True), now)
    amounts = (
        BilledAmount("BASE_FEE", 10**9, now - 10 * DAY, now + 20 * DAY, "pro"),
        BilledAmount("OVERAGE", 800_000_000),
        BilledAmount("COMMITMENT", 10**9, NOW, now + 100 * DAY),
    )
    bill = record_invoice(issue_time=now, tax_nanos=7)
    issued = msgspec.structs.replace(
        bill.issued,
        kind=InvoiceKind.FINAL,
        amounts=amounts,
        total_nanos=sum(each.nanos for each in amounts) + 7,
    )
    ledger.run(msgspec.structs.replace(bill, issued=issued), now)
    ledger.run(record_credit_note(5_000, issue_time=now), now)
    return stored(ledger)


def rules_year() -> list[StoredEvent]:
    """Holds, transfers, roll-overs, bonuses, late usage and chargebacks."""
    return rule_histories.stored_as_if_paid(rule_histories.play_acts(rule_histories.random_acts(9, 400)))


def entities_year() -> list[StoredEvent]:
    """Sales, overage, bills and credit notes of two entities, in their currencies and a foreign one."""
    world = entity_log.play(entity_log.random_acts(26, 600, hours_max=6))
    entity_log.bill_the_rest(world)
    return stored(world.ledger)


def exported(url: str, language: ExportFormat, span: tuple[date, date]) -> str:
    """Return the journal of a span, written for a program."""
    request = ExportRequest(language, *span, LATER)
    with connect(url, schema=SCHEMA) as connection:
        return b"".join(part.data for part in export(connection, SCHEMA, request)).decode()
