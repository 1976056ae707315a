"""Within a layer, the folders and the modules beside them import each other one way, and no folder is crowded."""

from __future__ import annotations

from collections import Counter, defaultdict
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.architecture.import_rules import PACKAGES
from tests.architecture.sources import SERVICES, Module, imported_names, module_from_source, modules_below

MODULES_MAX = 45
"""Modules in one folder; this may only be lowered."""


def room_of(name: str, layer: str, folders: set[str]) -> str:
    """Return the folder below a layer in which a dotted name lies, or the module beside the folders; "" elsewhere."""
    if not name.startswith(f"{layer}."):
        return ""
    first = name.removeprefix(f"{layer}.").partition(".")[0]
    return f"{first}/" if first in folders else first


def rooms_of(modules: list[Module], layer: str) -> dict[str, set[str]]:
    """Return the rooms of a layer, each with the rooms that it imports."""
    inside = [module for module in modules if module.name.startswith(f"{layer}.")]
    folders = {
        module.name.removeprefix(f"{layer}.").partition(".")[0]
        for module in inside
        if "." in module.name.removeprefix(f"{layer}.")
    }
    rooms: dict[str, set[str]] = defaultdict(set)
    for module in inside:
        room = room_of(module.name, layer, folders)
        imported = {room_of(name, layer, folders) for name in imported_names(module)}
        rooms[room] |= imported - {room, ""}
    return dict(rooms)


def circle_in(rooms: dict[str, set[str]]) -> list[str]:
    """Return rooms that import each other in a circle, none if there is no circle."""
    try:
        TopologicalSorter(rooms).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


@pytest.mark.parametrize("layer", PACKAGES)
@pytest.mark.parametrize("service", SERVICES)
def test_the_rooms_of_a_layer_import_each_other_one_way(service: str, layer: str) -> None:
    rooms = rooms_of(modules_below(service), f"{service}.{layer}")

    assert circle_in(rooms) == []
    assert len(rooms) > 1


def test_a_circle_of_rooms_is_found() -> None:
    modules = [
        module_from_source("s.domain.a.one", "from s.domain.b.two import x"),
        module_from_source("s.domain.b.three", "from s.domain.plain import y"),
        module_from_source("s.domain.plain", "import s.domain.a.one"),
        module_from_source("s.domain.b.two", "from elsewhere import z"),
    ]

    assert set(circle_in(rooms_of(modules, "s.domain"))) == {"a/", "b/", "plain"}
    assert circle_in(rooms_of([modules[0], modules[3]], "s.domain")) == []


def test_no_folder_is_crowded() -> None:
    counts = Counter(
        module.path.rpartition("/")[0] for service in SERVICES for module in modules_below(service)
    )

    assert {folder: count for folder, count in counts.items() if count > MODULES_MAX} == {}
    assert max(counts.values()) > 1
