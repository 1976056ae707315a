"""Names of parts: a wallet's grants, debits, holds and reversals by their events' versions, a rate card's phases."""

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


class PhaseName(NamedTuple):
    """rateCards/{rate_card}/phases/{phase}."""

    rate_card: str
    phase: int


def read_phase_name(name: str, *, field: str = "name") -> PhaseName:
    """Return what the name of a rate card's phase says. Raises FieldRequired, FieldMalformed."""
    return PhaseName(*_split(name, "rateCards", "phases", field))


def read_part_name(name: str, *, collection: str, field: str = "name") -> PartName:
    """Return what a name says: the version is a positive int64 without leading zeros.

    Raises FieldRequired, FieldMalformed.
    """
    return PartName(*_split(name, "wallets", collection, field))


def write_part_name(wallet: str, collection: str, version: int) -> str:
    """Return the name of a part of a wallet."""
    return f"{wallet}/{collection}/{version}"


def _split(name: str, parents: str, collection: str, field: str) -> tuple[str, int]:
    if not name:
        raise FieldRequired(f"{field} is required", field=field)
    parent, _, number = name.rpartition(f"/{collection}/")
    if not parent or _VERSION.fullmatch(number) is None or int(number) > UNITS_MAX:
        raise FieldMalformed(
            f"{field} {name[:200]!r} is not of the form {parents}/{{id}}/{collection}/{{number}}", field=field
        )
    check_name(parent, collection=parents, field=field)
    return parent, int(number)
