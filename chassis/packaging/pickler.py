"""A cloudpickle whose bytes depend on the source alone.

What varies between two runs of plain cloudpickle, and what is done here: the random identity of a class pickled by
value (made from the sources and a counter), the order of a set whose elements hash by address (sorted). The hash seed
is the caller's to fix, with `PYTHONHASHSEED=0`. Beyond that, functions of `functools` that plain cloudpickle refuses
for a module by value (`cache`, `lru_cache`, `cached_property`, `singledispatch`) are taken apart and put together again
without what they hold, and a module that is held as a whole is filled after it is made: modules may hold each other.
"""

from __future__ import annotations

import collections
import functools
import hashlib
import io
import sys
import sysconfig
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import cloudpickle
from cloudpickle import cloudpickle as implementation

from chassis.runtime.core.dispatch import register_all

PROTOCOL = 5
"""Of the pickle: fixed, so that a newer cloudpickle gives no other bytes."""

_Reduced = tuple[Any, ...]


def dump(function: object, seed: bytes, packages: frozenset[str] = frozenset()) -> bytes:
    """Returns `function` pickled; `seed` tells its classes from those of other models in one process.

    `packages` are names of packages that hold modules pickled by value: held as a whole, they are by value, too.

    Raises:
      Exception: whatever the objects that it holds raise when they are pickled.
    """
    with _fixed_class_identities(seed):
        buffer = io.BytesIO()
        _Pickler(buffer, PROTOCOL, packages).dump(function)
    return buffer.getvalue()


class _Ordered:
    """A set, pickled in an order of its own."""

    def __init__(self, elements: set[Any] | frozenset[Any]) -> None:
        self._type = type(elements)
        self._elements = sorted(elements, key=lambda element: (type(element).__qualname__, repr(element)))

    def __reduce__(self) -> _Reduced:
        return self._type, (self._elements,)


def _portable(filename: str) -> str:
    """A source's path from where it is imported from, such as `contextlib.py`: where that lies is nobody's business.

    A function that a library makes for the model's module, as `contextlib.contextmanager` does, is pickled by value.
    """
    roots = sorted({*sys.path, sysconfig.get_path("stdlib")}, key=len, reverse=True)
    for root in filter(None, roots):
        if filename.startswith(root.rstrip("/") + "/"):
            return filename[len(root.rstrip("/")) + 1 :]
    return filename


def _forget_place(base_globals: dict[str, object]) -> None:
    """A library's function takes its module's `__file__` and `__path__` along."""
    if isinstance(file := base_globals.get("__file__"), str):
        base_globals["__file__"] = _portable(file)
    if isinstance(path := base_globals.get("__path__"), list):
        base_globals["__path__"] = [_portable(part) for part in path]


def _reduce_code(code: types.CodeType) -> _Reduced:
    """`x in {None, "a"}` is a frozenset among a function's constants, and `None` hashes by address before 3.12."""
    rebuild, arguments, *rest = implementation._code_reduce(code.replace(co_filename=_portable(code.co_filename)))
    ordered = tuple(
        tuple(_Ordered(part) if type(part) is frozenset else part for part in argument)
        if type(argument) is tuple
        else argument
        for argument in arguments
    )
    return rebuild, ordered, *rest


def _reduce_cache(wrapper: functools._lru_cache_wrapper[Any]) -> _Reduced:
    """The function and its cache's parameters; neither what the cache holds nor its counts."""
    parameters = wrapper.cache_parameters()
    names = ("__wrapped__", "__module__", "__name__", "__qualname__", "__doc__")
    state = {name: vars(wrapper)[name] for name in names if name in vars(wrapper)}
    arguments = (wrapper.__wrapped__, parameters["maxsize"], parameters["typed"], functools._CacheInfo)
    return type(wrapper), arguments, state


def _reduce_cached_property(cached: functools.cached_property[Any]) -> _Reduced:
    """The function and the attribute's name; not the lock that Python 3.11 keeps beside them."""
    return functools.cached_property, (cached.func,), {"attrname": cached.attrname, "__doc__": cached.__doc__}


_DISPATCHER_CODE = vars(functools)["singledispatch"](lambda value: value).__code__


def _reduce_dispatcher(dispatcher: Any) -> _Reduced:
    """The function, and those registered, each after the dispatcher is made: they may use it."""
    return functools.singledispatch, (dispatcher.__wrapped__,), dict(dispatcher.registry), None, None, register_all


def _reduce_module(module: types.ModuleType) -> _Reduced:
    """Its variables, without those that are of this process."""
    state = {name: value for name, value in vars(module).items() if name not in _OF_THE_PROCESS}
    if not isinstance(state.get("__path__"), list):
        state.pop("__path__", None)
    return types.ModuleType, (module.__name__,), state


_OF_THE_PROCESS = frozenset({"__builtins__", "__cached__", "__loader__", "__spec__"})


class _Pickler(cloudpickle.Pickler):
    dispatch_table: ClassVar[Mapping[type, object]] = collections.ChainMap(
        {types.CodeType: _reduce_code, functools.cached_property: _reduce_cached_property},
        cloudpickle.Pickler.dispatch_table,
    )

    def __init__(self, file: io.BytesIO, protocol: int, packages: frozenset[str]) -> None:
        super().__init__(file, protocol=protocol)
        self._packages = packages
        self._sets: dict[int, tuple[object, _Ordered]] = {}

    def reducer_override(self, obj: object) -> object:
        if (
            type(obj) is functools._lru_cache_wrapper
            and implementation._should_pickle_by_reference(obj.__wrapped__) is False
        ):
            return _reduce_cache(obj)
        if isinstance(obj, types.ModuleType) and self._is_by_value(obj):
            return _reduce_module(obj)
        if getattr(obj, "__code__", None) is _DISPATCHER_CODE and not implementation._should_pickle_by_reference(obj):
            return _reduce_dispatcher(obj)
        reduced = super().reducer_override(obj)
        if type(obj) is types.FunctionType and reduced is not NotImplemented:
            variables = reduced[2][1]["__globals__"]
            _forget_place(reduced[1][1])
            for name, value in variables.items():
                if type(value) in (set, frozenset):
                    variables[name] = self._ordered(value)
        return reduced

    def _is_by_value(self, module: types.ModuleType) -> bool:
        return module.__name__ in self._packages or not implementation._should_pickle_by_reference(module)

    def _ordered(self, elements: set[Any] | frozenset[Any]) -> _Ordered:
        """One stand-in for each set, so that functions that share it still do."""
        return self._sets.setdefault(id(elements), (elements, _Ordered(elements)))[1]


@contextmanager
def _fixed_class_identities(seed: bytes) -> Iterator[None]:
    """Gives classes that are pickled by value an identity from `seed` and the order in which they are met."""
    original: Callable[[type], str] = implementation._get_or_create_tracker_id
    given: dict[type, str] = {}

    def identity(definition: type) -> str:
        if definition not in given:
            given[definition] = hashlib.sha256(seed + b"\0%d" % len(given)).hexdigest()[:32]
        return given[definition]

    implementation._get_or_create_tracker_id = identity
    try:
        yield
    finally:
        implementation._get_or_create_tracker_id = original
