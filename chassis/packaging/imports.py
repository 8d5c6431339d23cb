"""The modules that sources import, told from those that they can do without."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_OPTIONAL = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})


@dataclass(frozen=True, slots=True)
class Import:
    """An import in a source.

    Attributes:
      module: absolute name of the module.
      names: what is taken from it, which may be modules too; empty for `import module`.
      path: of the source.
      line: from 1.
      deferred: whether it is in a function, and so runs in the image.
    """

    module: str
    names: tuple[str, ...]
    path: str
    line: int
    deferred: bool

    def candidates(self) -> list[str]:
        """The modules that it may import."""
        return [self.module, *(f"{self.module}.{name}" for name in self.names)]


def required_imports(source: bytes, path: str, package: str) -> list[Import]:
    """Returns the imports of a source, wherever in it they stand.

    Left out is what it can do without (an import under `try` with a handler for ImportError) or never runs (under
    `if TYPE_CHECKING`).

    Args:
      source: its text.
      path: its path, for messages.
      package: the package that its relative imports start from.
    """
    return list(_imports(ast.parse(source, path), path, package, deferred=False))


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


def _imports(node: ast.AST, path: str, package: str, *, deferred: bool) -> Iterator[Import]:
    parts: Iterable[ast.AST]
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(alias.name, (), path, node.lineno, deferred)
        return
    if isinstance(node, ast.ImportFrom):
        above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
        module = ".".join([*above, *([node.module] if node.module else [])])
        yield Import(module, tuple(alias.name for alias in node.names), path, node.lineno, deferred)
        return
    if isinstance(node, ast.Try) and any(_catches_import_error(handler) for handler in node.handlers):
        parts = (*node.handlers, *node.orelse, *node.finalbody)
    elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        parts = node.orelse
    else:
        parts = ast.iter_child_nodes(node)
    deferred = deferred or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for part in parts:
        yield from _imports(part, path, package, deferred=deferred)


def _catches_import_error(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(name, ast.Name) and name.id in _OPTIONAL for name in types)
