"""`make bench`: measure against the floors, print a table, write build/bench.json."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from tests.benchmarks import billing, debits, growth, history, prices, reports, reratings, simulations, usage
from tests.benchmarks.bench import Bench
from tests.benchmarks.figures import Figure, figure_table, write_figures
from tests.benchmarks.processes import REPOSITORY, BenchmarkError
from tests.benchmarks.sizes import DEFAULT, FULL, SMOKE, Sizes

OUTPUT_DEFAULT: Final = Path("build/bench.json")

BENCHMARKS: Final[dict[str, Callable[[Bench], dict[str, Figure]]]] = {
    "unary_debit": debits.unary_debit,
    "batch_debit": debits.batch_debit,
    "debit_latency_p99": debits.debit_latency_p99,
    "wallet_age": growth.wallet_age,
    "store_size": growth.store_size,
    "price_usage": prices.price_usage,
    "simulate": simulations.simulate,
    "record_usage": usage.record_usage,
    "rerate": reratings.rerate,
    "billing_run": billing.billing_run,
    "project": history.project,
    "follow": history.follow,
    "verify": history.verify,
    "report": reports.report,
    "memory": growth.memory,
}
"""By the name that --only takes; one may give several figures."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def run_benchmarks(
    names: Sequence[str], sizes: Sizes, *, output: Path, say: Callable[[str], None]
) -> dict[str, Figure]:
    """Run benchmarks one after the other, writing the figures after each. Raises BenchmarkError."""
    figures: dict[str, Figure] = {}
    build = REPOSITORY / "build"
    build.mkdir(exist_ok=True)
    logs = output.with_name(f"{output.stem}-logs")
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(parents=True)
    # On the disk of the checkout: a temporary directory may be in memory, where fsync costs nothing.
    with (
        tempfile.TemporaryDirectory(prefix="bench-", dir=build, ignore_cleanup_errors=True) as directory,
        Bench(Path(directory), logs, sizes, say=say) as bench,
    ):
        for name in names:
            begun = time.monotonic()
            bench.say = lambda step, name=name: say(f"{name}: {step}")  # type: ignore[misc]
            bench.say("preparing")
            figures |= BENCHMARKS[name](bench)
            bench.say(f"done in {time.monotonic() - begun:.0f} s")
            write_figures(figures, output)
    return figures


@app.command()
def main(
    more: Annotated[list[str] | None, typer.Argument(help="Further names for --only.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Run these only.")] = None,
    smoke: Annotated[bool, typer.Option(help="Tiny sizes: does everything still run?")] = False,
    full: Annotated[bool, typer.Option(help="The largest sizes; takes several minutes more.")] = False,
    json: Annotated[bool, typer.Option(help="Print the figures as JSON instead of a table.")] = False,
    strict: Annotated[bool, typer.Option(help="Exit with 1 if a target is missed.")] = False,
    output: Annotated[Path, typer.Option(help="Where the figures are written.")] = OUTPUT_DEFAULT,
) -> None:
    """Measure each benchmark beside its floor."""
    chosen = {*(only or ()), *(more or ())} or set(BENCHMARKS)
    names = [name for name in BENCHMARKS if name in chosen]
    unknown = chosen - set(BENCHMARKS)
    if unknown:
        print(
            f"bench: no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}",
            file=sys.stderr,
        )
        sys.exit(2)
    sizes = SMOKE if smoke else FULL if full else DEFAULT
    progress = Console(stderr=True, highlight=False)
    try:
        figures = run_benchmarks(
            names, sizes, output=output, say=lambda step: progress.print(f"[dim]{step}[/]")
        )
    except BenchmarkError as error:
        print(f"bench: {error}", file=sys.stderr)
        sys.exit(1)
    if json:
        print(output.read_text(), end="")
    else:
        Console(highlight=False, width=140).print(figure_table(figures))
    sys.exit(1 if strict and not all(figure.is_met for figure in figures.values()) else 0)


if __name__ == "__main__":
    app()
