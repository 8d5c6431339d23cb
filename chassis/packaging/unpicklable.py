"""Which part of a predict function it is that cannot be pickled."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator

from chassis.runtime.core.loader import Loader, Records

_DEEPEST = 12
_MAX_PARTS = 2000

Try = Callable[[object], object]


def explain(function: object, name: str, attempt: Try) -> str:
    """Says which global, closure, attribute or element below `function` cannot be pickled, and why.

    Each part is pickled for itself with `attempt`, and what fails is searched further.
    """
    path, culprit, failure = [name], function, _failure(attempt, function)
    seen = {id(function)}
    for _ in range(_DEEPEST):
        deeper = next(
            (
                (label, part, error)
                for label, part in _parts(culprit)
                if id(part) not in seen and (error := _failure(attempt, part)) is not None
            ),
            None,
        )
        if deeper is None:
            break
        path.append(deeper[0])
        culprit, failure = deeper[1], deeper[2]
        seen.add(id(culprit))
    kind = f"{type(culprit).__module__}.{type(culprit).__qualname__}".removeprefix("builtins.")
    reason = f"{type(failure).__name__}: {failure}" if failure else "it cannot be pickled together with the rest"
    return f"{path[-1]} (a {kind}) cannot be pickled: {reason}\n  held by: {' -> '.join(path)}"


def _failure(attempt: Try, value: object) -> Exception | None:
    try:
        attempt(value)
    except Exception as error:
        return error
    return None


def _parts(value: object) -> Iterator[tuple[str, object]]:
    """What `value` holds, with a label for each part; at most 2000."""
    for count, part in enumerate(_all_parts(value)):
        if count == _MAX_PARTS:
            return
        yield part


def _all_parts(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, types.MethodType):
        yield f"the object of {value.__name__}", value.__self__
        value = value.__func__
    wrapped = getattr(value, "__wrapped__", None)
    if wrapped is not None:
        yield getattr(wrapped, "__name__", "the wrapped function"), wrapped
    if isinstance(value, Loader | Records):
        for part in value:
            if part is not None:
                yield getattr(part, "__name__", type(part).__name__), part
    elif isinstance(value, types.FunctionType):
        yield from _function_parts(value)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield f"key {key!r}", item
    elif isinstance(value, list | tuple | set | frozenset):
        for index, item in enumerate(value):
            yield f"element {index}", item
    elif isinstance(value, type):
        for key, item in vars(value).items():
            if not isinstance(item, types.GetSetDescriptorType | types.MemberDescriptorType):
                yield f"{value.__name__}.{key}", getattr(item, "__func__", getattr(item, "fget", item))
    elif isinstance(value, types.ModuleType):
        for key, item in vars(value).items():
            if not key.startswith("__"):
                yield f"global {key!r}", item
    else:
        for key, item in getattr(value, "__dict__", {}).items():
            yield f"attribute {key!r}", item
        yield f"class {type(value).__qualname__}", type(value)


def _function_parts(function: types.FunctionType) -> Iterator[tuple[str, object]]:
    for name in sorted(_global_names(function.__code__)):
        if name in function.__globals__:
            part = function.__globals__[name]
            yield (name if isinstance(part, types.FunctionType | type) else f"global {name!r}"), part
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield f"variable {name!r}", cell.cell_contents
        except ValueError:
            continue
    for index, default in enumerate(function.__defaults__ or ()):
        yield f"default {index}", default
    for name, default in (function.__kwdefaults__ or {}).items():
        yield f"default of {name!r}", default


def _global_names(code: types.CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _global_names(constant)
    return names
