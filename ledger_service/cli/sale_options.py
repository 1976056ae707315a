"""Options that say on which terms credit is sold, and the terms as people read them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from google.protobuf.json_format import ParseDict, ParseError

from credits.ledger.v1 import sale_terms_pb2, wallet_pb2
from ledger_service.cli.client import fail
from ledger_service.cli.money import read_money, show_money
from ledger_service.cli.rules_file import TextTimes

Tax = Annotated[str, typer.Option(help="Sales tax beside the price, as 19 USD.")]
Breakage = Annotated[str, typer.Option(help="Fraction of units never used, from 0 and below 1.")]
Pool = Annotated[str, typer.Option(help="breakagePools/{pool} that estimates it.")]
BonusUnits = Annotated[int, typer.Option(help="How many of the units were given with the rest.")]
Product = Annotated[str, typer.Option(help="What is sold, for reports.")]
Entity = Annotated[str, typer.Option(help="Legal entity that sells; the wallet's if empty.")]
Books = Annotated[str, typer.Option(help="Currency of the books, if it is another.")]
Rate = Annotated[
    str, typer.Option(help="What the price's currency is worth in it; the entity's rate if empty.")
]
TermsFile = Annotated[
    Path | None, typer.Option(help="YAML or JSON of all the terms, also bundles; other options change them.")
]


def read_terms(
    path: Path | None,
    *,
    tax: str = "",
    breakage: str = "",
    pool: str = "",
    bonus_units: int = 0,
    product: str = "",
    entity: str = "",
    books: str = "",
    rate: str = "",
) -> sale_terms_pb2.SaleTerms | None:
    """Return the terms in a file, if there is one, with what the options say; None if neither says anything."""
    terms = sale_terms_pb2.SaleTerms() if path is None else _read_file(path)
    told = sale_terms_pb2.SaleTerms(
        entity=entity,
        product=product,
        pool=pool,
        expected_breakage=breakage,
        bonus_units=bonus_units,
        tax=read_money(tax, option="--tax") if tax else None,
        functional_currency_code=books,
        exchange_rate=rate,
    )
    terms.MergeFrom(told)
    return terms if path is not None or terms.ByteSize() else None


def show_sale(grant: wallet_pb2.Grant) -> str:
    """Return on which terms a grant was sold, in one short line; empty if it was not."""
    if not grant.HasField("consideration"):
        return ""
    terms = grant.finance
    parts = [show_money(grant.consideration)]
    if terms.HasField("tax"):
        parts.append(f"+ {show_money(terms.tax)} tax")
    if terms.exchange_rate:
        parts.append(f"at {terms.exchange_rate} {terms.functional_currency_code}")
    if terms.pool:
        parts.append(terms.pool.removeprefix("breakagePools/"))
    if terms.expected_breakage:
        parts.append(f"breakage {terms.expected_breakage}")
    if terms.expected_redeemed_units:
        parts.append("estimated")
    if terms.bundle:
        parts.append(f"with {', '.join(item.product for item in terms.bundle)}")
    sold = " ".join(parts)
    named = "/".join(name for name in (terms.entity, terms.product) if name)
    return f"{sold} ({named})" if named else sold


def _read_file(path: Path) -> sale_terms_pb2.SaleTerms:
    terms = sale_terms_pb2.SaleTerms()
    try:
        content: Any = yaml.load(path.read_text(encoding="utf-8"), TextTimes)  # noqa: S506 # it is a SafeLoader
        ParseDict(content, terms)
    except OSError as error:
        fail(f"--terms-file: {path}: {error.strerror}")
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        fail(f"--terms-file: {path}: not YAML: {' '.join(str(error).split())}")
    except (ParseError, AttributeError, TypeError) as error:
        fail(f"--terms-file: {path}: {' '.join(str(error).split())}")
    return terms
