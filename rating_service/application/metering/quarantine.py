"""The quarantine: usage that could not be rated, kept as it came until it is recorded or dismissed.

A retry debits under the usage's own id and effective time, so the ledger sees to it that it counts once: a
retry that breaks off before its outcome is noted is answered by the first debit. What was debited cannot be
dismissed, whether a retry did it that broke off or its caller who sent it again; an entry that was dismissed while a
retry was debiting it counts as recorded, because the debit is what is true.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, NamedTuple, Protocol

import msgspec

from rating_service.application.metering.rate_usage import UsageRating
from rating_service.application.ports import History, Ledger, LedgerRefused, Posted
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.domain.agreements.agreement import Contract
from rating_service.domain.agreements.index import find
from rating_service.domain.refusals import Reason, Refusal
from rating_service.domain.usage import Usage

NAMES_MAX: Final = 1_000
"""Entries in one call that names them, as in a page."""
PERSON_LENGTH_MAX: Final = 200
"""Characters of an actor and of a reason."""


class Cause(NamedTuple):
    """Why a usage was not debited. `is_unrateable`: what was delivered cannot be charged as things stand."""

    domain: str
    reason: str
    message: str
    is_unrateable: bool


def is_passing(refusal: Refusal | RequestRefused | LedgerRefused) -> bool:
    """Tell whether a refusal says nothing of the usage: it is to be tried again and not kept."""
    match refusal:
        case LedgerRefused():
            # Priced on stale totals to the last: others were always counted first.
            return refusal.is_passing or bool(refusal.true_totals)
        case RequestRefused():
            return refusal.reason is RequestReason.HISTORY_BEHIND
        case Refusal():
            return False


class Received(NamedTuple):
    """A usage as it came: what of it could be read, and its bytes."""

    usage_id: str
    contract: str
    effective_time: datetime | None
    usage: Usage | Refusal
    form: Callable[[], bytes]

    @property
    def identity(self) -> str:
        """What all chunks of one answer say alike; empty if it could not be read."""
        usage = self.usage
        if isinstance(usage, Refusal):
            return ""
        return "\n".join((usage.effective_time.isoformat(), usage.feature, usage.api_key, usage.user))


class NewEntry(NamedTuple):
    """What is put into quarantine."""

    usage_id: str
    contract: str
    effective_time: datetime | None
    domain: str
    reason: str
    message: str
    receive_time: datetime
    received: bytes


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A usage in quarantine. `state` is WAITING, RECORDED or DISMISSED."""

    number: int
    usage_id: str
    contract: str
    effective_time: datetime | None
    domain: str
    reason: str
    message: str
    state: str
    receive_time: datetime
    retry_count: int
    position: int
    dismiss_actor: str
    dismiss_reason: str
    received: bytes


class Filter(NamedTuple):
    """Which entries: those of a reason, a contract and a state, each unless it is empty."""

    reason: str = ""
    contract: str = ""
    state: str = ""


class QuarantineStore(Protocol):
    """Where entries are kept. Every method raises StoreUnavailableError."""

    async def add(self, entries: Sequence[NewEntry]) -> list[Entry]:
        """Keep entries and return each as it stands; what is there already is left as it is."""

    async def numbered(self, numbers: Sequence[int]) -> list[Entry]:
        """Return those of these entries that there are."""

    async def page(self, wanted: Filter, *, after: int, limit: int) -> list[Entry]:
        """Return entries by number after a number."""

    async def retried(self, number: int, cause: Cause) -> Entry:
        """Note a retry that failed."""

    async def recorded(self, number: int, position: int) -> Entry:
        """Note that an entry was debited."""

    async def dismissed(self, number: int, *, actor: str, reason: str) -> Entry:
        """Note that an entry is given up, if it still waits."""


class RecordedUsage(Protocol):
    """The debits that were followed. Raises StoreUnavailableError."""

    async def has(self, contract: Contract, usage_id: str, effective_time: datetime) -> bool:
        """Tell whether a usage was debited, or another one under its id at the same instant."""


class Outcome(NamedTuple):
    """What became of an entry in a call: how it stands, the debit if there is one, or why nothing was done."""

    entry: Entry | None
    posted: Posted | None = None
    refusal: RequestRefused | None = None


class Quarantine:
    """Retries and dismisses what could not be rated."""

    def __init__(
        self,
        *,
        rating: UsageRating,
        store: QuarantineStore,
        recorded: RecordedUsage,
        ledger: Ledger,
        history: History,
        read: Callable[[bytes], Received],
        cause_of: Callable[[Refusal | RequestRefused | LedgerRefused], Cause],
    ) -> None:
        """Keep entries in a store. `read` reads the bytes of an entry as those of a call are read."""
        self._rating = rating
        self._store = store
        self._recorded = recorded
        self._ledger = ledger
        self._history = history
        self._read = read
        self._cause_of = cause_of

    async def page(self, wanted: Filter, *, after: int, limit: int) -> list[Entry]:
        """Return entries by number after a number."""
        return await self._store.page(wanted, after=after, limit=limit)

    async def numbered(self, numbers: Sequence[int]) -> list[Outcome]:
        """Return an outcome for each number, NOT_FOUND for what is not there. Refuses too many."""
        if not 1 <= len(numbers) <= NAMES_MAX:
            raise RequestRefused(
                RequestReason.NUMBER_OUT_OF_RANGE,
                f"{len(numbers)} names are outside 1 to {NAMES_MAX}",
                field="names",
            )
        found = {entry.number: entry for entry in await self._store.numbered(numbers)}
        return [
            Outcome(found[number]) if number in found else Outcome(None, refusal=_not_found(number))
            for number in numbers
        ]

    async def retry(self, entry: Entry, *, accept_late: bool) -> Outcome:
        """Rate an entry again and debit it.

        Raises LedgerUnavailableError, StoreUnavailableError, and what is passing.
        """
        if entry.state == "DISMISSED":
            return Outcome(
                entry, refusal=_settled(RequestReason.QUARANTINE_DISMISSED, entry, "was dismissed")
            )
        if entry.state == "RECORDED":
            return Outcome(
                entry, refusal=_settled(RequestReason.QUARANTINE_RECORDED, entry, "was recorded before")
            )
        # How late it was received never changes, so only a person can decide to take it.
        if entry.reason == Reason.TOO_LATE.value and not accept_late:
            cause = Cause(entry.domain, entry.reason, entry.message, is_unrateable=True)
            return Outcome(await self._store.retried(entry.number, cause))
        try:
            usage = self._read(entry.received).usage
            if isinstance(usage, Refusal):
                raise usage
            posted = await self._rating.record(usage, delivered=True, min_position=0)
        except (Refusal, RequestRefused, LedgerRefused) as refusal:
            if is_passing(refusal):
                raise
            return Outcome(await self._store.retried(entry.number, self._cause_of(refusal)))
        return Outcome(await self._store.recorded(entry.number, posted.position), posted)

    async def dismiss(self, entry: Entry, *, actor: str, reason: str) -> Outcome:
        """Give an entry up, unless it was debited. One that was given up before stays as it is.

        Raises LedgerUnavailableError, StoreUnavailableError.
        """
        if entry.state == "WAITING" and await self._was_debited(entry):
            # The ledger knows whether it was this one: then the retry is answered by the debit, else refused.
            outcome = await self.retry(entry, accept_late=True)
            entry = outcome.entry or entry
        if entry.state == "WAITING":
            entry = await self._store.dismissed(entry.number, actor=actor, reason=reason)
        if entry.state == "RECORDED":
            return Outcome(
                entry, refusal=_settled(RequestReason.QUARANTINE_RECORDED, entry, "was recorded before")
            )
        return Outcome(entry)

    async def _was_debited(self, entry: Entry) -> bool:
        """Tell whether a debit was recorded under an entry's id, noted or not."""
        await self._history.wait_for(await self._ledger.head_position())
        contract = find(self._history.catalogue.contracts, entry.contract)
        if contract is None or entry.effective_time is None:
            return False
        return await self._recorded.has(contract, entry.usage_id, entry.effective_time)


def check_person(text: str, *, field: str) -> None:
    """Refuse an actor or a reason that is empty or longer than PERSON_LENGTH_MAX."""
    if not text:
        raise RequestRefused(RequestReason.FIELD_REQUIRED, f"{field} is required", field=field)
    if len(text) > PERSON_LENGTH_MAX:
        raise RequestRefused(
            RequestReason.FIELD_TOO_LONG,
            f"{field} has {len(text)} characters, more than {PERSON_LENGTH_MAX}",
            field=field,
        )


def entry_name(number: int) -> str:
    """Return quarantinedUsages/{quarantined_usage}."""
    return f"quarantinedUsages/{number}"


def entry_number(name: str) -> int:
    """Return the number in quarantinedUsages/{quarantined_usage}. Refuses FIELD_MALFORMED."""
    collection, _, number = name.partition("/")
    if collection != "quarantinedUsages" or not (number.isascii() and number.isdigit() and len(number) <= 18):
        raise RequestRefused(
            RequestReason.FIELD_MALFORMED,
            f"names: {name[:80]!r} is not quarantinedUsages/{{quarantined_usage}}",
            field="names",
        )
    return int(number)


def _not_found(number: int) -> RequestRefused:
    return RequestRefused(
        RequestReason.QUARANTINE_NOT_FOUND, f"there is no {entry_name(number)}", field="names"
    )


def _settled(reason: RequestReason, entry: Entry, what: str) -> RequestRefused:
    return RequestRefused(reason, f"{entry_name(entry.number)} {what}", field="names")
