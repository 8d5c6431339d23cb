"""Which of the four kinds a predict function is, by its annotations and what its target declares."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass

from chassis.packaging.errors import EntryPointError
from chassis.runtime.core.loader import Loader

_SEQUENCES = frozenset({"list", "sequence", "iterable", "collection", "tuple", "mutablesequence"})
_STREAMS = {"iterator": 0, "generator": 2, "asyncgenerator": 1, "asynciterator": 0, "asynciterable": 0}
_MAPPINGS = frozenset({"dict", "mapping", "mutablemapping", "ordereddict"})
_BYTES = frozenset({"bytes", "bytearray", "memoryview", "bytestring", "buffer"})


Predictor = Callable[..., object] | Loader
"""A predict function, or what is one once it has loaded."""


@dataclass(frozen=True, slots=True)
class _Annotation:
    """What an annotation says: a list of items or one, and `bytes`, `mapping` or None for what an item is."""

    batch: bool
    item: str | None


def as_predictor(function: Callable[..., object], load: Callable[[], object] | None = None) -> Predictor:
    """What a pickle holds for a predict function, with its `load` if it has one, or for a class.

    Raises:
      EntryPointError: `load` is none, or is given beside a class.
    """
    if inspect.isclass(function) and hasattr(function, "predict"):
        if load is not None:
            raise EntryPointError(
                f"{function.__name__} is a class, whose own method `load` is called: give no other to load with"
            )
        return Loader(function)
    if load is None:
        return function
    if not callable(load) or inspect.isclass(load):
        raise EntryPointError(f"what loads is a {type(load).__name__}, expected a function that takes nothing")
    wanted = _required(load)
    if wanted:
        raise EntryPointError(
            f"{getattr(load, '__name__', 'what loads')} must take nothing; it wants: {', '.join(wanted)}"
        )
    return Loader(function, load)


def resolve_signature(predictor: Predictor, name: str, requested: str, batch_size: int) -> str:
    """Returns `bytes` or `mapping`: what one item is for `predictor`.

    Args:
      predictor: the predict function, or what is to be loaded before it is one.
      name: of the function, for messages.
      requested: `bytes`, `mapping`, or `auto` for what the annotations say, `bytes` if they say nothing.
      batch_size: above 0 for a batch function.

    Raises:
      EntryPointError: the function takes other than one argument, is a generator or a coroutine of a batch, or its
        annotations contradict `requested` or `batch_size`.
    """
    function = _function(predictor, name)
    _check_stream(function, name, batch_size)
    parameter = _only_parameter(function, name)
    annotated = parameter is not None and parameter.annotation is not parameter.empty
    said = _classify(_text(parameter.annotation)) if parameter is not None and annotated else None
    shown = f"{parameter.name}: {_text(parameter.annotation)}" if parameter is not None and annotated else ""
    if said is not None and said.batch and not batch_size:
        raise EntryPointError(
            f"{name} takes a list ({shown}), but the model has no batch_size\n"
            "  set `batch_size` of the chassis_model, or give a function of one input"
        )
    if said is not None and not said.batch and batch_size:
        raise EntryPointError(
            f"{name} takes one input ({shown}), but batch_size is {batch_size}\n"
            "  leave `batch_size` out, or give a function that takes a list of inputs and returns a list of results"
        )
    item = said.item if said else None
    if requested != "auto":
        if item and item != requested:
            raise EntryPointError(f"{name} takes {item} ({shown}), but signature is {requested!r}")
        return requested
    return item or _by_result(function) or "bytes"


def _function(predictor: Predictor, name: str) -> Callable[..., object]:
    if not isinstance(predictor, Loader):
        return predictor
    if predictor.load is not None and len(positional := _positional(predictor.function)) == 1:
        raise EntryPointError(
            f"{name} takes one argument ({positional[0]}), but the model has a function that loads\n"
            "  let it take two: what that returned, and the input"
        )
    if predictor.load is None:
        for method in ("__init__", "load"):
            wanted = _required(getattr(predictor.function, method, None))[1:]
            if wanted:
                raise EntryPointError(f"{name}.{method} must take nothing but `self`; it wants: {', '.join(wanted)}")
    try:
        return predictor.unloaded()
    except (TypeError, AttributeError) as error:
        raise EntryPointError(f"{name} cannot be made an instance of: {error}") from None


def _positional(function: Callable[..., object]) -> list[str]:
    """The names of the arguments that can be given in order; none if it takes any number, or does not tell."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        return []
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return []
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def _required(function: Callable[..., object] | None) -> list[str]:
    """The names of the arguments that have to be given."""
    if not inspect.isroutine(function):
        return []
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        return []
    return [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def _check_stream(function: Callable[..., object], name: str, batch_size: int) -> None:
    target = function if inspect.isroutine(function) else getattr(function, "__call__", function)  # noqa: B004
    streams = inspect.isgeneratorfunction(target) or inspect.isasyncgenfunction(target)
    if batch_size and (streams or inspect.iscoroutinefunction(target)):
        kind = "generator" if streams else "coroutine"
        raise EntryPointError(
            f"{name} is a {kind}, which answers one input, but batch_size is {batch_size}\n"
            "  leave `batch_size` out, or give a function that returns its results"
        )


def _only_parameter(function: Callable[..., object], name: str) -> inspect.Parameter | None:
    """The parameter that gets the input; None if the function does not tell."""
    if inspect.isclass(function):
        raise EntryPointError(
            f"{name} is a class without `predict`; expected a function, or a class with `predict` and perhaps `load`"
        )
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        return None
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required = [p for p in positional if p.default is p.empty]
    keywords = [p for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    any_number = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    if len(required) > 1 or keywords or not (positional or any_number):
        given = ", ".join(p.name for p in [*required, *keywords]) or "none"
        raise EntryPointError(f"{name} must take exactly one argument, the input; it wants: {given}")
    return positional[0] if positional else None


def _by_result(function: Callable[..., object]) -> str | None:
    """`mapping` if the result is annotated as a mapping to bytes; any other result may be JSON."""
    try:
        annotation = inspect.signature(function).return_annotation
    except (ValueError, TypeError):
        return None
    if annotation is inspect.Signature.empty:
        return None
    text = _plain(_text(annotation))
    outer, inner = _outer(text)
    if outer in _SEQUENCES:
        outer, inner = _outer(inner)
    elif outer in _STREAMS:
        # Behind the type of a piece, what a generator takes and returns.
        outer, inner = _outer(inner.rsplit(",", _STREAMS[outer])[0] if inner.count(",") > 1 else inner)
    return "mapping" if outer in _MAPPINGS and inner.split(",")[-1] in _BYTES else None


def _classify(text: str) -> _Annotation | None:
    outer, inner = _outer(_plain(text))
    if outer in _SEQUENCES:
        item = _classify(inner.removesuffix(",..."))
        return _Annotation(True, item.item if item else None)
    if outer in _MAPPINGS:
        return _Annotation(False, "mapping")
    if outer in _BYTES:
        return _Annotation(False, "bytes")
    return None


def _text(annotation: object) -> str:
    if isinstance(annotation, str):
        return annotation
    return (
        annotation.__name__
        if isinstance(annotation, type) and not hasattr(annotation, "__args__")
        else repr(annotation)
    )


def _plain(text: str) -> str:
    """Without spaces, quotes, module names and case."""
    return re.sub(r"[A-Za-z_][A-Za-z_0-9]*\.", "", re.sub(r"[\s'\"]", "", text)).lower()


def _outer(text: str) -> tuple[str, str]:
    match = re.fullmatch(r"(\w+)(?:\[(.*)\])?", text)
    return (match[1], match[2] or "") if match else ("", "")
