"""The customers of the demo: who they are, how they use the API, and what they buy.

Three plans with twelve customers each. What a customer does is a matter of numbers in this file; who hits a
cap, goes into overage or stays within follows from them.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

import msgspec

MODELS: Final = ("gpt-4o-mini", "gpt-4o", "claude-opus-4", "mistral-large")
SCALE: Final = 6
"""Of the asset CREDIT: one credit is 10^6 units."""
UNITS_PER_CREDIT: Final = 10**SCALE


class PlanName(Enum):
    """The plans, named as in their files."""

    SANDBOX = "sandbox"
    STARTER = "starter"
    PRO = "pro"


class Habits(msgspec.Struct, frozen=True, kw_only=True):
    """How the customers of a plan use the API.

    Tokens of a request are log-normal around the medians; `model_weights` follow MODELS; the cached part of a
    context is `cached_percent` of it, in `cached_often_percent` of the requests.
    """

    requests: int
    context_median: int
    output_median: int
    model_weights: tuple[int, int, int, int]
    cached_percent: int
    cached_often_percent: int
    weekend_percent: int
    trace_weight: int


class Customer(msgspec.Struct, frozen=True):
    """One customer; `activity_percent` is relative to the habits of the plan."""

    key: str
    plan: PlanName
    activity_percent: int

    @property
    def customer(self) -> str:
        """Return the resource name of the customer."""
        return f"customers/{self.key}"

    @property
    def wallet(self) -> str:
        """Return the resource name of the customer's wallet."""
        return f"wallets/{self.key}"

    @property
    def contract(self) -> str:
        """Return the resource name of the customer's contract."""
        return f"contracts/{self.key}"


class Pack(msgspec.Struct, frozen=True, kw_only=True):
    """Credit that a customer buys beside the plan; `short_lived` ones expire within the month."""

    customer: str
    credits: int
    price_cents: int
    short_lived: bool = False


HABITS: Final = {
    PlanName.SANDBOX: Habits(
        requests=100,
        context_median=3_000,
        output_median=300,
        model_weights=(40, 50, 0, 10),
        cached_percent=0,
        cached_often_percent=0,
        weekend_percent=90,
        trace_weight=40,
    ),
    PlanName.STARTER: Habits(
        requests=400,
        context_median=9_000,
        output_median=900,
        model_weights=(20, 40, 35, 5),
        cached_percent=40,
        cached_often_percent=30,
        weekend_percent=50,
        trace_weight=25,
    ),
    PlanName.PRO: Habits(
        requests=1_000,
        context_median=50_000,
        output_median=1_200,
        model_weights=(5, 15, 75, 5),
        cached_percent=60,
        cached_often_percent=40,
        weekend_percent=30,
        trace_weight=15,
    ),
}

ACTIVITY_PERCENT: Final = (350, 250, 180, 130, 110, 100, 90, 80, 70, 55, 40, 12)
"""Few use much and many use little; the last one of each plan hardly comes."""

TRACE_AGENT: Final = "starter-01"
"""In a trace this one customer sends TRACE_AGENT_WEIGHT of the rows, as an agent that never rests would."""
TRACE_AGENT_WEIGHT: Final = 100

PROMOTION_CREDITS: Final = 300
"""Given to each Starter customer for the first part of the month."""

PACKS: Final = (
    Pack(customer="starter-01", credits=500, price_cents=450),
    Pack(customer="starter-02", credits=2_000, price_cents=1_800),
    Pack(customer="pro-01", credits=10_000, price_cents=4_500),
    Pack(customer="pro-02", credits=50_000, price_cents=21_250),
    Pack(customer="starter-12", credits=1_000, price_cents=900, short_lived=True),
)

STATEMENT_OF: Final = "starter-02"
"""The customer whose statement is printed."""


def all_customers() -> list[Customer]:
    """Return the customers, plan by plan."""
    return [
        Customer(f"{plan.value}-{number:02d}", plan, activity)
        for plan in PlanName
        for number, activity in enumerate(ACTIVITY_PERCENT, start=1)
    ]
