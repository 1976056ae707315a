"""Every command that a document shows is one that there is, with the options and as many words as it takes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from ledger_service.cli import main as ledger_main
from rating_service.cli import main as rating_main

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "deploy/README.md", *ROOT.glob("docs/**/*.md")])
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\.venv/bin/(ledger|rating) (.*)$", re.MULTILINE)
PROGRAMS: dict[str, Any] = {
    "ledger": typer.main.get_command(ledger_main.app),
    "rating": typer.main.get_command(rating_main.app),
}


def documented(document: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield each program that the blocks of a document call, with its words."""
    for block in BLOCK.findall(document.read_text()):
        for program, words in COMMAND.findall(block.replace("\\\n", " ")):
            yield program, shlex.split(words, comments=True)


def wrong_with(program: str, words: list[str]) -> str:
    """Say what the command line would refuse of these words; empty if nothing."""
    command, rest = PROGRAMS[program], list(words)
    context = command.context_class(command, info_name=program)
    while hasattr(command, "commands"):
        if not rest or rest[0] not in command.commands:
            return f"no command {rest[:1]}"
        command = command.commands[rest.pop(0)]
        context = command.context_class(command, info_name=command.name, parent=context)
    try:
        given, left, _ = command.make_parser(context).parse_args(args=rest)
    except Exception as error:  # noqa: BLE001 # whatever the parser calls it, it is what the test tells
        return str(error)
    missing = [each.name for each in command.params if each.required and not _is_given(given.get(each.name))]
    return f"unknown words {left}" if left else f"nothing for {missing}" if missing else ""


def _is_given(value: object) -> bool:
    # The parser marks what is not there with a value of its own, neither a text nor a list.
    return isinstance(value, str | bool) or (isinstance(value, tuple | list) and bool(value))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_document_shows_commands_that_there_are(document: Path) -> None:
    found = {" ".join(words): wrong_with(program, words) for program, words in documented(document)}

    assert {words: wrong for words, wrong in found.items() if wrong} == {}


def test_the_check_has_seen_commands_and_finds_what_is_wrong() -> None:
    seen = [command for document in DOCUMENTS for command in documented(document)]

    assert len(seen) > 50
    assert wrong_with("ledger", ["balance", "wallets/acme", "--jsn"])
    assert wrong_with("ledger", ["finance", "no-such"])
    assert wrong_with("ledger", ["balance"])
    assert not wrong_with("ledger", ["balance", "wallets/acme", "--json"])
