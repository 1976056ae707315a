"""What is on offer: the rate card, the price cut and the plans, published from YAML files as a user would.

The files are the examples that come with the rating service. Only the instant from which a phase applies is
written anew, because it depends on the month that is played. The prices are also read here, straight from the
YAML, for the reckoning that checks the services.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import yaml

from deploy.demo.customers import SCALE, PlanName
from deploy.demo.services import DemoFailed

EXAMPLES: Final = Path(__file__).parents[2] / "rating_service" / "examples"
CARD: Final = "llm_card.yaml"
CUT: Final = "llm_card_price_cut.yaml"
PICO: Final = 12
"""Digits below one unit in which the reckoning counts: 10^-12 units."""
COMMAND_SECONDS_MAX: Final = 60

_FROM_TIME: Final = re.compile(r'from_time: "[^"]*"')


class Price(msgspec.Struct, frozen=True):
    """What one of a dimension costs, in 10^-12 units of the asset, for models that fit a pattern."""

    dimension: str
    model_pattern: str
    pico_units: int


class PriceList(msgspec.Struct, frozen=True):
    """The prices of one phase of the rate card."""

    name: str
    prices: tuple[Price, ...]

    def price_of(self, dimension: str, model: str) -> int:
        """Return the price of the rate that fits the model most closely."""
        fitting = [
            each
            for each in self.prices
            if each.dimension == dimension and fnmatchcase(model, each.model_pattern)
        ]
        best = min(fitting, key=lambda each: (each.model_pattern.count("*"), -len(each.model_pattern)))
        return best.pico_units


class Published(msgspec.Struct, frozen=True):
    """A published phase: its prices, and the position from which the catalogue knows it."""

    price_list: PriceList
    position: int


class PlanTerms(NamedTuple):
    """Units included in each month, and the price of a credit beyond them."""

    included_units: int
    overage_price: Decimal


def publish_phase(
    example: str, from_time: datetime, *, directory: Path, ledger: str, retroactive: bool = False
) -> Published:
    """Publish an example rate card with its phase beginning at an instant. Raises DemoFailed.

    A phase that begins in the past must be `retroactive`, and is proposed only.
    """
    text, count = _FROM_TIME.subn(f'from_time: "{from_time:%Y-%m-%dT%H:%M:%S.%fZ}"', read_example(example))
    if count != 1:
        raise DemoFailed(f"{EXAMPLES / example}: expected one from_time, found {count}")
    file = directory / example
    file.write_text(text, encoding="utf-8")
    options = ["--retroactive"] if retroactive else []
    answer = rating_command("card", "publish", str(file), *options, ledger=ledger)
    return Published(prices_in(text, answer["phase"]["name"]), int(answer["position"]))


def publish_plans(*, ledger: str) -> None:
    """Publish the three plans. Raises DemoFailed."""
    with ThreadPoolExecutor() as pool:
        files = [EXAMPLES / f"plan_{plan.value}.yaml" for plan in PlanName]
        list(pool.map(lambda file: rating_command("plan", "publish", str(file), ledger=ledger), files))


def plan_terms(plan: PlanName) -> PlanTerms:
    """Return what a plan that may be overdrawn includes, and what a credit beyond costs."""
    (phase,) = yaml.safe_load(read_example(f"plan_{plan.value}.yaml"))["phases"]
    included = Decimal(phase["included"]).scaleb(SCALE)
    return PlanTerms(int(included), Decimal(phase["overage_price"]["price"]))


def read_example(name: str) -> str:
    """Return the text of an example. Raises DemoFailed."""
    try:
        return (EXAMPLES / name).read_text(encoding="utf-8")
    except OSError as cause:
        raise DemoFailed(f"{EXAMPLES / name}: {cause.strerror}") from None


def rating_command(*arguments: str, ledger: str) -> dict[str, Any]:
    """Run a command of `rating` and return the JSON that it prints. Raises DemoFailed with what it says."""
    command = [sys.executable, "-m", "rating_service", *arguments, "--json"]
    done = subprocess.run(
        command,
        env={**os.environ, "RATING_LEDGER_ADDRESS": ledger},
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS_MAX,
        check=False,
    )
    if done.returncode != 0:
        raise DemoFailed(f"rating {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def prices_in(text: str, name: str) -> PriceList:
    """Return the prices of a file's only phase. Raises DemoFailed for what the reckoning cannot price."""
    (phase,) = yaml.safe_load(text)["phases"]
    if "multipliers" in phase:
        raise DemoFailed(f"{name}: the reckoning knows no multipliers")
    return PriceList(name, tuple(price_in(rate) for rate in phase["rates"]))


def price_in(rate: Mapping[str, Any]) -> Price:
    """Return the price of a rate, exactly, or fail."""
    exact = Decimal(rate["unit_price"]).scaleb(SCALE + PICO) / rate.get("unit_size", 1)
    if exact != int(exact) or set(rate.get("match", {})) - {"model"}:
        raise DemoFailed(f"the reckoning cannot price {dict(rate)}")
    return Price(rate["dimension"], rate.get("match", {}).get("model", "*"), int(exact))
