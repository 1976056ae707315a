"""Names are copied from tables and numbers are read: none is cut, however narrow the terminal."""

import ast
from pathlib import Path

import rating_service.cli

MODULES = sorted(Path(rating_service.cli.__file__).parent.rglob("*.py"))


def columns(module: Path) -> list[ast.Call]:
    """Return the calls that add a column of text: numbers are set to the right."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    added = [
        call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "add_column"
    ]
    return [call for call in added if "justify" not in {keyword.arg for keyword in call.keywords}]


def test_every_column_of_text_folds_what_is_too_long() -> None:
    found = [(module.name, call) for module in MODULES for call in columns(module)]
    cut = [
        (name, call.lineno)
        for name, call in found
        if not {"overflow", "no_wrap"} & {keyword.arg for keyword in call.keywords}
    ]

    assert len(found) > 50
    assert cut == []
