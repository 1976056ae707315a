"""A contract's cycles are the periods of its grants in the ledger, so that credit rolls over where a cycle ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ledger_service.domain.commands import RecurrenceTerms
from ledger_service.domain.events import CreditsGranted
from rating_service.adapters.ledger.included_grants import recurrence_message
from rating_service.domain.agreements.agreement import Cycle, CycleInterval, IncludedRollOver
from rating_service.domain.agreements.cycles import cycle_at
from tests.builders import book, grant, open_wallet

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Pacific/Apia", "Australia/Lord_Howe")
FIRST = datetime(1995, 1, 1, tzinfo=UTC)
INSTANTS = st.integers(0, 65 * 365 * 96).map(lambda count: FIRST + count * timedelta(minutes=15))
CYCLES = st.builds(
    Cycle,
    interval=st.sampled_from(CycleInterval),
    anchor_time=INSTANTS,
    count=st.integers(1, 14),
    zone=st.sampled_from(ZONES),
)


@given(CYCLES, INSTANTS)
def test_an_included_grant_that_rolls_over_ends_with_its_cycle(cycle: Cycle, instant: datetime) -> None:
    message = recurrence_message(cycle, IncludedRollOver("50"))
    terms = RecurrenceTerms(
        message.period,
        message.zone,
        message.period_count,
        anchor_time=message.anchor_time.ToDatetime(tzinfo=UTC),
    )
    ledger = book(open_wallet(), now=FIRST)
    ledger.run(grant(1, effective_time=instant, recurrence=terms), FIRST)
    ends = [each.fact.event.expire_time for each in ledger.log if isinstance(each.fact.event, CreditsGranted)]

    assert ends == [cycle_at(cycle, instant).end_time]
