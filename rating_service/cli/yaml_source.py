"""YAML with the line of every value, read strictly.

Numbers are exact or refused: a YAML float is never read, because the price that it spells is lost in it.
Duplicate keys, aliases, tags and other things by which two readers could disagree are refused too. Instants
stay text.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import yaml

Path = tuple[str | int, ...]
"""Where a value stands: keys and list places from the top."""
Tree = None | bool | int | str | list["Tree"] | dict[str, "Tree"]

_TAG: Final = "tag:yaml.org,2002:"
_WHOLE_NUMBER: Final = re.compile(r"0|-?[1-9][0-9]*(_[0-9]+)*", re.ASCII)
_TRUTH: Final = {"true": True, "false": False}


class Problem(NamedTuple):
    """One thing that is wrong with a file. `line` counts from 1."""

    file: str
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.field or 'file'}: {self.message}"


class FileRefused(Exception):
    """A file is not what it should be; every problem found is listed."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems: Final = tuple(problems)


class Source(NamedTuple):
    """A file's values, and the line on which each stands."""

    file: str
    tree: Tree
    lines: dict[Path, int]

    def line_of(self, path: Path) -> int:
        """Return the line of a value, or of the nearest value that holds it."""
        while path not in self.lines and path:
            path = path[:-1]
        return self.lines.get(path, 1)


def read_source(text: str, *, file: str) -> Source:
    """Return the values in YAML text; `file` names it in problems. Raises FileRefused."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise FileRefused([Problem(file, line, "", f"not YAML: {error.problem}")]) from None
    except (yaml.YAMLError, RecursionError):
        raise FileRefused([Problem(file, 1, "", "not YAML: an unreadable character or nesting")]) from None
    walk = _Walk(file)
    tree = walk.value(node, ()) if node is not None else None
    if walk.problems:
        raise FileRefused(walk.problems)
    return Source(file, tree, walk.lines)


def field_name(path: Path) -> str:
    """Return a path as people write it, for instance phases[0].rates[2].unit_price."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).removeprefix(".")


class _Walk:
    """One pass over the nodes of a file, collecting lines and problems."""

    def __init__(self, file: str) -> None:
        self.file: Final = file
        self.lines: Final[dict[Path, int]] = {}
        self.problems: Final[list[Problem]] = []
        self.seen: Final[set[int]] = set()

    def value(self, node: yaml.Node, path: Path) -> Tree:
        """Return the value of a node."""
        self.lines.setdefault(path, node.start_mark.line + 1)
        if id(node) in self.seen:
            return self.refuse(node, path, "an alias is not allowed: write the value out")
        self.seen.add(id(node))
        match node:
            case yaml.MappingNode():
                return self.mapping(node, path)
            case yaml.SequenceNode(value=items):
                return [self.value(item, (*path, place)) for place, item in enumerate(items)]
            case yaml.ScalarNode():
                return self.scalar(node, path)
            case _:
                return self.refuse(node, path, "not a value, a list or a mapping")

    def mapping(self, node: yaml.MappingNode, path: Path) -> Tree:
        """Return a mapping; its keys are text and occur once."""
        found: dict[str, Tree] = {}
        for key, value in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
            inner = (*path, name)
            if not name or key.tag == f"{_TAG}merge":
                self.refuse(key, path, "a key must be plain text")
            elif name in found:
                first = self.lines[inner]
                self.refuse(key, inner, f"given twice; the first is on line {first}")
            else:
                self.lines[inner] = key.start_mark.line + 1
                found[name] = self.value(value, inner)
        return found

    def scalar(self, node: yaml.ScalarNode, path: Path) -> Tree:
        """Return a single value. Text that YAML takes for an instant stays text."""
        text: str = node.value
        match node.tag.removeprefix(_TAG):
            case "str" | "timestamp":
                return text
            case "null":
                return None
            case "bool" if text.lower() in _TRUTH:
                return _TRUTH[text.lower()]
            case "int" if _WHOLE_NUMBER.fullmatch(text):
                return int(text)
            case "float":
                return self.refuse(
                    node,
                    path,
                    f'{text} is a YAML float, which is inexact: write it as a quoted decimal, "{text}"',
                )
            case _:
                return self.refuse(
                    node, path, f'{text} may be read in two ways: write it in quotes, "{text}"'
                )

    def refuse(self, node: yaml.Node, path: Path, message: str) -> Tree:
        """Note a problem and go on with nothing in its place, so that one run shows all of them."""
        self.problems.append(Problem(self.file, node.start_mark.line + 1, field_name(path), message))
        return None
