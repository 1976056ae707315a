"""Names of what is part of a wallet: grants, debits, holds and reversals, each named by its event's version."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from ledger_service.domain.names import check_name
from ledger_service.domain.refusals import FieldMalformed, FieldRequired
from ledger_service.domain.values import UNITS_MAX

_VERSION: Final = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)


class PartName(NamedTuple):
    """wallets/{wallet}/{collection}/{version}."""

    wallet: str
    version: int


def read_part_name(name: str, *, collection: str, field: str = "name") -> PartName:
    """Return what a name says: the version is a positive int64 without leading zeros.

    Raises FieldRequired, FieldMalformed.
    """
    if not name:
        raise FieldRequired(f"{field} is required", field=field)
    wallet, _, number = name.rpartition(f"/{collection}/")
    if not wallet or _VERSION.fullmatch(number) is None or int(number) > UNITS_MAX:
        raise FieldMalformed(
            f"{field} {name[:200]!r} is not of the form wallets/{{id}}/{collection}/{{number}}", field=field
        )
    check_name(wallet, collection="wallets", field=field)
    return PartName(wallet, int(number))


def write_part_name(wallet: str, collection: str, version: int) -> str:
    """Return the name of a part of a wallet."""
    return f"{wallet}/{collection}/{version}"
