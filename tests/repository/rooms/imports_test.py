"""The rooms of `chassis` import downwards, and no modules import each other in a circle.

Every import counts, wherever it is in a module: within a function and under `TYPE_CHECKING` too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import chassis

_ROOT = Path(chassis.__file__).parents[1]

LAYERS = (
    ("chassis",),
    ("compression", "confinement", "debian", "declaration"),
    ("bootstrap", "deployment", "fetching", "frameworks", "oci", "runtime"),
    ("doctor", "locking", "packaging", "sandbox"),
    ("cross", "image_test", "packed_model", "trust"),
    ("build_api", "command_line", "new_workspace"),
    ("service",),
    ("sdk",),
    ("reference", "tools"),
)
"""Rooms from the lowest to the highest. A room imports from lower layers alone; `chassis` is what is in no room."""

_FRONT_DOOR = "chassis"
"""`chassis/__init__.py`, whose names lead into the SDK if there is one: it imports what is asked for."""


def _modules(root: Path) -> dict[str, Path]:
    """Each module of `chassis` that is not a test, by name."""
    found = {}
    for path in sorted((root / "chassis").rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if not path.name.endswith(("_test.py", "_pb2.py", "_pb2_grpc.py")):
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def _imports(path: Path, modules: dict[str, Path]) -> Iterator[str]:
    """The modules of `chassis` that a file imports."""
    for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            module = name if name in modules else name.rpartition(".")[0]
            if module in modules and module != _FRONT_DOOR:
                yield module


def _room(module: str, modules: dict[str, Path]) -> str:
    parts = module.split(".")
    stands_alone = len(parts) == 1 or (len(parts) == 2 and modules[module].name != "__init__.py")
    return "chassis" if stands_alone else parts[1]


def _upward(root: Path, layers: tuple[tuple[str, ...], ...]) -> list[str]:
    """What imports from its own height or above, as `module (room) imports module (room)`."""
    modules = _modules(root)
    height = {room: level for level, rooms in enumerate(layers) for room in rooms}
    found = []
    for module, path in modules.items():
        room = _room(module, modules)
        if room not in height:
            found.append(f"{module}: the room {room} is missing from LAYERS")
            continue
        if module == _FRONT_DOOR:
            continue
        for target in sorted(set(_imports(path, modules))):
            other = _room(target, modules)
            if other != room and not height.get(other, len(layers)) < height[room]:
                found.append(f"{module} ({room}) imports {target} ({other})")
    return found


def _circle(root: Path) -> list[str]:
    modules = _modules(root)
    graph = {module: set(_imports(path, modules)) - {module} for module, path in modules.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_rooms_import_from_lower_layers_alone() -> None:
    assert _upward(_ROOT, LAYERS) == []


def test_adapters_of_frameworks_import_nothing_of_chassis_and_nothing_imports_them() -> None:
    """A model names one, and that alone is imported: none costs another model anything."""
    modules = _modules(_ROOT)
    for module, path in modules.items():
        found = sorted(set(_imports(path, modules)))
        if _room(module, modules) == "frameworks":
            assert found == [], module
            assert len(path.read_text().splitlines()) < 100, module
        else:
            assert not [target for target in found if _room(target, modules) == "frameworks"], module


def test_every_room_of_the_table_is_there() -> None:
    modules = _modules(_ROOT)
    assert {_room(module, modules) for module in modules} == {room for rooms in LAYERS for room in rooms}


def test_no_modules_import_each_other() -> None:
    assert _circle(_ROOT) == []


_SMALL = {
    "chassis/__init__.py": "if 0:\n    from chassis.high.a import X\n",
    "chassis/low/__init__.py": "",
    "chassis/low/a.py": "",
    "chassis/high/__init__.py": "",
    "chassis/high/a.py": "import chassis.low.a\n",
}


@pytest.mark.parametrize(
    ("changes", "upward", "circle"),
    [
        ({}, [], []),
        (
            {"chassis/low/a.py": "def f():\n    from chassis.high import a\n"},
            ["chassis.low.a (low) imports chassis.high.a (high)"],
            ["chassis.high.a", "chassis.low.a"],
        ),
        (
            {"chassis/low/a.py": "from chassis.low.b import x\n", "chassis/low/b.py": "from chassis.low.a import y\n"},
            [],
            ["chassis.low.a", "chassis.low.b"],
        ),
        ({"chassis/new/__init__.py": ""}, ["chassis.new: the room new is missing from LAYERS"], []),
    ],
)
def test_what_points_up_or_round_is_found(
    tmp_path: Path, changes: dict[str, str], upward: list[str], circle: list[str]
) -> None:
    for name, text in (_SMALL | changes).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert _upward(tmp_path, (("chassis",), ("low",), ("high",))) == upward
    assert sorted(set(_circle(tmp_path))) == circle
