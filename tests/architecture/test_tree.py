"""The repository holds what it should, and names no machine and no package registry."""

import re

import pytest

from tests.architecture.sources import ROOT, project_files

VISIBLE = frozenset(
    "pyproject.toml README.md Makefile protos ledger_service rating_service tests deploy docs".split()
)
HIDDEN = frozenset({".ci", ".gitignore", ".editorconfig"})

# Written so that this file does not match itself.
FORBIDDEN = re.compile(
    r"(?<![\w.~-])/(?:wor[k]|farm|roo[t]|home/\w+|User[s]/\w+)/"
    r"|(?:pyp[i]|pythonhoste[d]|npmj[s]|debia[n]|ubunt[u]|golan[g])\.(?:org|com)"
    r"|(?:ghc[r]|gc[r]|quay|docke[r]|crate[s])\.io\b"
    r"|\bbuf\.buil[d]\b"
)


def test_the_top_level_holds_only_what_it_should() -> None:
    top = {path.parts[0] for path in project_files()}

    assert top - VISIBLE - HIDDEN == set()
    assert {"pyproject.toml", "Makefile", "tests"} <= top


def test_no_file_names_a_registry_or_a_path_of_one_machine() -> None:
    texts = {str(path): (ROOT / path).read_bytes().decode(errors="ignore") for path in project_files()}
    found = [f"{name}: {match[0]}" for name, text in texts.items() for match in FORBIDDEN.finditer(text)]

    assert found == []
    assert {"pyproject.toml", "deploy/requirements.lock"} <= texts.keys()


@pytest.mark.parametrize("text", ["see /wor|k/notes", "https://pyp|i.org/simple", "FROM ghc|r.io/x"])
def test_a_forbidden_name_is_found(text: str) -> None:
    assert FORBIDDEN.search(text.replace("|", ""))


@pytest.mark.parametrize("text", ["the work/home split", "protos/gen/credits", "example.org", "~/x"])
def test_ordinary_text_is_let_through(text: str) -> None:
    assert FORBIDDEN.search(text) is None
