"""The import rules of a service, as data and as one pure function that applies them to a module.

Imports point one way: domain <- application <- rpc, adapters, projections; bootstrap knows every concrete
class. A layer is named in full, so a module in none of them is itself a violation.
"""

import ast
import sys
from typing import NamedTuple

from tests.architecture.sources import SERVICES, Module, imported_names

PURE_STDLIB = frozenset(
    "__future__ abc base64 bisect calendar collections copy dataclasses datetime decimal enum fractions "
    "functools hashlib heapq itertools json math operator re string struct types typing zoneinfo".split()
)
INFRASTRUCTURE = frozenset("grpc grpc_status grpc_health grpc_reflection google credits".split())
CLOCK_READINGS = frozenset({"now", "utcnow", "today"})
VAGUE_NAMES = frozenset({"utils", "common", "helpers", "core", "manager"})


class Layer(NamedTuple):
    """What one layer may import.

    `stdlib` or `third_party` of None means any; the rpc framework and the generated code need `speaks_grpc`.
    """

    project: frozenset[str]
    stdlib: frozenset[str] | None = None
    third_party: frozenset[str] | None = None
    speaks_grpc: bool = False


def layer(
    *project: str,
    stdlib: frozenset[str] | None = None,
    third_party: frozenset[str] | None = None,
    speaks_grpc: bool = False,
) -> Layer:
    """Return a layer that may import the named layers of its own service."""
    return Layer(frozenset(project), stdlib, third_party, speaks_grpc)


PACKAGES = {
    "domain": layer("domain", stdlib=PURE_STDLIB, third_party=frozenset({"msgspec"})),
    "application": layer(
        "domain", "application", third_party=frozenset({"msgspec", "structlog", "dateutil"})
    ),
    "projections": layer("domain", "application", "projections"),
    "adapters": layer("domain", "application", "adapters"),
    "rpc": layer(
        "domain",
        "application",
        "rpc",
        third_party=frozenset({"msgspec", "structlog", "prometheus_client"}),
        speaks_grpc=True,
    ),
    "cli": layer("cli", "settings", "bootstrap", speaks_grpc=True),
}
FILES = {
    "settings": layer("settings"),
    "bootstrap": layer(
        "settings",
        "bootstrap",
        "bootstrap_billing",
        "bootstrap_documents",
        "bootstrap_plans",
        "bootstrap_reports",
        "bootstrap_usage",
        "domain",
        "application",
        "projections",
        "adapters",
        "rpc",
        speaks_grpc=True,
    ),
    "bootstrap_billing": layer(
        "settings", "domain", "application", "projections", "adapters", "rpc", speaks_grpc=True
    ),
    "bootstrap_usage": layer(
        "settings", "domain", "application", "projections", "adapters", "rpc", speaks_grpc=True
    ),
    "bootstrap_plans": layer(
        "settings",
        "bootstrap_billing",
        "domain",
        "application",
        "projections",
        "adapters",
        "rpc",
        speaks_grpc=True,
    ),
    "bootstrap_documents": layer(
        "settings",
        "bootstrap_billing",
        "bootstrap_plans",
        "domain",
        "application",
        "projections",
        "adapters",
        "rpc",
        speaks_grpc=True,
    ),
    "bootstrap_reports": layer("application", "projections", "adapters", "rpc", speaks_grpc=True),
    "__main__": layer("cli", "settings", "bootstrap"),
}
ONLY_OF = dict.fromkeys(
    ("bootstrap_billing", "bootstrap_documents", "bootstrap_plans", "bootstrap_reports", "bootstrap_usage"),
    ("rating_service",),
)
"""Files of some services only."""
# Rating reaches the ledger over gRPC only, through adapters of its own.
SPEAKS_GRPC_TOO = frozenset({("rating_service", "adapters")})


def violations(module: Module) -> list[str]:
    """Return one sentence for each import rule that a module of a service breaks."""
    service, *inner = module.name.split(".")
    if not inner:
        return [f"{module.name} (the package itself) imports {name}" for name in imported_names(module)]
    if inner[0] not in PACKAGES | FILES:
        return [f"{module.name} is in no known layer"]
    found = [
        f"{module.name} imports {name}: {reason}"
        for name in imported_names(module)
        if (reason := objection(service, inner[0], name))
    ]
    if VAGUE_NAMES.intersection(inner):
        found.append(f"{module.name} has a name that says nothing")
    if inner[0] == "domain":
        found += [f"{module.name}:{line} reads the clock" for line in clock_readings(module)]
    return found


def objection(service: str, layer_name: str, imported: str) -> str | None:
    """Return why a layer of a service may not import a name, or None if it may."""
    rules = (PACKAGES | FILES)[layer_name]
    top, *rest = imported.split(".")
    if top == "":
        return "relative imports hide the layer"
    if top == service:
        allowed = bool(rest) and rest[0] in rules.project
        return None if allowed else f"{layer_name} may import only {', '.join(sorted(rules.project))}"
    if top in (*SERVICES, "tests", "deploy"):
        return "a service stands on its own"
    if top in INFRASTRUCTURE:
        allowed = rules.speaks_grpc or (service, layer_name) in SPEAKS_GRPC_TOO
        return None if allowed else f"{layer_name} does not speak gRPC"
    names = rules.stdlib if top in sys.stdlib_module_names else rules.third_party
    return None if names is None or top in names else f"not on the list for {layer_name}"


def clock_readings(module: Module) -> list[int]:
    """Return the lines that ask datetime or date for the present."""
    return [
        node.lineno
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute)
        and node.attr in CLOCK_READINGS
        and ast.unparse(node.value).rpartition(".")[2] in {"datetime", "date"}
    ]
