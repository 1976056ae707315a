"""Rate cards and plans as files: YAML text, checked against a schema, becomes the requests that publish it.

The file is reached by the command that was given its name; here is only what its text means. What a file can
say is said by `schemas/*.schema.json`. The ledger checks again, and decides what depends on its history:
instants that lie in the past.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal
from importlib.resources import files
from typing import Any, Final, NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from credits.ledger.v1 import agreement_pb2, billing_terms_pb2, money_pb2, price_model_pb2, wallet_pb2
from rating_service.cli.cards.rate_file import bracket_message, rate_message, rate_problems
from rating_service.cli.yaml_source import FileRefused, Path, Problem, Source, field_name, read_source

_NANO_DIGITS: Final = 9
_SPENDS: Final = ("minimum_spend", "maximum_spend")
_AMOUNTS: Final = ("base_fee", "seat_fee", *_SPENDS, "invoice_threshold")
_PRICED: Final = (*_AMOUNTS, "overage_price", "commitment")


class RateCardFile(NamedTuple):
    """What a rate card file asks for: a card without phases, and its phases in order."""

    rate_card_id: str
    rate_card: agreement_pb2.RateCard
    phases: tuple[agreement_pb2.RateCardPhase, ...]


class PlanFile(NamedTuple):
    """What a plan file asks for: one version of a plan."""

    plan_id: str
    plan: agreement_pb2.Plan


def read_rate_card(text: str, *, file: str) -> RateCardFile:
    """Return what a rate card file asks for. Raises FileRefused, which names file, line and field."""
    source = read_source(text, file=file)
    tree = checked_tree(source, "rate_card.schema.json")
    refuse(source, [*rate_problems(tree), *_tier_problems(tree), *_instant_problems(tree)])
    return card_of(tree)


def card_of(tree: dict[str, Any]) -> RateCardFile:
    """Return what the values of a rate card file ask for; they are not checked here."""
    card = agreement_pb2.RateCard(
        asset=_asset(tree["asset"]),
        display_name=tree.get("display_name", ""),
        unit_definitions=tree.get("unit_definitions", {}),
    )
    return RateCardFile(tree["rate_card"], card, tuple(_phase(phase) for phase in tree["phases"]))


def read_plan(text: str, *, file: str) -> PlanFile:
    """Return what a plan file asks for. Raises FileRefused, which names file, line and field."""
    source = read_source(text, file=file)
    tree = checked_tree(source, "plan.schema.json")
    scale = tree["asset"]["scale"]
    refuse(source, [*_units_problems(tree, scale), *_term_problems(tree)])
    plan = agreement_pb2.Plan(
        display_name=tree.get("display_name", ""),
        asset=_asset(tree["asset"]),
        phases=[_plan_phase(phase, scale) for phase in tree["phases"]],
    )
    return PlanFile(tree["plan"], plan)


def checked_tree(source: Source, schema_name: str) -> dict[str, Any]:
    """Return the values of a file that fits its schema. Raises FileRefused with all that does not."""
    schema = json.loads((files("rating_service.cli") / "schemas" / schema_name).read_text("utf-8"))
    errors = Draft202012Validator(schema).iter_errors(source.tree)
    refuse(source, [found for error in errors for found in _schema_problems(error)])
    assert isinstance(source.tree, dict)
    return source.tree


def refuse(source: Source, found: Iterable[tuple[Path, str]]) -> None:
    """Raise FileRefused with what was found, in the order of the lines; return if there is nothing."""
    problems = [Problem(source.file, source.line_of(path), field_name(path), text) for path, text in found]
    if problems:
        raise FileRefused(sorted(problems, key=lambda problem: (problem.line, problem.field)))


def _schema_problems(error: ValidationError) -> list[tuple[Path, str]]:
    """Return where a file departs from its schema, in words that say what to do."""
    path = tuple(error.absolute_path)
    instance: Any = error.instance
    schema = error.schema if isinstance(error.schema, dict) else {}
    if error.validator == "additionalProperties" and error.validator_value is False:
        unknown = [key for key in instance if key not in schema["properties"]]
        return [((*path, key), "unknown key") for key in unknown]
    if error.validator == "type" and error.validator_value == "string":
        text = f'{instance} is not text: write it in quotes, "{instance}"'
        return [(path, text if isinstance(instance, int) else "must be text")]
    if error.validator == "pattern":
        meaning = schema.get("description", f"must look like {error.validator_value}")
        return [(path, f"{instance!r} will not do. {meaning}")]
    return [(path, error.message)]


def _tier_problems(tree: dict[str, Any]) -> Iterable[tuple[Path, str]]:
    for at, phase in enumerate(tree["phases"]):
        for place, multiplier in enumerate(phase.get("multipliers", [])):
            ends = [tier["up_to"] for tier in multiplier["tiers"]]
            if ends != sorted(set(ends)):
                yield ("phases", at, "multipliers", place, "tiers"), "up_to must ascend from tier to tier"


def _instant_problems(tree: dict[str, Any]) -> Iterable[tuple[Path, str]]:
    before = 0
    for at, phase in enumerate(tree["phases"]):
        try:
            begins = _instant(phase["from_time"]).ToNanoseconds()
        except ValueError:
            yield ("phases", at, "from_time"), f"{phase['from_time']} is no instant of the calendar"
            continue
        if at and begins <= before:
            yield ("phases", at, "from_time"), "must lie after that of the phase before it"
        before = begins


def _units_problems(tree: dict[str, Any], scale: int) -> Iterable[tuple[Path, str]]:
    for at, phase in enumerate(tree["phases"]):
        for key in ("included", "overage_limit", "spend_cap"):
            units = Decimal(phase.get(key, "0")).scaleb(scale)
            if units != int(units) or units >= 2**63:
                yield ("phases", at, key), f"not a whole number of units at scale {scale}, or too large"
        cap = Decimal(phase.get("included_roll_over", {}).get("cap", "0")).scaleb(scale)
        if cap != int(cap) or cap >= 2**63:
            place = ("phases", at, "included_roll_over", "cap")
            yield place, f"not a whole number of units at scale {scale}, or too large"


def _term_problems(tree: dict[str, Any]) -> Iterable[tuple[Path, str]]:
    """Yield what no phase of a plan can say: no end but the last's, two currencies, a maximum below a minimum."""
    last = len(tree["phases"]) - 1
    for at, phase in enumerate(tree["phases"]):
        if at < last and "duration" not in phase:
            yield ("phases", at), "duration is needed: only the last phase may be without end"
        amounts = {name: phase[name] for name in _PRICED if name in phase}
        first = next(iter(amounts), "")
        for name, amount in amounts.items():
            if amount["currency"] != amounts[first]["currency"]:
                yield (
                    ("phases", at, name, "currency"),
                    f"{first} is in {amounts[first]['currency']}: a phase has one currency",
                )
        least, most = (Decimal(amounts.get(name, {}).get("amount", "NaN")) for name in _SPENDS)
        if most.compare(least) == -1:
            yield ("phases", at, _SPENDS[1], "amount"), f"lies below {_SPENDS[0]}"


def _phase(tree: dict[str, Any]) -> agreement_pb2.RateCardPhase:
    return agreement_pb2.RateCardPhase(
        from_time=_instant(tree["from_time"]),
        rates=[rate_message(rate) for rate in tree["rates"]],
        multipliers=[_multiplier(multiplier) for multiplier in tree.get("multipliers", [])],
        brackets=[bracket_message(bracket) for bracket in tree.get("brackets", [])],
        counters=price_model_pb2.Counters.Value(f"COUNTERS_{tree.get('counters', 'UNSPECIFIED')}"),
        cost_currency=tree.get("cost_currency", ""),
    )


def _multiplier(tree: dict[str, Any]) -> agreement_pb2.Multiplier:
    beyond = tree.get("beyond_last_tier", "REFUSE")
    return agreement_pb2.Multiplier(
        property=tree["property"],
        dimensions=tree.get("dimensions", []),
        tiers=[agreement_pb2.MultiplierTier(**tier) for tier in tree["tiers"]],
        beyond_last_tier=agreement_pb2.BeyondLastTier.Value(f"BEYOND_LAST_TIER_{beyond}"),
        sum_of=tree.get("sum_of", []),
    )


def _plan_phase(tree: dict[str, Any], scale: int) -> agreement_pb2.PlanPhase:
    overage = tree.get("overage_price")
    return agreement_pb2.PlanPhase(
        key=tree["key"],
        duration=tree.get("duration", ""),
        rate_card=tree["rate_card"],
        included_units=int(Decimal(tree.get("included", "0")).scaleb(scale)),
        shortfall_mode=wallet_pb2.ShortfallMode.Value(f"SHORTFALL_MODE_{tree['shortfall_mode']}"),
        overage_price=money_pb2.UnitPrice(currency_code=overage["currency"], price=overage["price"])
        if overage
        else None,
        overage_limit_units=int(Decimal(tree.get("overage_limit", "0")).scaleb(scale)),
        features=tree.get("features", []),
        requests_per_minute=tree.get("requests_per_minute", 0),
        tokens_per_minute=tree.get("tokens_per_minute", 0),
        alert_percents=tree.get("alert_percents", []),
        spend_cap_units=int(Decimal(tree.get("spend_cap", "0")).scaleb(scale)),
        spend_cap_period=tree.get("spend_cap_period", ""),
        key_requests_per_minute=tree.get("key_requests_per_minute", 0),
        key_tokens_per_minute=tree.get("key_tokens_per_minute", 0),
        slow_down_from_percent=tree.get("slow_down_from_percent", 0),
        slow_down_max_delay_ms=tree.get("slow_down_max_delay_ms", 0),
        upgrade_hint=tree.get("upgrade_hint", ""),
        additional_cards=[agreement_pb2.PhaseCard(**card) for card in tree.get("additional_cards", [])],
        included_roll_over=_roll_over(tree["included_roll_over"], scale)
        if "included_roll_over" in tree
        else None,
        seats=tree.get("seats", 0),
        fee_timing=billing_terms_pb2.FeeTiming.Value(f"FEE_TIMING_{tree.get('fee_timing', 'ARREARS')}"),
        commitment=_commitment(tree["commitment"]) if "commitment" in tree else None,
        tax_rates=[billing_terms_pb2.TaxRate(**rate) for rate in tree.get("tax_rates", [])],
        **{name: _money(tree[name]) for name in _AMOUNTS if name in tree},
    )


def _roll_over(tree: dict[str, Any], scale: int) -> billing_terms_pb2.IncludedRollOver:
    return billing_terms_pb2.IncludedRollOver(
        percent=tree["percent"],
        cap_units=int(Decimal(tree.get("cap", "0")).scaleb(scale)),
        times=tree.get("times", 0),
    )


def _commitment(tree: dict[str, Any]) -> billing_terms_pb2.Commitment:
    return billing_terms_pb2.Commitment(
        amount=_money(tree),
        period=tree["period"],
        overage_factor=tree.get("overage_factor", ""),
        prepaid=tree.get("prepaid", False),
    )


def _money(tree: dict[str, Any]) -> money_pb2.Money:
    nanos = int(Decimal(tree["amount"]).scaleb(_NANO_DIGITS))
    return money_pb2.Money(currency_code=tree["currency"], nanos=nanos)


def _asset(tree: dict[str, Any]) -> money_pb2.Asset:
    return money_pb2.Asset(code=tree["code"], scale=tree["scale"])


def _instant(text: str) -> Timestamp:
    """Return an instant. Raises ValueError if the calendar does not have it."""
    instant = Timestamp()
    instant.FromJsonString(text)
    return instant
