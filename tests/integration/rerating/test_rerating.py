"""A phase for the past over real services: shown, accepted or rejected, and what it changes put right, once."""

from __future__ import annotations

import asyncio
from io import StringIO

from rich.console import Console

from credits.ledger.v1 import debit_trace_pb2, meter_totals_pb2
from credits.rating.v1 import simulation_service_pb2, simulation_service_pb2_grpc
from ledger_service.cli.trace import trace_tree
from tests.integration.authorization.gateway import refusal
from tests.integration.rerating.customer import HOUR, Customer, linear_rate, rates, tiered


async def used(customer: Customer) -> None:
    """Use 100 tokens, then two hours later 200 tokens and 4 calls, then 4 more: 372 units at the first prices."""
    await customer.use(customer.start, tokens=100)
    await customer.gateway.pass_time(4 * HOUR)
    await customer.use(customer.start + 2 * HOUR, tokens=200, calls=4)
    await customer.use(customer.start + 3 * HOUR, calls=4)


async def test_a_proposal_changes_no_price_until_it_is_accepted(customer: Customer) -> None:
    await used(customer)

    proposed = await customer.publish(rates(tokens="2"), customer.start + HOUR)
    charge = (await customer.use(customer.start + 2 * HOUR, tokens=1)).charge
    summary, [cycle] = await customer.show(proposed.phase.name)

    assert proposed.proposed
    assert charge.rate_card_phase == f"{customer.card}/phases/1"
    assert await customer.used_units() == 363
    assert (cycle.usage_count, cycle.differing_count) == (4, 2)
    assert (cycle.charged_units, cycle.rated_units, cycle.difference_units) == ("363", "564", "201")
    assert (summary.more_units, summary.less_units, summary.differing_cycles) == ("201", "0", 1)
    assert (await customer.show(proposed.phase.name))[0].token == summary.token


async def test_what_costs_more_is_one_debit_and_a_second_acceptance_posts_nothing(customer: Customer) -> None:
    await used(customer)
    proposed = await customer.publish(rates(tokens="1.5"), customer.start + HOUR)
    summary, _ = await customer.show(proposed.phase.name)

    [posted] = await customer.accept(proposed.phase.name, token=summary.token)

    assert (posted.difference_units, posted.charged_units, posted.returned_units) == ("100", 100, 0)
    assert await customer.used_units() == 462
    assert await customer.accept(proposed.phase.name) == []
    assert (await customer.show(proposed.phase.name))[1] == []
    late = await customer.use(customer.start + 2 * HOUR, tokens=3)
    assert late.charge.rate_card_phase == proposed.phase.name
    assert late.charge.exact_units == "4.5"
    assert await customer.findings() == []


async def test_what_costs_less_goes_back_to_the_debits_and_the_rest_is_carried(customer: Customer) -> None:
    await used(customer)
    proposed = await customer.publish(rates(tokens="0.7513"), customer.start + HOUR)

    [posted] = await customer.accept(proposed.phase.name)

    # 200 tokens cost 150.26 instead of 200.
    assert (posted.difference_units, posted.charged_units, posted.returned_units) == ("-49.74", 0, 49)
    assert await customer.used_units() == 313
    await customer.use(customer.start, tokens=1)
    assert await customer.used_units() == 313
    assert await customer.findings() == []


async def test_a_simulation_prices_the_usage_and_not_what_an_adjustment_gave_back(customer: Customer) -> None:
    await used(customer)
    proposed = await customer.publish(rates(tokens="0.5"), customer.start)
    [posted] = await customer.accept(proposed.phase.name)
    request = simulation_service_pb2.SimulateRateCardRequest(
        candidates=[
            simulation_service_pb2.SimulationCandidate(rate_card=f"{customer.card}/phases/1"),
            simulation_service_pb2.SimulationCandidate(rate_card=proposed.phase.name),
        ]
    )
    request.recorded.contracts.append(customer.contract)
    request.from_time.FromDatetime(customer.start)
    request.to_time.FromDatetime(customer.start + 4 * HOUR)
    stub = simulation_service_pb2_grpc.SimulationServiceStub(customer.gateway.channel)
    total = [each async for each in stub.SimulateRateCard(request)][-1].result.total

    assert posted.returned_units == 150
    assert (total.usage_count, total.units_now) == (3, "362")
    assert [each.units for each in total.candidates] == ["362", "212"]


async def test_totals_of_a_cycle_go_on_under_the_accepted_prices(customer: Customer) -> None:
    await used(customer)
    raised = await customer.publish(rates(first_calls="20", calls="5"), customer.start + HOUR)

    [posted] = await customer.accept(raised.phase.name)
    more = await customer.use(customer.start + 2 * HOUR, calls=2)

    # 8 calls: 5 x 20 + 3 x 5 = 115 instead of 62.
    assert posted.difference_units == "53"
    assert more.charge.exact_units == "10"
    assert await customer.used_units() == 100 + 200 + 115 + 10


async def test_meters_that_a_phase_counts_anew_are_moved(customer: Customer) -> None:
    await used(customer)
    counted = await customer.publish(
        [tiered("tokens", 50, "3", "2"), *rates(calls="5")[1:]], customer.start + HOUR
    )

    [posted] = await customer.accept(counted.phase.name)
    more = await customer.use(customer.start + 2 * HOUR, tokens=10)

    # 200 tokens: 50 x 3 + 150 x 2 = 450 instead of 200; 3 calls cost one unit more.
    assert posted.difference_units == "253"
    assert more.charge.exact_units == "20"
    assert await customer.accept(counted.phase.name) == []
    assert await customer.findings() == []


async def test_meters_that_a_phase_does_not_count_are_forgotten(customer: Customer) -> None:
    await used(customer)
    linear = await customer.publish([linear_rate("tokens", "1"), linear_rate("calls", "7")], customer.start)

    [posted] = await customer.accept(linear.phase.name)
    totals = await customer.ledger.wallets.GetMeterTotals(
        meter_totals_pb2.GetMeterTotalsRequest(name=customer.wallet)
    )

    assert posted.difference_units == str(8 * 7 - 62)
    assert not totals.totals
    assert await customer.accept(linear.phase.name) == []


async def test_a_lower_price_after_a_higher_one_first_takes_back_what_the_higher_one_charged(
    customer: Customer,
) -> None:
    await used(customer)
    higher = await customer.publish(rates(tokens="2"), customer.start + HOUR)
    await customer.accept(higher.phase.name)
    again = await customer.publish(rates(tokens="1.25"), customer.start + HOUR)

    [posted] = await customer.accept(again.phase.name)

    assert (posted.difference_units, posted.returned_units) == ("-150", 150)
    assert await customer.used_units() == 362 + 50


async def test_an_adjustment_explains_itself_in_its_trace(customer: Customer) -> None:
    await used(customer)
    cheaper = await customer.publish(rates(tokens="0.5"), customer.start + HOUR)
    [posted] = await customer.accept(cheaper.phase.name)

    answer = await customer.ledger.history.TraceDebit(debit_trace_pb2.TraceDebitRequest(name=posted.debit))
    console = Console(width=160, record=True, file=StringIO())
    console.print(trace_tree(answer.trace))
    text = console.export_text()

    adjustment = answer.trace.debit.charge.adjustment
    assert (adjustment.charged_units, adjustment.rated_units, adjustment.number) == ("362", "262", 1)
    assert [part.amount_units for part in adjustment.taken_back] == [100]
    assert "Adjustment 1 of the cycle" in text
    assert f"100 units taken back of {adjustment.taken_back[0].debit}" in text


async def test_the_same_prices_propose_nothing_and_a_rejected_phase_is_gone(customer: Customer) -> None:
    await used(customer)
    same = await customer.publish(rates(), customer.start + HOUR)

    summary, cycles = await customer.show(same.phase.name)
    rejected = await customer.reject(same.phase.name)
    again = await customer.reject(same.phase.name)

    assert (cycles, summary.differing_cycles) == ([], 0)
    assert (rejected.replayed, again.replayed) == (False, True)
    gone = await refusal(_drained(customer.show(same.phase.name)))
    assert gone.reason == "RERATING_NOT_FOUND"
    assert (await refusal(_drained(customer.accept(same.phase.name)))).reason == "RERATING_NOT_FOUND"


async def test_figures_that_have_changed_are_not_accepted_by_the_token_of_others(customer: Customer) -> None:
    await used(customer)
    proposed = await customer.publish(rates(tokens="2"), customer.start + HOUR)
    summary, _ = await customer.show(proposed.phase.name)
    await customer.use(customer.start + 2 * HOUR, tokens=1)

    refused = await refusal(_drained(customer.accept(proposed.phase.name, token=summary.token)))

    assert (refused.reason, refused.field) == ("RERATING_CHANGED", "token")
    assert await customer.accept(proposed.phase.name, token=refused.metadata["token"])


async def test_a_phase_that_cannot_price_recorded_usage_is_shown_and_not_accepted(customer: Customer) -> None:
    await used(customer)
    proposed = await customer.publish(rates()[:1], customer.start + HOUR)

    summary, [cycle] = await customer.show(proposed.phase.name)
    refused = await refusal(_drained(customer.accept(proposed.phase.name)))

    assert summary.unrateable_count == cycle.unrateable_count == 2
    assert {usage.reason for usage in cycle.unrateable} == {"UNKNOWN_DIMENSION"}
    assert (refused.reason, refused.metadata) == ("RERATING_INCOMPLETE", {"unrateable_count": "2"})


async def test_two_acceptances_side_by_side_post_everything_once(customer: Customer) -> None:
    await used(customer)
    proposed = await customer.publish(rates(tokens="2"), customer.start + HOUR)

    posted = await asyncio.gather(*(customer.accept(proposed.phase.name) for _ in range(3)))

    debits = {each.debit for answer in posted for each in answer}
    assert len(debits) == 1
    assert await customer.used_units() == 362 + 200


async def _drained(awaited: object) -> object:
    return await awaited  # type: ignore[misc]
