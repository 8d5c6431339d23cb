"""The modules that sources import, told from those that they can do without."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass

_OPTIONAL = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})


@dataclass(frozen=True, slots=True)
class Import:
    """An absolute import of `module` in `line` (from 1) of `path`."""

    module: str
    path: str
    line: int


def required_imports(source: bytes, path: str) -> list[Import]:
    """Returns the imports of a source, wherever in it they stand.

    Left out is what it can do without (an import under `try` with a handler for ImportError) or never runs (under
    `if TYPE_CHECKING`), and relative imports.
    """
    return [Import(module, path, line) for module, line in _imports(ast.parse(source, path))]


def is_importable(module: str) -> bool:
    """Whether this interpreter would find `module`, looking no further than its first package that has code."""
    if module in sys.modules:
        return True
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        try:
            spec = importlib.util.find_spec(".".join(parts[:count]))
        except (ImportError, ValueError):
            return False
        if spec is None:
            return False
        # A namespace package is shared by distributions: the next name decides.
        if spec.submodule_search_locations is None or spec.origin is not None:
            return True
    return True


def _imports(node: ast.AST) -> Iterator[tuple[str, int]]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name, node.lineno
    elif isinstance(node, ast.ImportFrom):
        if node.level == 0 and node.module:
            yield node.module, node.lineno
    elif isinstance(node, ast.Try) and any(_catches_import_error(handler) for handler in node.handlers):
        for part in (*node.handlers, *node.orelse, *node.finalbody):
            yield from _imports(part)
    elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        for part in node.orelse:
            yield from _imports(part)
    else:
        for child in ast.iter_child_nodes(node):
            yield from _imports(child)


def _catches_import_error(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(name, ast.Name) and name.id in _OPTIONAL for name in types)
