"""Trace cases: every row of a file of real requests is recorded on a fresh contract, and the charges are summed."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final, NamedTuple

from credits.ledger.v1 import agreement_pb2, wallet_pb2
from credits.rating.v1 import rating_service_pb2
from tests.acceptance.cases.case_files import Case
from tests.acceptance.cases.expected import Expected
from tests.acceptance.cases.fields import Fields, parse_instant, timestamp
from tests.acceptance.cases.rating_cards import CardPhase, priced, publish_card, rate_of
from tests.acceptance.cases.rating_contracts import Signed, Terms, record_many, sign
from tests.acceptance.cases.rating_quotes import CONTEXT, compound_phase
from tests.acceptance.cases.timeline import Playing, Rank, Session, Step
from tests.acceptance.cases.verdicts import Unsupported

TIME_COLUMN: Final = "TIMESTAMP"
CONTEXT_COLUMN: Final = "ContextTokens"
OUTPUT_COLUMN: Final = "GeneratedTokens"
INPUT_DIMENSION: Final = "input_tokens"
OUTPUT_DIMENSION: Final = "output_tokens"
UNIT_PRICES: Final = {"input": INPUT_DIMENSION, "output": OUTPUT_DIMENSION}
BATCH_ROWS: Final = 2_000
"""Usages in one call: half of the largest batch, so that an answer stays small."""
SECOND: Final = timedelta(seconds=1)


class Row(NamedTuple):
    """One request."""

    at: datetime
    input_tokens: int
    output_tokens: int


class Totals:
    """What all charges come to: exact amount, and rows by multiplier."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.amount = Decimal(0)
        self.rows: dict[Decimal, int] = {}

    def add(self, charge: wallet_pb2.Charge) -> None:
        """Add the charge of one row."""
        found = priced(charge)
        self.amount += found.amount
        for multiplier in found.multipliers:
            self.rows[multiplier] = self.rows.get(multiplier, 0) + 1

    def rows_named(self, expected: object) -> dict[str, int]:
        """Return the rows of each multiplier that is asked for, spelled as it is."""
        named = list(expected) if isinstance(expected, Mapping) else []
        return {name: self.rows.get(Decimal(name), 0) for name in named}


def plan_trace(given: Fields, expected: Expected, playing: Playing, case: Case) -> list[Step]:
    """Play a whole trace. Raises Unsupported if its file is not there or another one."""
    rows = read_rows(case.data_folder, given.text("file"))
    _check_totals(given, rows)
    phase, needs_context = _card_phase(given, case)
    given.finish()
    expected.offer("amount", "rows_per_multiplier")
    signed: list[Signed] = []

    async def begin(session: Session) -> None:
        card = await publish_card(session, playing, [phase])
        cycle = agreement_pb2.Cycle(interval=agreement_pb2.CYCLE_INTERVAL_MONTH)
        signed.append(await sign(session, playing, card, Terms(), cycle, session.now))

    async def run(session: Session) -> None:
        totals = Totals()
        for start in range(0, len(rows), BATCH_ROWS):
            batch = rows[start : start + BATCH_ROWS]
            usages = [_usage(playing, signed[0], row, needs_context=needs_context) for row in batch]
            for answer in await record_many(session, signed[0], usages):
                totals.add(answer.charge)
        named = totals.rows_named(expected.raw("rows_per_multiplier"))
        expected.compare(playing, {"amount": totals.amount, "rows_per_multiplier": named})

    first, last = min(row.at for row in rows), max(row.at for row in rows)
    return [Step(first, Rank.RESET, begin), Step(last + SECOND, Rank.USE, run)]


def read_rows(folder: Path, name: str) -> list[Row]:
    """Return the requests in a trace file. Raises Unsupported."""
    path = folder / Path(name).name
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            rows = [_row(line) for line in csv.DictReader(lines)]
    except OSError:
        raise Unsupported(f"file {name} is not in the folder of data") from None
    except (KeyError, ValueError, TypeError):
        raise Unsupported(f"file {name} is not a trace of {CONTEXT_COLUMN} and {OUTPUT_COLUMN}") from None
    if not rows:
        raise Unsupported(f"file {name} has no rows")
    return rows


def _row(line: Mapping[str, str]) -> Row:
    return Row(parse_instant(line[TIME_COLUMN]), int(line[CONTEXT_COLUMN]), int(line[OUTPUT_COLUMN]))


def _check_totals(given: Fields, rows: Sequence[Row]) -> None:
    """Raise Unsupported unless the file is the one that the case describes."""
    found = {
        "rows": len(rows),
        "input_tokens": sum(row.input_tokens for row in rows),
        "output_tokens": sum(row.output_tokens for row in rows),
    }
    for name, number in found.items():
        if given.integer(name, number) != number:
            raise Unsupported(f"another file of this name: {name} is {number}, not {given.integer(name)}")


def _card_phase(given: Fields, case: Case) -> tuple[CardPhase, bool]:
    """Return the prices, and whether they need to know the context window."""
    if "unit_prices" in given:
        prices = given.fields("unit_prices")
        rates = [rate_of(UNIT_PRICES[name], prices.decimal(name)) for name in UNIT_PRICES if name in prices]
        prices.finish()
        return CardPhase(rates), False
    given.ignore("rate_card")
    if given.text("context_tokens") != f"{CONTEXT_COLUMN} column":
        raise Unsupported(f"context_tokens {given.text('context_tokens')!r}")
    return compound_phase(Fields(find_card(given.raw("rate_card"), case.siblings), place="rate_card")), True


def find_card(named: object, siblings: Sequence[Mapping[str, object]]) -> object:
    """Return the card that is given, or the one card that the file's compound cases use. Raises Unsupported."""
    if isinstance(named, Mapping):
        return named
    cards: list[object] = []
    for sibling in siblings:
        given = sibling.get("input")
        card = given.get("rate_card") if isinstance(given, Mapping) else None
        if isinstance(card, Mapping) and card not in cards:
            cards.append(card)
    if len(cards) != 1:
        raise Unsupported(f"rate_card {named!r}: {len(cards)} cards in the file could be meant")
    return cards[0]


def _usage(playing: Playing, signed: Signed, row: Row, *, needs_context: bool) -> rating_service_pb2.Usage:
    return rating_service_pb2.Usage(
        id=playing.next_key(),
        contract=signed.contract,
        effective_time=timestamp(row.at),
        properties={CONTEXT: str(row.input_tokens)} if needs_context else {},
        quantities={INPUT_DIMENSION: row.input_tokens, OUTPUT_DIMENSION: row.output_tokens},
    )
