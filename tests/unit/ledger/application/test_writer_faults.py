"""A fault of ours while one call is decided: it costs that call alone."""

import pytest

from ledger_service.application.writing import decider, staging
from ledger_service.application.writing.calls import Outcome
from ledger_service.domain.refusals.service import DecisionFailed
from tests.builders import debit, grant, open_wallet
from tests.unit.ledger.application.scenario import Shard, outcome, request

BROKEN_UNITS = 7
"""A debit of just so many units hits the fault."""


async def funded() -> Shard:
    """Return a shard with a wallet of 100 units."""
    shard = Shard()
    await shard.prepared(open_wallet(), grant(100))
    return shard


@pytest.fixture(params=["decide", "evolve_stream"])
def _broken(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    module = decider if request.param == "decide" else staging
    real = getattr(module, request.param)

    def broken(*arguments: object) -> object:
        if f"amount_units={BROKEN_UNITS}," in repr(arguments):
            raise AssertionError("a fault of ours")
        return real(*arguments)

    monkeypatch.setattr(module, request.param, broken)


@pytest.mark.usefixtures("_broken")
async def test_a_fault_in_one_decision_costs_only_its_call() -> None:
    shard = await funded()
    async with shard.serving() as writer:
        answers = await writer.submit_many([request(debit(units)) for units in (1, BROKEN_UNITS, 2)])
        later = await writer.submit(request(debit(3)))

    assert [type(answer) for answer in answers] == [Outcome, DecisionFailed, Outcome]
    assert [outcome(answers[0]).version, outcome(answers[2]).version, outcome(later).version] == [3, 4, 5]
    assert shard.wallet().drawn_units == 6


@pytest.mark.usefixtures("_broken")
async def test_a_fault_names_an_incident_and_nothing_of_the_cause() -> None:
    shard = await funded()
    async with shard.serving() as writer:
        with pytest.raises(DecisionFailed) as caught:
            await writer.submit(request(debit(BROKEN_UNITS)))

    assert caught.value.metadata["incident"] in caught.value.description
    assert "a fault of ours" not in caught.value.description
