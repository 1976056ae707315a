"""A wallet's rules in a file: YAML or JSON, in the proto's JSON form, as for instance

    alerts:
      entitlement_percents: [50, 80, 100]
      low_balance_units: [5000000]
      fast_rise: {window: PT1H, factor: "3"}
    late_usage_grace: 3600s

Each rule that the file names is set; one that is null becomes its default. What the file does not name stays as it
is in an update, and has its default in a new wallet.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import yaml
from google.protobuf.json_format import ParseDict, ParseError

from credits.ledger.v1 import wallet_rules_pb2
from ledger_service.cli.client import fail


class RulesFile(msgspec.Struct, frozen=True):
    """What a file says."""

    rules: wallet_rules_pb2.WalletRules
    paths: tuple[str, ...]
    """Paths of an update mask: what the file names, in alphabetical order."""


class TextTimes(yaml.SafeLoader):
    """Reads instants as the text that they are in JSON."""


TextTimes.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_rules_file(path: Path) -> RulesFile:
    """Return the rules in a file; what is wrong with it ends the command with one line."""
    try:
        content: Any = yaml.load(path.read_text(encoding="utf-8"), TextTimes)  # noqa: S506 # it is a SafeLoader
    except OSError as error:
        fail(f"--rules: {path}: {error.strerror}")
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        fail(f"--rules: {path}: not YAML: {' '.join(str(error).split())}")
    if not isinstance(content, dict) or not content:
        fail(f"--rules: {path}: expected rules by name, such as alerts or spend_cap")
    rules = wallet_rules_pb2.WalletRules()
    try:
        ParseDict(content, rules)
    except ParseError as error:
        fail(f"--rules: {path}: {' '.join(str(error).split())}")
    names = {_field(str(name)) for name in content}
    return RulesFile(rules, tuple(sorted(f"rules.{name}" for name in names)))


def _field(name: str) -> str:
    # The JSON form has two names for a field: spend_cap and spendCap. An update mask has one.
    for field in wallet_rules_pb2.WalletRules.DESCRIPTOR.fields:
        if name in (field.name, field.json_name):
            return field.name
    raise AssertionError(f"the parser takes no field {name}")
