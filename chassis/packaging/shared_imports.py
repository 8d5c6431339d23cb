"""What a model imports of wheels before it does anything else: it can be imported once, before a fork, for several."""

from __future__ import annotations

import ast
import importlib.util
import itertools
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from chassis.packaging.entry_module import entry_name, module_name


def leading_imports(source: bytes) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The modules, with the names taken of each, that a source imports before its first other statement."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import):
            yield from ((alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            if node.module != "__future__":
                yield node.module, tuple(alias.name for alias in node.names)
        elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            return


def shareable_imports(
    entry_point: str, package_dir: str, sources: Mapping[str, str | Path]
) -> list[tuple[str, tuple[str, ...]]]:
    """The leading imports of an entry module, up to the first of the model's own; arguments as of `PickleRequest`.

    Raises:
      PackagingError: no source is the entry module.
      SyntaxError, OSError: it cannot be read.
    """
    entry = entry_name("entry point", entry_point.partition(":")[0], package_dir, sources)
    source = next(file for path, file in sources.items() if module_name(path) == entry)
    own = {name for path in sources for name in module_name(path).split(".")} | {"chassis"}
    imports = leading_imports(Path(source).read_bytes())
    return list(itertools.takewhile(lambda each: each[0].partition(".")[0] not in own, imports))


def import_all(imports: Iterable[tuple[str, Sequence[str]]]) -> bool:
    """Imports modules, with the names taken of each, up to the first that does not come from a wheel or from Python.

    Returns whether a fork of this process is from now on as good as one that imports them itself.

    Raises:
      Exception: what a module raises.
    """
    own = {name: sys.modules.pop(name) for name in [*sys.modules] if name.partition(".")[0] == "chassis"}
    try:
        _import(imports)
        # A wheel that imports Chassis may want what no image has, which is the check's to find.
        imported = any(name.partition(".")[0] == "chassis" for name in sys.modules)
    finally:
        sys.modules.update(own)
    return not imported and not _has_threads()


def _import(imports: Iterable[tuple[str, Sequence[str]]]) -> None:
    for module, names in imports:
        if not _is_of_a_wheel(module.partition(".")[0]):
            break
        # As a statement's names are: a module keeps its own, and a pickle tells one text from another that is equal.
        __import__(sys.intern(module), fromlist=[sys.intern(name) for name in names if name != "*"])


def _is_of_a_wheel(package: str) -> bool:
    """Whether a package comes from the standard library or from unpacked wheels, and not from the workspace itself."""
    if package in sys.stdlib_module_names:
        return True
    spec = importlib.util.find_spec(package)
    if spec is None:
        return False
    places: Sequence[str] = spec.submodule_search_locations or ([spec.origin] if spec.origin else [])
    return bool(places) and all(_is_wheels(Path(place).parent) for place in places)


def _is_wheels(directory: Path) -> bool:
    return next(directory.glob("*.dist-info"), None) is not None


def _has_threads() -> bool:
    """Whether there are threads that a fork would not have; of those that end before a fork there are none by then."""
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    return len(list(Path("/proc/self/task").iterdir())) > 1
