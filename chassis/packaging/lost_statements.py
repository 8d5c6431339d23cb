"""What a model's sources do where they are pickled and cannot do in the image.

A module that is pickled by value is not imported in the image, which has what its functions use, and not what its top
did to other modules; nor is there a file of it, or anything beside that file.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

_MAX_SHOWN = 80
_IMMUTABLE = (str, bytes, int, float, complex, bool, type(None), tuple, frozenset)


@dataclass(frozen=True, slots=True)
class LostStatement:
    """A statement that the image does not run.

    Attributes:
      path: of the source.
      line: from 1.
      text: its first line, shortened.
    """

    path: str
    line: int
    text: str


def lost_statements(
    source: bytes, path: str, variables: Mapping[str, object], own: frozenset[str]
) -> list[LostStatement]:
    """Returns the statements of a source that change something of another module: a setting, a variable, a seed.

    A call that is given a value of the model's own that can change is taken to change that.

    Args:
      source: its text.
      path: its path, for messages.
      variables: the globals of the imported module.
      own: names of the modules that are pickled by value too.
    """
    tree = ast.parse(source, path)
    imported = frozenset(_imported(tree.body, own))
    return [
        LostStatement(path, statement.lineno, _shown(statement))
        for statement in _run_at_import(tree.body)
        if _changes_other(statement, imported, variables)
    ]


_PATHS = ("Path", "PurePath", "abspath", "exists", "isfile", "isdir", "join", "realpath")
_READERS = ("from", "imread", "load", "memmap", "open", "read")
"""How functions that read files begin: `open`, `numpy.load`, `pandas.read_csv`, `numpy.fromfile`."""


def paths_beside(source: bytes, path: str, data: Sequence[str], variables: Mapping[str, object]) -> list[LostStatement]:
    """Returns the expressions in a source's functions that look for a file where the image has none.

    These are uses of `__file__`, and of variables that the module makes of it, and files of `data` that are read by a
    path of the workspace.

    Args:
      source: its text.
      path: its path, for messages.
      data: the keys of the model's data.
      variables: the globals of the imported module.
    """
    names = {key.rpartition("/")[2] for key in data}
    tree = ast.parse(source, path)
    functions = [
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    ]
    beside = {"__file__"} | {
        name for name in _made_of_file(tree.body) if isinstance(variables.get(name), str | PurePath)
    }
    found: dict[int, LostStatement] = {}
    for function in functions:
        for node in ast.walk(function):
            if (isinstance(node, ast.Name) and node.id in beside) or _reads(node, names):
                line = getattr(node, "lineno", 1)
                found.setdefault(line, LostStatement(path, line, _shown(node)))
    return [found[line] for line in sorted(found)]


def _made_of_file(body: list[ast.stmt]) -> set[str]:
    """`__file__`, and the module's variables that are made of it: `HERE = os.path.dirname(__file__)`."""
    found = {"__file__"}
    for statement in _run_at_import(body):
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            if any(isinstance(part, ast.Name) and part.id in found for part in ast.walk(statement.value)):
                found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


def _reads(node: ast.AST, names: set[str]) -> bool:
    """Whether `node` calls what reads files, or makes paths, with a literal that ends with one of `names`."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name | ast.Attribute):
        return False
    if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Constant):  # a method of a text
        return False
    called = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
    if called not in _PATHS and not called.startswith(_READERS):
        return False
    # A path of several parts is one of the workspace if it is written out whole; of what reads, the first says where.
    parts = node.args if called in _PATHS else node.args[:1]
    texts = [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]
    return bool(texts) and len(texts) == len(parts) and texts[-1].rpartition("/")[2] in names


def _run_at_import(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when the module is imported, those in branches and blocks too."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if isinstance(statement, ast.If) and ast.unparse(statement.test) in ("__name__ == '__main__'", "TYPE_CHECKING"):
            yield from _run_at_import(statement.orelse)
            continue
        for name in ("body", "orelse", "finalbody"):
            yield from _run_at_import(getattr(statement, name, []))
        for handler in getattr(statement, "handlers", []):
            yield from _run_at_import(handler.body)


def _imported(body: list[ast.stmt], own: frozenset[str]) -> Iterator[str]:
    for statement in _run_at_import(body):
        if isinstance(statement, ast.Import):
            yield from (
                (alias.asname or alias.name).partition(".")[0] for alias in statement.names if alias.name not in own
            )
        elif isinstance(statement, ast.ImportFrom) and not statement.level and statement.module not in own:
            yield from (alias.asname or alias.name for alias in statement.names)


def _changes_other(statement: ast.stmt, imported: frozenset[str], variables: Mapping[str, object]) -> bool:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        given = [*statement.value.args, *(keyword.value for keyword in statement.value.keywords)]
        return _root(statement.value.func) in imported and not any(
            isinstance(part, ast.Name) and not isinstance(variables.get(part.id), _IMMUTABLE)
            for argument in given
            for part in ast.walk(argument)
            if not (isinstance(part, ast.Name) and part.id in imported)
        )
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign | ast.Delete):
        targets = statement.targets
    elif isinstance(statement, ast.AugAssign | ast.AnnAssign):
        targets = [statement.target]
    return any(isinstance(part, ast.Attribute | ast.Subscript) and _root(part) in imported for part in targets)


def _root(node: ast.expr) -> str | None:
    """`os` of `os.environ["A"]`, and of `os.environ.copy().pop`."""
    while not isinstance(node, ast.Name):
        if isinstance(node, ast.Attribute | ast.Subscript):
            node = node.value
        elif isinstance(node, ast.Call):
            node = node.func
        else:
            return None
    return node.id


def _shown(node: ast.AST) -> str:
    text = ast.unparse(node).partition("\n")[0]
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"
