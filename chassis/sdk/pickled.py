"""A predict function of a running Python, a notebook's for instance, pickled as an image takes it."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType, ModuleType

import cloudpickle

from chassis.declaration.pythons import PYTHONS
from chassis.packaging import pickler, unpicklable
from chassis.packaging.errors import UnpicklableError
from chassis.packaging.signature import Predictor, unwrapped
from chassis.packed_model.requirements import Detected, detect
from chassis.sdk.references import referenced_modules

_MAX_ROUNDS = 20


@dataclass(frozen=True, slots=True)
class PickledFunction:
    """A function as a pickle, with what it imports."""

    content: bytes
    imports: Detected


def running_python() -> str:
    """The minor version of this interpreter, which a pickle is bound to: it holds bytecode."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def pickle_function(predictor: Predictor) -> PickledFunction:
    """Pickles `predictor`: modules of installed distributions by reference, everything else by value.

    Raises:
      UnpicklableError: it holds what cannot be pickled, uses a local module that has no source, or this is a Python
        that no image has.
    """
    function = unwrapped(predictor)
    name = getattr(function, "__name__", type(function).__name__)
    if running_python() not in PYTHONS:
        raise UnpicklableError(
            f"{name}: this is Python {running_python()}, and images have {', '.join(PYTHONS)}: a pickle holds "
            "bytecode of one minor version\n"
            "  run this in a Python of one of these, or give the source to a chassis_model as `entry_point`"
        )
    by_value: dict[str, ModuleType] = {}
    for _ in range(_MAX_ROUNDS):
        with _registered(by_value):
            content = _dump(predictor, name, getattr(function, "__code__", None))
        imports = detect(referenced_modules(content))
        local = {module: _source_module(module, name) for module in imports.local if module not in by_value}
        if not local:
            return PickledFunction(content, imports)
        by_value |= local
    raise UnpicklableError(f"{name}: it still refers to local modules after {_MAX_ROUNDS} rounds: {sorted(by_value)}")


def _dump(predictor: Predictor, name: str, code: CodeType | None) -> bytes:
    seed = hashlib.sha256(code.co_code if code else name.encode()).digest()
    try:
        return pickler.dump(predictor, seed)
    except Exception:
        reason = unpicklable.explain(predictor, name, lambda part: pickler.dump(part, seed))
    raise UnpicklableError(
        f"{reason}\n  make it in a function that you give as `load_fn`, or keep it out of what the function uses"
    )


@contextlib.contextmanager
def _registered(modules: dict[str, ModuleType]) -> Iterator[None]:
    """Has cloudpickle take `modules` by value; those that were registered by others stay as they were."""
    before = cloudpickle.list_registry_pickle_by_value()
    mine = [module for name, module in modules.items() if name not in before]
    for module in mine:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in mine:
            cloudpickle.unregister_pickle_by_value(module)


def _source_module(module: str, function: str) -> ModuleType:
    found = importlib.import_module(module)
    if not str(getattr(found, "__file__", None) or "").endswith(".py"):
        raise UnpicklableError(
            f"{function} uses the module {module}, which no installed distribution brings and which has no source\n"
            "  package it as a wheel (chassis_wheel builds one from C and C++) and add it to the requirements"
        )
    return found
