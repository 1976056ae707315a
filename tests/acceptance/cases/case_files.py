"""Reading case files: JSON objects with a list of cases. What the cases mean is decided elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple


class CaseFileError(Exception):
    """A file cannot be read as a case file; the text names the file and the cause."""


class Case(NamedTuple):
    """One case as written, with the file's folder of data and all cases of its file."""

    case_id: str
    raw: Mapping[str, object]
    siblings: tuple[Mapping[str, object], ...]
    data_folder: Path


def read_cases(path: Path, *, data_folder: Path | None) -> list[Case]:
    """Return the cases of a file in its order. Raises CaseFileError.

    Without a folder of data, the one named `data` beside the file's own folder is meant.
    """
    raw = _read_json(path)
    listed = raw.get("cases") if isinstance(raw, dict) else None
    if not isinstance(listed, list):
        raise CaseFileError(f'{path}: expected an object with a list "cases"')
    for index, each in enumerate(listed):
        if not isinstance(each, dict) or not isinstance(each.get("id"), str) or not each["id"]:
            raise CaseFileError(f'{path}: cases[{index}] is not an object with a text "id"')
    folder = data_folder or path.resolve().parent.parent / "data"
    return [Case(each["id"], each, tuple(listed), folder) for each in listed]


def _read_json(path: Path) -> object:
    try:
        found: object = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except OSError as cause:
        raise CaseFileError(f"{path}: {cause.strerror}") from None
    except UnicodeDecodeError:
        raise CaseFileError(f"{path}: not UTF-8 text") from None
    except json.JSONDecodeError as cause:
        raise CaseFileError(
            f"{path}: line {cause.lineno}, column {cause.colno}: not JSON: {cause.msg}"
        ) from None
    except RecursionError:
        raise CaseFileError(f"{path}: nested too deeply") from None
    return found
