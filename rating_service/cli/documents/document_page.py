"""Invoices and credit notes as one self-contained page each, for the screen and for paper.

A page is values first: facts, tables and sums, all text. The template sets them, and escapes every one; it knows
nothing of invoices. The style sheet stands in the page itself, so that it needs nothing from anywhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

TEMPLATES: Final = Path(__file__).parent.parent / "templates"
NUMBER: Final = "number"
"""Role of a column whose figures stand below each other."""


class Fact(NamedTuple):
    """A word and what it is."""

    label: str
    text: str


class Column(NamedTuple):
    """A column of a table."""

    heading: str
    role: str = ""


class Cell(NamedTuple):
    """What stands in a cell, and smaller below it."""

    text: str
    below: str = ""


class Row(NamedTuple):
    """A row of a table."""

    cells: tuple[Cell, ...]
    role: str = ""


class Sum(NamedTuple):
    """A sum below a table."""

    label: str
    amount: str
    role: str = ""


class Table(NamedTuple):
    """A table with its sums. `role` is summary or detail."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    role: str = "detail"
    title: str = ""
    note: str = ""
    sums: tuple[Sum, ...] = ()


class Page(NamedTuple):
    """A document as it is set."""

    title: str
    name: str
    total_label: str
    total: str
    currency: str
    facts: tuple[Fact, ...]
    tables: tuple[Table, ...]
    proof: tuple[Fact, ...]


def html(page: Page) -> str:
    """Return a page as HTML, whole in itself."""
    # The style sheet is the project's own text and holds nothing of a document, so it is set as it is.
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(enabled_extensions=("html.j2",)),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.get_template("page.html.j2").render(page=page)
