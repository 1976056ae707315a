"""The chart of accounts in a file: a JSON object of account codes and what they are called."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ledger_service.domain.finance.accounts import DEFAULT_CHART, Account, Chart


class ChartFileError(Exception):
    """The chart cannot be read, or two accounts have one name; the message says which file."""


def read_chart(file: str) -> Chart:
    """Return what the accounts are called; without a file, by default. Raises ChartFileError."""
    if not file:
        return DEFAULT_CHART
    try:
        names = msgspec.json.decode(Path(file).read_bytes(), type=dict[Account, str])
    except (OSError, msgspec.DecodeError) as error:
        raise ChartFileError(f"{file}: {error}") from error
    chart = Chart(names)
    called = [chart.name(account) for account in Account]
    if len(set(called)) < len(called):
        raise ChartFileError(f"{file}: two accounts have one name")
    return chart
