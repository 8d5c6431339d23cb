"""Runs .bzl files of plain functions as the Python that they nearly are, to compare them with Python's own libraries.

Bazel's Starlark runs the same files in //rules/private/locks:lock_readers_tests; here they meet thousands of inputs.
"""

from __future__ import annotations

import ast
import builtins
import json
import types
from pathlib import Path

# The functions that Starlark and Python share.
_BUILTINS = [
    "all",
    "any",
    "bool",
    "dict",
    "enumerate",
    "getattr",
    "hasattr",
    "int",
    "len",
    "list",
    "max",
    "min",
    "range",
    "repr",
    "reversed",
    "sorted",
    "str",
    "tuple",
    "zip",
]


def _type(value: object) -> str:
    name = type(value).__name__
    return {"str": "string"}.get(name, name)


def _globals() -> dict[str, object]:
    return {
        "__builtins__": {name: getattr(builtins, name) for name in _BUILTINS},
        "json": types.SimpleNamespace(decode=json.loads, encode=json.dumps),
        "struct": types.SimpleNamespace,
        "type": _type,
    }


def _file(label: str, beside: Path) -> Path:
    """The file of a label as `beside` writes it: `:x.bzl` or `//package:x.bzl`."""
    package, _, name = label.partition(":")
    if not package:
        return beside.parent / name
    within = Path(package.removeprefix("//"), name)
    return next(above / within for above in beside.parents if (above / within).is_file())


def load(path: Path) -> types.SimpleNamespace:
    """What the .bzl file at `path` defines; what it loads has to lie beside it, or in the same repository."""
    module = _globals()
    statements = []
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for statement in tree.body:
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            call = statement.value
            if not (isinstance(call.func, ast.Name) and call.func.id == "load"):
                raise AssertionError(f"{path}: a call at the top that is not load()")
            label, *names = (argument.value for argument in call.args)
            loaded = load(_file(label, path))
            module.update({name: getattr(loaded, name) for name in names})
        else:
            statements.append(statement)
    tree.body = statements
    exec(compile(tree, str(path), "exec"), module)
    return types.SimpleNamespace(**module)
