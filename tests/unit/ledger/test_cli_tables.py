"""Every table of the command line folds what is too long for its screen: names are copied, and figures are read."""

import ast
from pathlib import Path

import ledger_service.cli

MODULES = sorted(Path(ledger_service.cli.__file__).parent.rglob("*.py"))
FOLDING = frozenset({"folded", "report_table", "journal_table"})
"""What gives a table that cuts nothing."""


def made_in(module: Path) -> bool:
    """Say whether a module makes a table."""
    calls = [node for node in ast.walk(ast.parse(module.read_text("utf-8"))) if isinstance(node, ast.Call)]
    return any(isinstance(call.func, ast.Name) and call.func.id == "Table" for call in calls)


def folds(module: Path) -> bool:
    """Say whether a module folds tables, or is where that is written."""
    tree = ast.parse(module.read_text("utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    named = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    return bool(
        FOLDING & {call.func.id for call in calls if isinstance(call.func, ast.Name)} | FOLDING & named
    )


def test_whoever_makes_a_table_folds_it() -> None:
    makers = [module for module in MODULES if made_in(module)]

    assert [module.name for module in makers if not folds(module)] == []
    assert len(makers) > 8
