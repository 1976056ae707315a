"""`rating prices import litellm`: a provider price list becomes a rate card, and its changes a new phase.

Importing is safe to repeat: a list whose prices for the models that are meant are those of the card's last
phase publishes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import typer
from rich.console import Console

from rating_service.cli.cards.card_diff import PhaseDiff, diff_phases
from rating_service.cli.cards.card_file import RateCardFile, card_of
from rating_service.cli.cards.card_publication import ensure_card, publish_phase
from rating_service.cli.cards.card_text import card_text
from rating_service.cli.cards.diff_table import diff_tree, print_diff
from rating_service.cli.cards.list_card import (
    DECIMALS_MAX,
    ROUND_DECIMALS_DEFAULT,
    CardTerms,
    ListCard,
    Selection,
    counted,
    exact_number,
    make_card,
    select,
)
from rating_service.cli.cards.litellm_list import CURRENCY, ListRefused, PriceList, read_list_file
from rating_service.cli.connection import open_ledger, print_json, printed_json
from rating_service.cli.instants import parse_instant

ROUNDED_SHOWN_MAX: Final = 10
"""Rounded prices in the summary for people; JSON has all."""
_SCALES: Final = {CURRENCY: 9}
_SCALE_DEFAULT: Final = 6

app = typer.Typer(help="Price lists of providers.", no_args_is_help=True)
import_app = typer.Typer(help="Make a rate card of a price list.", no_args_is_help=True)
app.add_typer(import_app, name="import")


class Published(NamedTuple):
    """What an import did to a card; an empty `phase` means that nothing had changed."""

    phase: str
    diff: PhaseDiff | None
    """Against the last phase; None where the card had none."""


@import_app.callback()
def import_prices() -> None:
    """Make a rate card of a price list."""
    # With a callback the format is named even while there is only one.


@import_app.command()
def litellm(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="JSON, plain or gzipped.")],
    card: Annotated[str, typer.Option(help="The card's id: rateCards/{card}.")] = "llm",
    from_time: Annotated[str, typer.Option("--from", help="First instant of the phase.")] = "",
    markup: Annotated[str, typer.Option(help="Factor on the cost: 1.2 adds a fifth.")] = "1",
    credit_rate: Annotated[
        str, typer.Option(help='Money per credit, "0.01 USD". Without it the card is in USD.')
    ] = "",
    asset: Annotated[str, typer.Option(help="Asset of the card. Default CREDIT or USD.")] = "",
    scale: Annotated[int | None, typer.Option(help="Its scale. Default 6, for USD 9.")] = None,
    decimals: Annotated[
        int, typer.Option(min=0, max=DECIMALS_MAX, help="Decimals of a price that is not exact, half up.")
    ] = ROUND_DECIMALS_DEFAULT,
    provider: Annotated[list[str] | None, typer.Option(help="Only this provider; repeatable.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="Only these models, 'gpt-4*'; repeatable.")] = None,
    mode: Annotated[list[str] | None, typer.Option(help="Only this mode, chat; repeatable.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write a card file.")] = None,
    publish: Annotated[bool, typer.Option(help="Publish what has changed as a phase.")] = False,
    retroactive: Annotated[bool, typer.Option(help="Let the card's first phase begin in the past.")] = False,
    as_json: Annotated[bool, printed_json()] = False,
) -> None:
    """Read a price list in the format of LiteLLM; write a card file of it, publish it, or only count."""
    if (publish or output) and not from_time:
        raise typer.BadParameter("--from is needed to say when the prices begin to apply")
    rate = _credit_rate(credit_rate)
    code = asset or ("CREDIT" if credit_rate else CURRENCY)
    if not credit_rate and code != CURRENCY:
        raise typer.BadParameter(f"--credit-rate is needed to say what one {code} is worth")
    terms = CardTerms(
        rate_card=card,
        display_name=f"Model prices from {file.name}"[:200],
        asset_code=code,
        asset_scale=_SCALES.get(code, _SCALE_DEFAULT) if scale is None else scale,
        from_time=_instant_text(from_time) if from_time else "1970-01-01T00:00:00Z",
        markup=_number(markup, "--markup"),
        credit_rate=rate,
        round_decimals=decimals,
    )
    try:
        found = read_list_file(file)
    except ListRefused as refused:
        raise typer.BadParameter(str(refused)) from None
    chosen = select(found.models, Selection(provider or (), model or (), mode or ()))
    if not any(each.costs for each in chosen):
        raise typer.BadParameter(f"{file} has no prices of models that fit the options")
    made = make_card(chosen, terms)
    if output is not None:
        output.write_text(card_text(made.tree, heading=_heading(markup, credit_rate)), encoding="utf-8")
    published = _publish(card_of(made.tree), retroactive=retroactive) if publish else None
    dimensions = counted(chosen)
    if as_json:
        print_json(_tree(found, made, dimensions, published))
    else:
        _print(found, made, dimensions)
        if published is not None:
            _print_published(published, card)


def _publish(card: RateCardFile, *, retroactive: bool) -> Published:
    """Publish the card's phase unless the last one that is published prices alike."""
    (phase,) = card.phases
    with open_ledger() as channel:
        existing = ensure_card(channel, card)
        diff = diff_phases(existing.phases[-1], phase) if existing.phases else None
        if diff is not None and diff.is_empty:
            return Published("", diff)
        answer = publish_phase(channel, card.rate_card_id, phase, retroactive=retroactive)
    return Published(answer.phase.name, diff)


def _print(found: PriceList, made: ListCard, dimensions: Mapping[str, int]) -> None:
    console = Console(highlight=False)
    rates = len(made.tree["phases"][0]["rates"])
    console.print(
        f"{made.model_count:,} models, {rates:,} rates; {len(made.unpriced):,} models without a price"
    )
    console.print("prices: " + ", ".join(f"{name} {count:,}" for name, count in sorted(dimensions.items())))
    for (key, reason), count in sorted(found.skipped.items(), key=lambda each: (-each[1], each[0])):
        console.print(f"left out: {key} of {count:,} models of the list: {reason}")
    if made.rounded:
        console.print(f"rounded, half up: {len(made.rounded):,} prices")
    for each in made.rounded[:ROUNDED_SHOWN_MAX]:
        console.print(f"  {each.model} {each.dimension}: {each.exact} became {each.price}")


def _print_published(published: Published, card: str) -> None:
    if published.diff is not None:
        print_diff(published.diff, title=f"rateCards/{card}")
    print(f"{published.phase}: published" if published.phase else "nothing to publish")


def _tree(
    found: PriceList, made: ListCard, dimensions: Mapping[str, int], published: Published | None
) -> dict[str, Any]:
    tree: dict[str, Any] = {
        "models": made.model_count,
        "rates": len(made.tree["phases"][0]["rates"]),
        "prices_by_dimension": dict(sorted(dimensions.items())),
        "models_without_price": made.unpriced,
        "left_out": [
            {"key": key, "reason": reason, "models": count}
            for (key, reason), count in sorted(found.skipped.items())
        ],
        "rounded": [each._asdict() for each in made.rounded],
    }
    if published is not None:
        tree["phase"] = published.phase
        tree["diff"] = None if published.diff is None else diff_tree(published.diff)
    return tree


def _heading(markup: str, credit_rate: str) -> str:
    return f"Made of a price list: cost x {markup}" + (f" / {credit_rate} a credit." if credit_rate else ".")


def _credit_rate(text: str) -> Fraction:
    """Return the money that one credit is worth; 1 if there are no credits."""
    if not text:
        return Fraction(1)
    amount, _, currency = text.partition(" ")
    if currency != CURRENCY:
        raise typer.BadParameter(f"--credit-rate must be in the list's currency, as in '0.01 {CURRENCY}'")
    return _number(amount, "--credit-rate")


def _number(text: str, option: str) -> Fraction:
    try:
        number = exact_number(text)
    except ValueError as error:
        raise typer.BadParameter(f"{option}: {error}") from None
    if number == 0:
        raise typer.BadParameter(f"{option}: must be above 0")
    return number


def _instant_text(text: str) -> str:
    # A card file says UTC, with a Z.
    instant = parse_instant(text).astimezone(UTC)
    return instant.isoformat().replace("+00:00", "Z")
