"""No binary fraction exists in a domain package: amounts are integers, rates are Decimal."""

import ast

import pytest

from tests.architecture.sources import SERVICES, Module, module_from_source, modules_below


def floats_in(module: Module) -> list[int]:
    """Return the lines that hold a float literal or name the type."""
    return [
        node.lineno
        for node in ast.walk(module.tree)
        if (isinstance(node, ast.Constant) and isinstance(node.value, float | complex))
        or (isinstance(node, ast.Name) and node.id == "float")
    ]


@pytest.mark.parametrize("service", SERVICES)
def test_no_domain_module_uses_a_float(service: str) -> None:
    modules = modules_below(f"{service}/domain")

    assert modules != []
    assert [f"{module.path}:{line}" for module in modules for line in floats_in(module)] == []


@pytest.mark.parametrize("source", ["x = 0.1", "x = float('1')", "def f(x: float): ...", "x = 1e3"])
def test_a_float_is_found(source: str) -> None:
    assert floats_in(module_from_source("ledger_service.domain.sample", source)) == [1]


@pytest.mark.parametrize("source", ["x = 1", "x = Decimal('0.1')", "x = 7 // 2"])
def test_exact_numbers_are_let_through(source: str) -> None:
    assert floats_in(module_from_source("ledger_service.domain.sample", source)) == []
