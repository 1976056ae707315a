"""The files of this project, as the architecture tests see them.

Owns where source is found and how a module is named; the rules are in the tests beside it.
"""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("ledger_service", "rating_service")
NOT_SOURCE = frozenset({".git", ".venv", ".data", "build", "dist", "__pycache__", ".hypothesis"})


class Module(NamedTuple):
    """One Python module: its dotted name, its path below the root and its parsed source."""

    name: str
    path: str
    tree: ast.Module
    line_count: int


def module_from_source(name: str, source: str) -> Module:
    """Return a module that exists only as text, for trying a rule out."""
    return Module(name, f"{name.replace('.', '/')}.py", ast.parse(source), len(source.splitlines()))


@cache
def modules_below(package: str) -> list[Module]:
    """Return every module of a top-level package, in path order."""
    return [read_module(path) for path in sorted((ROOT / package).rglob("*.py"))]


def read_module(path: Path) -> Module:
    """Parse one file; a package is named by its directory."""
    relative = path.relative_to(ROOT)
    parts = relative.with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return module_from_source(name, path.read_text(encoding="utf-8"))._replace(path=str(relative))


def imported_names(module: Module) -> Iterator[str]:
    """Yield the dotted name of all that a module imports, at any depth; a relative import keeps its dots."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def project_files() -> list[Path]:
    """Return what git tracks, or every file outside build output where there is no git checkout."""
    if (ROOT / ".git").exists():
        listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
        tracked = [Path(name) for name in listing.stdout.decode().split("\0") if name]
        return [path for path in tracked if (ROOT / path).is_file()]
    found = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
    return [path for path in found if NOT_SOURCE.isdisjoint(path.parts)]
