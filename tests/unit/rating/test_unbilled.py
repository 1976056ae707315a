"""What unbilled overage is estimated to come to: never below the truth, and only where somebody wants to know."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from rating_service.application.followed import DebitRow, UnbilledRow
from rating_service.domain.agreements.agreement import Contract, ContractPhase, Money
from rating_service.domain.agreements.catalogue import EMPTY, Catalogue
from rating_service.domain.agreements.index import put
from rating_service.projections.unbilled import unbilled_of
from tests.unit.rating.builders import contract, plan_phase

JANUARY, FEBRUARY = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
FIFTY = Money("USD", 50 * 10**9)


def knowing(*phases: ContractPhase) -> Catalogue:
    """Return a catalogue with contracts/acme."""
    signed: Contract = contract(*phases)
    return msgspec.structs.replace(EMPTY, contracts=put(EMPTY.contracts, signed.name, signed))


def phase(threshold: Money | None) -> ContractPhase:
    """Return a phase without end, with an invoice threshold."""
    return ContractPhase(
        JANUARY, msgspec.structs.replace(plan_phase(overage="0.01"), invoice_threshold=threshold)
    )


def overage(
    units: int, *, when: datetime = JANUARY, name: str = "contracts/acme", price: str = "0.01"
) -> DebitRow:
    """Return a debit of which no credit covered anything, priced in USD."""
    charge = f'{{"contract":"{name}","overage_price":{{"currency_code":"USD","price":"{price}"}}}}'
    return DebitRow(1, "wallets/acme", 1, when, "u", units, units, "[]", name, "evergreen", "", charge)


def test_overages_of_a_cycle_add_up_to_money_rounded_up_once() -> None:
    found = unbilled_of(
        [
            overage(1, price="0.0001"),
            overage(1, price="0.0001"),
            overage(3_000_000, when=FEBRUARY - MICROSECOND),
        ],
        knowing(phase(FIFTY)),
    )

    # A unit is a millionth of an asset: twice 10^-10 of a dollar are a fifth of a nano.
    assert found == [UnbilledRow("contracts/acme", JANUARY, 30_000_001, FIFTY.nanos)]


def test_each_cycle_counts_by_itself() -> None:
    found = unbilled_of([overage(10**6, when=FEBRUARY), overage(10**6)], knowing(phase(FIFTY)))

    assert [(each.cycle_start_time, each.nanos) for each in found] == [
        (JANUARY, 10**7),
        (FEBRUARY, 10**7),
    ]


@pytest.mark.parametrize(
    ("threshold", "name"),
    [
        pytest.param(None, "contracts/acme", id="without a threshold"),
        pytest.param(Money("EUR", 1), "contracts/acme", id="in another currency"),
        pytest.param(FIFTY, "contracts/other", id="of a contract that is not known"),
    ],
)
def test_nothing_is_counted_where_nothing_is_invoiced_from_an_amount_on(
    threshold: Money | None, name: str
) -> None:
    assert unbilled_of([overage(10**6, name=name)], knowing(phase(threshold))) == []


def test_a_debit_that_credit_covered_or_that_has_no_charge_counts_nothing() -> None:
    covered = overage(5)._replace(overage_units=0)
    uncharged = overage(5)._replace(charge=None)

    assert unbilled_of([covered, uncharged], knowing(phase(FIFTY))) == []
