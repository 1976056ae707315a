"""`rating card diff`: what differs between two cards, each a file, a published card or one of its phases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer

from credits.ledger.v1 import agreement_pb2, money_pb2
from rating_service.cli.cards.card_diff import diff_phases
from rating_service.cli.cards.card_file import read_rate_card
from rating_service.cli.cards.card_publication import find_card
from rating_service.cli.cards.card_use import card_use, warn_unused
from rating_service.cli.cards.diff_table import diff_tree, print_diff
from rating_service.cli.connection import open_ledger, print_json, printed_json

_COLLECTION: Final = "rateCards/"


class _Side(NamedTuple):
    name: str
    card: str
    asset: money_pb2.Asset
    phase: agreement_pb2.RateCardPhase


def diff(
    old: Annotated[str, typer.Argument(help="YAML file, rateCards/{rate_card} or one of its phases.")],
    new: Annotated[str, typer.Argument(help="The same; of several phases the last one counts.")],
    as_json: Annotated[bool, printed_json()] = False,
) -> None:
    """Show which rates differ, and by how many per cent. Exits 0 whether they do or not."""
    before, after = _side(old), _side(new)
    if before.asset != after.asset:
        raise typer.BadParameter(f"{before.name} and {after.name} are not in the same asset")
    found = diff_phases(before.phase, after.phase)
    used = card_use(after.card)
    if as_json:
        print_json({"old": before.name, "new": after.name, "used": used, **diff_tree(found)})
    else:
        print_diff(found, title=f"{before.name} -> {after.name}")
    warn_unused(after.card, used)


def _side(text: str) -> _Side:
    if not text.startswith(_COLLECTION):
        card = read_rate_card(Path(text).read_text(encoding="utf-8"), file=text)
        return _Side(text, f"{_COLLECTION}{card.rate_card_id}", card.rate_card.asset, card.phases[-1])
    name = "/".join(text.split("/")[:2])
    with open_ledger() as channel:
        found = find_card(channel, name)
    phases = [] if found is None else [each for each in found.phases if text in (name, each.name)]
    if found is None or not phases:
        raise typer.BadParameter(f"{text} is not published")
    return _Side(phases[-1].name, name, found.asset, phases[-1])
