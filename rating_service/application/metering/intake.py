"""Taking usage in: what was delivered is debited or quarantined, never lost and never free.

Only what was delivered is quarantined: usage that may still be refused was not given to anybody, so its
refusal is the answer. A request that names no usage, or in no form, is refused too: there is nothing to keep.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from rating_service.application.metering.metered_usage import Refused
from rating_service.application.metering.quarantine import Cause, Entry, NewEntry, QuarantineStore, Received
from rating_service.application.metering.rate_usage import UsageRating
from rating_service.application.names import check_contract, check_usage_id
from rating_service.application.ports import Clock, History, Ledger, LedgerRefused, Posted
from rating_service.application.refusals import RequestRefused
from rating_service.domain.refusals import Reason, Refusal
from rating_service.domain.usage import Usage


class UsageIntake:
    """Records what was received, and keeps what cannot be rated."""

    def __init__(
        self,
        *,
        rating: UsageRating,
        store: QuarantineStore,
        ledger: Ledger,
        history: History,
        clock: Clock,
        max_lateness: timedelta,
        cause_of: Callable[[Refusal | RequestRefused | LedgerRefused], Cause],
    ) -> None:
        """Record by a rating. Usage older than `max_lateness` is kept for a person to decide on."""
        self._rating = rating
        self._store = store
        self._ledger = ledger
        self._history = history
        self._clock = clock
        self._max_lateness = max_lateness
        self._cause_of = cause_of

    async def record(self, received: Received, *, delivered: bool, min_position: int) -> Posted | Entry:
        """Debit a usage, or keep it if it was delivered and cannot be rated.

        Raises Refusal, RequestRefused, LedgerRefused.
        """
        now = await self._clock.now()
        try:
            return await self._debit(received, now, delivered=delivered, min_position=min_position)
        except (Refusal, LedgerRefused) as refusal:
            if not delivered or not self._cause_of(refusal).is_unrateable:
                raise
        # The contract or rate may be in the ledger and not yet followed: only what the ledger does not know
        # either is kept.
        try:
            head = await self._ledger.head_position()
            return await self._debit(received, now, delivered=delivered, min_position=head)
        except (Refusal, LedgerRefused) as refusal:
            cause = self._cause_of(refusal)
            if not cause.is_unrateable:
                raise
            return await self.keep(received, cause, now)

    async def record_many(
        self, received: Sequence[Received | RequestRefused], *, delivered: bool, min_position: int
    ) -> list[Posted | Entry | Refused]:
        """Debit usages in their sequence, or keep those that cannot be rated; each has its own outcome."""
        now = await self._clock.now()
        usages = [self._checked(each, now) for each in received]
        outcomes: list[Posted | Entry | Refused] = [
            *await self._rating.record_many(usages, delivered=delivered, min_position=min_position)
        ]
        kept = self._unrateable(outcomes) if delivered else []
        if not kept:
            return outcomes
        head = await self._ledger.head_position()
        again = await self._rating.record_many(
            [usages[index] for index in kept], delivered=True, min_position=head
        )
        for index, outcome in zip(kept, again, strict=True):
            outcomes[index] = outcome
        await self._keep_all(outcomes, received, now)
        return outcomes

    async def catch_up(self) -> None:
        """Follow what the ledger has recorded up to now. Refuses HISTORY_BEHIND after a while."""
        await self._history.wait_for(await self._ledger.head_position())

    def check(self, received: Received, arrival: datetime) -> None:
        """Refuse what cannot be read, and what arrived too late."""
        checked = self._checked(received, arrival)
        if not isinstance(checked, Usage):
            raise checked

    async def keep(self, received: Received, cause: Cause, now: datetime) -> Entry:
        """Put a usage into quarantine and return how it stands there."""
        [entry] = await self._store.add([_entry(received, cause, now)])
        return entry

    async def _keep_all(
        self,
        outcomes: list[Posted | Entry | Refused],
        received: Sequence[Received | RequestRefused],
        now: datetime,
    ) -> None:
        """Put in the place of each refusal that is to be kept its entry."""
        indexes: list[int] = []
        entries: list[NewEntry] = []
        for index in self._unrateable(outcomes):
            refusal, item = outcomes[index], received[index]
            if isinstance(item, Received) and isinstance(refusal, Refusal | LedgerRefused):
                indexes.append(index)
                entries.append(_entry(item, self._cause_of(refusal), now))
        if entries:
            for index, entry in zip(indexes, await self._store.add(entries), strict=True):
                outcomes[index] = entry

    def _unrateable(self, outcomes: Sequence[Posted | Entry | Refused]) -> list[int]:
        return [
            index
            for index, outcome in enumerate(outcomes)
            if isinstance(outcome, Refusal | LedgerRefused) and self._cause_of(outcome).is_unrateable
        ]

    async def _debit(
        self, received: Received, now: datetime, *, delivered: bool, min_position: int
    ) -> Posted:
        usage = self._checked(received, now)
        if not isinstance(usage, Usage):
            raise usage
        return await self._rating.record(usage, delivered=delivered, min_position=min_position)

    def _checked(
        self, received: Received | RequestRefused, now: datetime
    ) -> Usage | Refusal | RequestRefused:
        """Return the usage, or why it cannot even be priced."""
        if isinstance(received, RequestRefused):
            return received
        usage = received.usage
        if isinstance(usage, Refusal):
            return _named(received) or usage
        # It is late only if it has a name; naming is checked with the price, once, for all others.
        if now - usage.effective_time > self._max_lateness:
            return _named(received) or _too_late(usage, self._max_lateness)
        return usage


def _named(received: Received) -> RequestRefused | None:
    """Return why a usage cannot be kept: it does not name itself or its contract; and why it would have been."""
    try:
        check_usage_id(received.usage_id, field="usage.id")
        check_contract(received.contract, field="usage.contract")
    except RequestRefused as refusal:
        flaw = received.usage
        if not isinstance(flaw, Refusal):
            return refusal
        return RequestRefused(
            refusal.reason, f"{refusal.message}, and {flaw.message}", field=refusal.field, **refusal.metadata
        )
    return None


def _too_late(usage: Usage, max_lateness: timedelta) -> Refusal:
    return Refusal(
        Reason.TOO_LATE,
        f"the usage happened at {usage.effective_time.isoformat()}, more than {_span(max_lateness)} ago",
    )


def _span(span: timedelta) -> str:
    """Return a span in whole days where it is some."""
    return f"{span.days} days" if span == timedelta(span.days) else str(span)


def _entry(received: Received, cause: Cause, now: datetime) -> NewEntry:
    return NewEntry(
        received.usage_id,
        received.contract,
        received.effective_time,
        cause.domain,
        cause.reason,
        cause.message,
        now,
        received.form(),
    )
