"""Usage by day and group, from the sums that the rollup keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from hashlib import sha256
from typing import Final, NamedTuple

import msgspec

from rating_service.application.names import (
    check_contract,
    checked_page_size,
    checked_position,
    is_wallet,
    last_of_page,
    page_token,
)
from rating_service.application.ports import History
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.application.reporting.report_ports import (
    Rollup,
    RollupCheck,
    UsageQuery,
    UsageReader,
    UsageRow,
    UsageSheet,
)
from rating_service.domain.agreements import catalogue as catalogues
from rating_service.domain.agreements.agreement import Contract
from rating_service.domain.reports.usage_report import REPORT_DAYS_MAX, UsageGroup

FILTER_VALUES_MAX: Final = 100
"""Values of which a filter keeps what has one."""
NUL: Final = "\0"
_DIGEST_LENGTH: Final = 16


class UsageAsked(NamedTuple):
    """A report as it is asked for; days are ISO 8601 text."""

    name: str
    from_day: str
    to_day: str
    is_local: bool
    groups: Sequence[UsageGroup]
    filters: Sequence[tuple[UsageGroup, Sequence[str]]]


class UsagePage(NamedTuple):
    """Groups in order, what all of them add up to, and the token of the next page, empty if there is none.

    `contract` is the one that was asked for, None for a wallet.
    """

    rows: Sequence[UsageRow]
    sheet: UsageSheet
    contract: Contract | None
    next_page_token: str


class Subject(NamedTuple):
    """Whose usage: a wallet's, or that of a contract in its wallet."""

    wallet: str
    contract: Contract | None


class UsageReporting:
    """Reads reports on usage, and checks the sums that they are made of."""

    def __init__(self, *, history: History, rollup: Rollup, reader: UsageReader) -> None:
        """Read sums that a rollup keeps of a history."""
        self._history = history
        self._rollup = rollup
        self._reader = reader

    async def usage(self, asked: UsageAsked, *, page_size: int, token: str, min_position: int) -> UsagePage:
        """Return a page of groups. Refuses UNKNOWN_CONTRACT and what no report can be made of."""
        check_subject(asked.name)
        from_day, to_day = _checked_days(asked.from_day, asked.to_day)
        groups, filters = _checked_groups(asked.groups), _checked_filters(asked.filters)
        limit = checked_page_size(page_size)
        after = _last_group(token, asked)
        await catch_up(self._history, self._rollup, min_position)
        subject = subject_of(self._history, asked.name)
        sheet = await self._reader.sheet(
            UsageQuery(
                wallet=subject.wallet,
                contract=subject.contract.name if subject.contract else "",
                from_day=from_day,
                to_day=to_day,
                is_local=asked.is_local,
                groups=groups,
                filters=filters,
                after=after,
                limit=limit + 1,
            )
        )
        more = len(sheet.rows) > limit
        rows = sheet.rows[:limit]
        return UsagePage(rows, sheet, subject.contract, _token(rows[-1], asked) if more else "")

    async def check(self, *, repair: bool) -> RollupCheck:
        """Compare the stored sums with those folded anew, and with `repair` replace them if they differ."""
        return await self._rollup.check(repair=repair)


async def catch_up(history: History, rollup: Rollup, min_position: int) -> None:
    """Return once usage up to a position is counted. Refuses NUMBER_OUT_OF_RANGE, HISTORY_BEHIND."""
    if checked_position(min_position):
        await history.wait_for(min_position)
    await rollup.catch_up(min_position)


def check_subject(name: str) -> None:
    """Refuse what is neither contracts/{contract} nor wallets/{wallet}."""
    if name.startswith("wallets/") and not is_wallet(name):
        raise RequestRefused(
            RequestReason.FIELD_MALFORMED, f"name {name[:80]!r} is not wallets/{{wallet}}", field="name"
        )
    if not is_wallet(name):
        check_contract(name, field="name")


def subject_of(history: History, name: str) -> Subject:
    """Return whose usage a checked name asks for. Refuses UNKNOWN_CONTRACT."""
    if is_wallet(name):
        return Subject(name, None)
    contract = catalogues.contract(history.catalogue, name)
    return Subject(contract.wallet, contract)


def _checked_days(from_text: str, to_text: str) -> tuple[date, date]:
    from_day, to_day = _checked_day(from_text, field="from_day"), _checked_day(to_text, field="to_day")
    if not timedelta(days=1) <= to_day - from_day <= timedelta(days=REPORT_DAYS_MAX):
        raise RequestRefused(
            RequestReason.NUMBER_OUT_OF_RANGE,
            f"to_day is {(to_day - from_day).days} days after from_day, not 1 to {REPORT_DAYS_MAX}",
            field="to_day",
        )
    return from_day, to_day


def _checked_day(text: str, *, field: str) -> date:
    if not text:
        raise RequestRefused(RequestReason.FIELD_REQUIRED, f"{field} is required", field=field)
    if not _is_day(text):
        raise RequestRefused(
            RequestReason.TIME_MALFORMED, f"{field} {text[:40]!r} is not a day, YYYY-MM-DD", field=field
        )
    return date.fromisoformat(text)


def _checked_groups(groups: Sequence[UsageGroup]) -> tuple[UsageGroup, ...]:
    if len(set(groups)) < len(groups):
        raise RequestRefused(RequestReason.FIELD_MALFORMED, "group_by names a group twice", field="group_by")
    return tuple(groups)


def _checked_filters(
    filters: Sequence[tuple[UsageGroup, Sequence[str]]],
) -> Mapping[UsageGroup, Sequence[str]]:
    found: dict[UsageGroup, Sequence[str]] = {}
    for group, values in filters:
        if group is UsageGroup.DAY or group in found:
            cause = "days are filtered by from_day and to_day" if group is UsageGroup.DAY else "twice"
            raise RequestRefused(
                RequestReason.FIELD_MALFORMED, f"filters: {group.value}: {cause}", field="filters.group"
            )
        if not 1 <= len(values) <= FILTER_VALUES_MAX:
            raise RequestRefused(
                RequestReason.NUMBER_OUT_OF_RANGE,
                f"filters: {group.value} has {len(values)} values, not 1 to {FILTER_VALUES_MAX}",
                field="filters.values",
            )
        if any(NUL in value for value in values):
            raise RequestRefused(
                RequestReason.FIELD_MALFORMED,
                f"filters: {group.value} has a value with U+0000, which no name has",
                field="filters.values",
            )
        found[group] = list(values)
    return found


def _token(last: UsageRow, asked: UsageAsked) -> str:
    return page_token(msgspec.json.encode([_digest(asked), *last.values]).decode())


def _last_group(token: str, asked: UsageAsked) -> tuple[str, ...]:
    """Return the group after which a page begins, () for the first. Refuses PAGE_TOKEN_MALFORMED."""
    text = last_of_page(token)
    if not text:
        return ()
    try:
        digest, *values = msgspec.json.decode(text, type=tuple[str, ...])
    except (msgspec.MsgspecError, ValueError):
        digest, values = "", []
    if digest != _digest(asked) or not _could_be_group(values, asked.groups):
        raise RequestRefused(
            RequestReason.PAGE_TOKEN_MALFORMED, "page_token is not of this request", field="page_token"
        )
    return tuple(values)


def _could_be_group(values: Sequence[str], groups: Sequence[UsageGroup]) -> bool:
    """Say whether a store can look for these values; tokens are no secret, and anybody may write one."""
    days = [text for text, group in zip(values, groups, strict=False) if group is UsageGroup.DAY]
    return len(values) == len(groups) and all(map(_is_day, days)) and not any(NUL in text for text in values)


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _digest(asked: UsageAsked) -> str:
    """Return what tells a report from another, so that no page is taken for one of another report."""
    return sha256(msgspec.json.encode(asked)).hexdigest()[:_DIGEST_LENGTH]
