"""Sending usages in the order of time, with the clock moved along and the month's milestones in between.

The usages of a made-up month on the Sandbox plan are sent so that they are refused when credit lacks, as a
gateway would that asks before it serves. All others, and every row of a trace, have been served already: they
are recorded in every mode.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Context, Decimal
from itertools import islice
from typing import Final, NamedTuple

import msgspec
from google.rpc import status_pb2

from credits.rating.v1 import rating_service_pb2
from deploy.demo.customers import PlanName
from deploy.demo.services import CALL_SECONDS_MAX, DemoFailed, SandboxClock, Services, reason_of, stamp
from deploy.demo.traffic import Usage

BATCH_MAX: Final = 500
"""Usages in one batch: the clock stands still while a batch is recorded, so a batch spans some hours."""
SINGLE_CALLS: Final = 5
"""So many of the first usages are sent one by one."""
REFUSED_WHEN_SHORT: Final = "INSUFFICIENT_CREDIT"

EXACT: Final = Context(prec=60)
"""More digits than the sum of a million int64 amounts with 18 decimals has: no addition rounds."""


class Milestone(NamedTuple):
    """Something that happens at an instant, before the usages of that instant and later."""

    time: datetime
    happen: Callable[[], None] = lambda: None


class Outcome(msgspec.Struct):
    """What became of the usages that were sent. Mutable: each answer is added as it comes."""

    recorded: list[Usage] = []
    refused: list[Usage] = []
    sent_again: int = 0
    recognised: int = 0
    """How many of those sent again were answered with what was recorded before."""
    exact_units_by_phase: dict[str, Decimal] = {}
    count_by_phase: Counter[str] = msgspec.field(default_factory=Counter)
    debited_units: Counter[str] = msgspec.field(default_factory=Counter)
    """By the key of the customer, like the next."""
    overage_units: Counter[str] = msgspec.field(default_factory=Counter)

    def add(self, usage: Usage, answer: rating_service_pb2.RecordUsageResponse) -> None:
        """Count a recorded usage by what its debit and charge say."""
        phase, exact = answer.charge.rate_card_phase, Decimal(answer.charge.exact_units)
        self.recorded.append(usage)
        self.exact_units_by_phase[phase] = EXACT.add(self.exact_units_by_phase.get(phase, Decimal(0)), exact)
        self.count_by_phase[phase] += 1
        self.debited_units[usage.customer.key] += answer.debit.amount_units
        self.overage_units[usage.customer.key] += answer.debit.overage_units


class Replay:
    """Sends usages. `served` ones are never refused; `min_position` is what the catalogue must have seen."""

    def __init__(self, services: Services, clock: SandboxClock, *, served: bool) -> None:
        """Send nothing yet."""
        self.outcome = Outcome()
        self.min_position = 0
        self._services = services
        self._clock = clock
        self._served = served
        self._last_batch: list[Usage] = []
        self._singles_left = SINGLE_CALLS

    def run(
        self, usages: Sequence[Usage], milestones: Iterable[Milestone], *, on_progress: Callable[[int], None]
    ) -> None:
        """Send all usages and let each milestone happen in its time; report how many were sent."""
        sent = 0
        for milestone in sorted(milestones, key=lambda each: each.time):
            until = next(
                (at for at in range(sent, len(usages)) if usages[at].time >= milestone.time), len(usages)
            )
            self._send_all(usages[sent:until], on_progress)
            sent = until
            self._clock.advance(milestone.time)
            milestone.happen()
        self._send_all(usages[sent:], on_progress)

    def send_again(self) -> None:
        """Send the last batch of served usages once more, as a caller does that lost the answer."""
        if self._last_batch:
            answers = self._batch(self._last_batch, refuse_when_short=False)
            self.outcome.sent_again = len(answers)
            self.outcome.recognised = sum(result.response.replayed for result in answers)

    def is_refused(self, usage: Usage) -> bool:
        """Ask for a usage on the condition that there is credit for it; return whether it was refused."""
        (result,) = self._batch([usage], refuse_when_short=True)
        return result.HasField("error") and reason_of(result.error) == REFUSED_WHEN_SHORT

    def _send_all(self, usages: Sequence[Usage], on_progress: Callable[[int], None]) -> None:
        for chunk in chunks(usages):
            self._clock.advance(chunk[-1].time)
            singles, chunk = chunk[: self._singles_left], chunk[self._singles_left :]
            self._singles_left -= len(singles)
            for usage in singles:
                self._send_one(usage)
            asking = [each for each in chunk if self._may_be_refused(each)]
            self._send_batch(asking, refuse_when_short=True)
            self._send_batch(
                [each for each in chunk if not self._may_be_refused(each)], refuse_when_short=False
            )
            on_progress(len(singles) + len(chunk))

    def _may_be_refused(self, usage: Usage) -> bool:
        return not self._served and usage.customer.plan is PlanName.SANDBOX

    def _send_one(self, usage: Usage) -> None:
        request = rating_service_pb2.RecordUsageRequest(
            usage=message_of(usage),
            refuse_when_short=self._may_be_refused(usage),
            min_position=self.min_position,
        )
        self.outcome.add(usage, self._services.rating.RecordUsage(request, timeout=CALL_SECONDS_MAX))
        self._last_batch = [] if request.refuse_when_short else [usage]

    def _send_batch(self, usages: list[Usage], *, refuse_when_short: bool) -> None:
        if not usages:
            return
        for usage, result in zip(
            usages, self._batch(usages, refuse_when_short=refuse_when_short), strict=True
        ):
            if result.HasField("quarantined"):
                raise DemoFailed(f"usage {usage.id} cannot be rated: {result.quarantined.message}")
            if result.HasField("error"):
                self._take_refusal(usage, result.error)
            else:
                self.outcome.add(usage, result.response)
        if not refuse_when_short:
            self._last_batch = usages

    def _batch(
        self, usages: Sequence[Usage], *, refuse_when_short: bool
    ) -> Sequence[rating_service_pb2.BatchRecordUsageResult]:
        request = rating_service_pb2.BatchRecordUsageRequest(
            usages=map(message_of, usages),
            refuse_when_short=refuse_when_short,
            min_position=self.min_position,
        )
        return self._services.rating.BatchRecordUsage(request, timeout=CALL_SECONDS_MAX).results

    def _take_refusal(self, usage: Usage, status: status_pb2.Status) -> None:
        if reason_of(status) != REFUSED_WHEN_SHORT:
            raise DemoFailed(f"usage {usage.id} was refused: {reason_of(status)} {status.message}")
        self.outcome.refused.append(usage)


def chunks(usages: Sequence[Usage]) -> Iterator[list[Usage]]:
    """Yield the usages in batches."""
    remaining = iter(usages)
    while chunk := list(islice(remaining, BATCH_MAX)):
        yield chunk


def message_of(usage: Usage) -> rating_service_pb2.Usage:
    """Return a usage as the service takes it."""
    quantities = {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
    if usage.cached_tokens:
        quantities["cached_input_tokens"] = usage.cached_tokens
    return rating_service_pb2.Usage(
        id=usage.id,
        contract=usage.customer.contract,
        effective_time=stamp(usage.time),
        properties={"model": usage.model},
        quantities=quantities,
    )
