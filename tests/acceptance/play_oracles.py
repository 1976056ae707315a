"""Plays cases that independent oracles write, by seed: any number of them, which no file fixes.

    python -m tests.acceptance.play_oracles [--count N] [--seed N] [--kind KIND...] [--write FILE]

Prints what `run_cases` prints and exits as it does. `--write` keeps the cases: a file that `run_cases` plays again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.acceptance.cases.case_files import Case, read_cases
from tests.acceptance.run_cases import main as run_files
from tests.oracle.amounts import Object
from tests.oracle.rating_cases import rating_case
from tests.oracle.recognition_cases import recognition_case
from tests.oracle.wallet_cases import wallet_case

WRITERS: Final[Mapping[str, Callable[[int], Object]]] = {
    "recognition": recognition_case,
    "wallet": wallet_case,
    "rating": rating_case,
}
FILE: Final = Path("build/oracle_cases.json")


def written(kinds: Sequence[str], seeds: Sequence[int]) -> list[Object]:
    """Return a case of each kind for each seed."""
    return [WRITERS[kind](seed) for kind in kinds for seed in seeds]


def saved(cases: Sequence[Object], path: Path) -> list[Case]:
    """Write cases to a file and return them as it is read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cases": list(cases)}, indent=1), encoding="utf-8")
    return read_cases(path, data_folder=None)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the cases, play them and return the exit code."""
    parser = argparse.ArgumentParser(prog="play_oracles", description="Play cases written by oracles.")
    parser.add_argument("--count", type=int, default=100, help="cases of each kind (default 100)")
    parser.add_argument("--seed", type=int, default=0, help="first seed (default 0)")
    parser.add_argument("--kind", nargs="+", choices=[*WRITERS], default=[*WRITERS], help="default: all")
    parser.add_argument("--write", type=Path, default=FILE, metavar="FILE", help=f"default: {FILE}")
    asked = parser.parse_args(arguments)
    saved(written(asked.kind, range(asked.seed, asked.seed + asked.count)), asked.write)
    return run_files([str(asked.write)])


if __name__ == "__main__":
    sys.exit(main())
