"""Commands on legal entities."""

from __future__ import annotations

from datetime import datetime

from ledger_service.domain.commands.base import Command


class SetFunctionalCurrency(Command, frozen=True):
    """Keep the books of entities/{entity} in one currency."""

    entity: str
    currency_code: str


class SetExchangeRate(Command, frozen=True):
    """State what one unit of a currency is worth in the functional one, from an instant until the next rate."""

    entity: str
    currency_code: str
    rate: str
    from_time: datetime
    source: str = ""
