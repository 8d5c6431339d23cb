"""Packs Python modules of the workspace into a wheel: those that some of them import, and no others."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from absl import flags

from chassis.command_line.run import run_main
from chassis.compression.wheel_writer import write_wheel
from chassis.declaration.pythons import PYTHONS
from chassis.errors import ChassisError

_FILE = flags.DEFINE_multi_string("file", [], "PATH_IN_WORKSPACE=FILE: a module that may be needed.")
_DATA = flags.DEFINE_multi_string("data", [], "PATH_IN_WORKSPACE=FILE: a file to pack as it is.")
_ROOT = flags.DEFINE_multi_string("root", [], "A module to pack, with all that it imports.")
_DISTRIBUTION = flags.DEFINE_string("distribution", None, "The distribution's name.", required=True)
_VERSION = flags.DEFINE_string("version", None, "Its version.", required=True)
_SUMMARY = flags.DEFINE_string("summary", "", "A sentence about it.")
_PYTHON = flags.DEFINE_string("python", f">={PYTHONS[0]}", "Requires-Python.")
_REQUIRES = flags.DEFINE_multi_string("requires", [], "Requires-Dist, such as `urllib3` or `uv; extra == 'local'`.")
_EXTRA = flags.DEFINE_multi_string("extra", [], "An extra that requirements are for.")
_OUTPUT = flags.DEFINE_string("output", None, "The wheel.", required=True)


def main(argv: Sequence[str]) -> None:
    """Writes the wheel, the same bytes for the same files."""
    del argv
    modules = dict(_modules(_FILE.value))
    chosen = reachable(modules, _ROOT.value)
    tops = sorted({name.partition(".")[0] for name in chosen})
    dist_info = f"{_DISTRIBUTION.value.replace('-', '_')}-{_VERSION.value}.dist-info"
    documents = {"METADATA": _metadata(), "WHEEL": _WHEEL, "top_level.txt": "".join(f"{top}\n" for top in tops)}
    files = {path: file.read_bytes() for path, file in (modules[name] for name in chosen)}
    files |= {path: Path(file).read_bytes() for path, _, file in (value.partition("=") for value in _DATA.value)}
    files |= {f"{dist_info}/{name}": text.encode() for name, text in documents.items()}
    write_wheel(Path(_OUTPUT.value), files, dist_info)


_WHEEL = "Wheel-Version: 1.0\nGenerator: chassis\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def reachable(modules: Mapping[str, tuple[str, Path]], roots: Sequence[str]) -> set[str]:
    """The names of `modules` that `roots` import, wherever in them, with the packages above.

    Raises:
      ChassisError: a root is not one of the modules.
    """
    found: set[str] = set()
    pending = list(roots)
    for root in roots:
        if root not in modules:
            raise ChassisError(f"--root={root}: no --file is that module")
    while pending:
        name = pending.pop()
        if name not in modules or name in found:
            continue
        found.add(name)
        pending.append(name.rpartition(".")[0])
        pending += _imported(modules[name][1])
    return found


def _modules(values: Sequence[str]) -> Iterator[tuple[str, tuple[str, Path]]]:
    for value in values:
        path, _, file = value.partition("=")
        parts = path.removesuffix(".py").split("/")
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), (path, Path(file))


def _imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_bytes(), str(file))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _metadata() -> str:
    lines = ["Metadata-Version: 2.1", f"Name: {_DISTRIBUTION.value}", f"Version: {_VERSION.value}"]
    lines += [f"Summary: {_SUMMARY.value}", f"Requires-Python: {_PYTHON.value}"]
    lines += [f"Requires-Dist: {text}" for text in _REQUIRES.value]
    lines += [f"Provides-Extra: {text}" for text in _EXTRA.value]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    run_main(main)
