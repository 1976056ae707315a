"""Functions and modules stay short; what is longer is listed by name, and the list may only shrink.

size_exceptions.json maps `path` or `path::function` to its present number of lines. A listed thing that grows
or shrinks without its number following, or that is no longer too long, fails here: the list always tells
the truth, and each addition is seen in review.
"""

import ast
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.architecture.sources import SERVICES, Module, module_from_source, modules_below

FUNCTION_LINES_MAX = 60
MODULE_LINES_MAX = 300
EXCEPTIONS_FILE = Path(__file__).with_name("size_exceptions.json")


@cache
def measured_modules() -> list[Module]:
    """Return every module written by hand."""
    return [module for package in (*SERVICES, "deploy", "tests") for module in modules_below(package)]


def function_sizes(module: Module) -> Iterator[tuple[str, int]]:
    """Yield each function, named as in the exceptions file, with its lines from `def` to its end."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{module.path}::{node.name}", (node.end_lineno or node.lineno) - node.lineno + 1


def too_long(modules: list[Module]) -> dict[str, int]:
    """Return what is above a limit, with its lines; test modules may be long, test functions may not."""
    found: dict[str, int] = {}
    for module in modules:
        if module.line_count > MODULE_LINES_MAX and not module.path.startswith("tests/"):
            found[module.path] = module.line_count
        for name, lines in function_sizes(module):
            if lines > FUNCTION_LINES_MAX:
                found[name] = max(lines, found.get(name, 0))
    return found


def test_only_listed_exceptions_are_too_long() -> None:
    listed: dict[str, int] = json.loads(EXCEPTIONS_FILE.read_text(encoding="utf-8"))

    assert too_long(measured_modules()) == listed


def test_a_function_may_have_sixty_lines_and_no_more() -> None:
    at_limit = "def f():\n" + "    pass\n" * 59

    assert too_long([module_from_source("deploy.sample", at_limit)]) == {}
    assert too_long([module_from_source("deploy.sample", at_limit + "    pass\n")]) == {
        "deploy/sample.py::f": 61
    }


def test_a_module_may_have_three_hundred_lines_and_no_more() -> None:
    at_limit = "x = 1\n" * 300

    assert too_long([module_from_source("deploy.sample", at_limit)]) == {}
    assert too_long([module_from_source("deploy.sample", at_limit + "x = 1\n")]) == {"deploy/sample.py": 301}


def test_the_limits_saw_both_services() -> None:
    assert {module.path.split("/")[0] for module in measured_modules()} >= set(SERVICES)
