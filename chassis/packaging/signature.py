"""Of which kind a predict function is, by its annotations and what its target declares."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass

from chassis.declaration.model_json import SIGNATURES
from chassis.packaging.errors import EntryPointError
from chassis.packaging.records import columns_of, record_of
from chassis.runtime.core.loader import Loader, Records

_REQUEST, _REQUESTS = "request", "requests"

_SEQUENCES = frozenset({"list", "sequence", "iterable", "collection", "tuple", "mutablesequence"})
_STREAMS = {"iterator": 0, "generator": 2, "asyncgenerator": 1, "asynciterator": 0, "asynciterable": 0}
_MAPPINGS = frozenset({"dict", "mapping", "mutablemapping", "ordereddict"})
_BYTES = frozenset({"bytes", "bytearray", "memoryview", "bytestring", "buffer"})
_ARRAY = frozenset({"ndarray"})
_VALUES = {"dataframe": "table", "image": "image", "str": "text"}
_JOINED = ("table", "array", "arrays")
"""What a batch function takes one of for all its items."""


Predictor = Callable[..., object] | Loader | Records
"""A predict function, or what is one once it has loaded."""


@dataclass(frozen=True, slots=True)
class _Annotation:
    """What an annotation says: a list of items or one, and a signature or None for what an item is."""

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
        return _of_records(Loader(function))
    if load is None:
        return _of_records(function)
    if not callable(load) or inspect.isclass(load):
        raise EntryPointError(f"what loads is a {type(load).__name__}, expected a function that takes nothing")
    wanted = _required(load)
    if wanted:
        raise EntryPointError(
            f"{getattr(load, '__name__', 'what loads')} must take nothing; it wants: {', '.join(wanted)}"
        )
    return _of_records(Loader(function, load))


def _of_records(predictor: Callable[..., object] | Loader) -> Predictor:
    """With its record, if the predictor takes a dataclass or a list of them."""
    try:
        function = predictor.unloaded() if isinstance(predictor, Loader) else predictor
        parameter = next(iter(inspect.signature(function).parameters.values()), None)
    except (ValueError, TypeError, AttributeError):  # what is wrong is said when the signature is resolved
        return predictor
    annotation = _resolved(function, parameter.annotation) if parameter is not None else None
    record = record_of(annotation)
    return predictor if record is None else Records(predictor, record)


def resolve_signature(
    predictor: Predictor, name: str, requested: str, batch_size: int, *, has_columns: bool = False
) -> str:
    """Returns one of `SIGNATURES`: what one item is for `predictor`.

    Args:
      predictor: the predict function, or what is to be loaded before it is one.
      name: of the function, for messages.
      requested: one of them, or `auto` for what the annotations say, `bytes` if they say nothing.
      batch_size: above 0 for a batch function.
      has_columns: whether the model declares columns: a `dict` of no more is a row then, and else a mapping to bytes.

    Raises:
      EntryPointError: the function takes other arguments than its input and the request, is a generator or a coroutine
        of a batch, or its annotations contradict `requested` or `batch_size`.
    """
    function = _function(predictor, name)
    _check_stream(function, name, batch_size)
    parameter = _input_parameter(function, name, _wanted(batch_size))
    annotated = parameter is not None and parameter.annotation is not parameter.empty
    said = _said(predictor, function, parameter.annotation) if parameter is not None and annotated else None
    shown = f"{parameter.name}: {_text(parameter.annotation)}" if parameter is not None and annotated else ""
    if said is not None and said.batch and not batch_size:
        raise EntryPointError(
            f"{name} takes a list ({shown}), but the model has no batch_size\n"
            "  set `batch_size` of the chassis_model, or give a function of one input"
        )
    if said is not None and said.batch and said.item in _JOINED:
        raise EntryPointError(
            f"{name} takes a list ({shown}), but a batch of these is one of them\n"
            "  take a data frame with a row for each input, or an array whose first axis counts them"
        )
    if said is not None and not said.batch and batch_size and said.item not in _JOINED:
        raise EntryPointError(
            f"{name} takes one input ({shown}), but batch_size is {batch_size}\n"
            "  leave `batch_size` out, or give a function that takes a list of inputs and returns a list of results"
        )
    item = said.item if said else None
    if item == "mapping" and has_columns and requested == "auto":
        return "json"
    if requested != "auto":
        if item and item != requested:
            raise EntryPointError(f"{name} takes {item} ({shown}), but signature is {requested!r}")
        return requested
    return item or _by_result(function) or "bytes"


def takes_request(predictor: Predictor, name: str, batch_size: int) -> bool:
    """Whether the function takes `request`, of a batch function `requests`, beside its input.

    Raises:
      EntryPointError: it takes it by its position alone.
    """
    try:
        parameters = [*inspect.signature(_function(predictor, name)).parameters.values()]
    except (ValueError, TypeError):
        return False
    wanted = _wanted(batch_size)
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    found = next((one for one in parameters[1:] if one.name == wanted), None)
    if found is not None and found.kind is inspect.Parameter.POSITIONAL_ONLY:
        raise EntryPointError(f"{name} takes `{wanted}` by its position alone: leave the `/` behind it out")
    return found is not None and found.kind in named


def describe_signature(
    predictor: Predictor, name: str, requested: str, batch_size: int, *, has_columns: bool = False
) -> str:
    """Returns `resolve_signature`, with ` request` behind it if the function takes that; `read_signature` reads it.

    Raises:
      EntryPointError: see `resolve_signature` and `takes_request`.
    """
    signature = resolve_signature(predictor, name, requested, batch_size, has_columns=has_columns)
    return f"{signature} {_REQUEST}" if takes_request(predictor, name, batch_size) else signature


def unwrapped(predictor: Predictor) -> Callable[..., object]:
    """The function, or the class, that the user wrote."""
    if isinstance(predictor, Records):
        predictor = predictor.predictor
    return predictor.function if isinstance(predictor, Loader) else predictor


def declared_by(predictor: Predictor) -> dict[str, object]:
    """Fields of the model's metadata that the function's annotations say, as JSON has them.

    Raises:
      EntryPointError: a field of its records is of a type that no column is.
    """
    if not isinstance(predictor, Records):
        return {}
    return {"columns": [[column.name, column.type] for column in columns_of(predictor.record)]}


def read_signature(text: str) -> tuple[str, bool] | None:
    """What an item is, and whether the function takes the request, as `describe_signature` says it; else None."""
    signature = text.removesuffix(f" {_REQUEST}")
    return (signature, signature != text) if signature in SIGNATURES else None


def _wanted(batch_size: int) -> str:
    return _REQUESTS if batch_size else _REQUEST


def _function(predictor: Predictor, name: str) -> Callable[..., object]:
    if isinstance(predictor, Records):
        predictor = predictor.predictor
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
    """The names of the arguments that can be given in order, without the request's.

    There are none if it takes any number, or does not tell.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        return []
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return []
    positional = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [name for name in positional if name not in (_REQUEST, _REQUESTS)]


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


def _input_parameter(function: Callable[..., object], name: str, wanted: str) -> inspect.Parameter | None:
    """The parameter that gets the input; None if the function does not tell. Another may be called `wanted`."""
    if inspect.isclass(function):
        raise EntryPointError(
            f"{name} is a class without `predict`; expected a function, or a class with `predict` and perhaps `load`"
        )
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        return None
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    others = [p for p in positional[1:] if p.name != wanted]
    required = [p for p in [*positional[:1], *others] if p.default is p.empty]
    keywords = [p for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty and p.name != wanted]
    any_number = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    if len(required) > 1 or keywords or not (positional or any_number):
        given = ", ".join(p.name for p in [*required, *keywords]) or "none"
        raise EntryPointError(
            f"{name} must take one argument, the input, and may take `{wanted}`, what is known of the request"
            f"{' of each input' if wanted == _REQUESTS else ''}; it wants: {given}"
        )
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


def _said(predictor: Predictor, function: Callable[..., object], annotation: object) -> _Annotation | None:
    if isinstance(predictor, Records):
        outer = _outer(_plain(_text(annotation)))[0]
        return _Annotation(outer in _SEQUENCES, "rows")
    said = _classify(_text(annotation))
    if said is not None and said.item in _MODULES:
        kind = _resolved(function, annotation)
        for part in getattr(kind, "__args__", ()) if said.batch else ():
            kind = part
        module = str(getattr(kind, "__module__", "")) if isinstance(kind, type) else _qualifier(annotation)
        if module and module.partition(".")[0] not in _MODULES[said.item]:
            return _Annotation(said.batch, None) if said.batch else None
    elif said is not None and said.item == "json" and _by_result(function) == "mapping":
        return _Annotation(said.batch, "mapping")
    return said


_MODULES = {"table": ("pandas", "pd"), "array": ("numpy", "np", "npt"), "image": ("PIL", "Image")}
"""Where the types of these names come from, with their usual short names; others of their names are none of these."""


def _qualifier(annotation: object) -> str:
    """`pl.` of `list[pl.DataFrame]`, which is a text that stands for nothing here."""
    found = re.search(r"(\w+(?:\.\w+)*)\.\w+\b(?!\.)", annotation) if isinstance(annotation, str) else None
    return found[1] if found else ""


def _resolved(function: Callable[..., object], annotation: object) -> object:
    """What an annotation that is a text stands for; None if that is nothing that its module has."""
    if not isinstance(annotation, str):
        return annotation
    target = inspect.unwrap(getattr(function, "__func__", getattr(function, "func", function)))
    try:
        return eval(annotation, getattr(target, "__globals__", {}), {})
    except Exception:  # whatever an annotation raises that nobody evaluates
        return None


def _classify(text: str) -> _Annotation | None:
    outer, inner = _outer(_plain(text))
    if outer in _SEQUENCES:
        item = _classify(inner.removesuffix(",..."))
        return _Annotation(True, item.item if item else None)
    if outer in _MAPPINGS:
        value = inner.partition(",")[2]
        if not value or value in _BYTES:
            return _Annotation(False, "mapping")
        return _Annotation(False, "arrays" if _outer(value)[0] in _ARRAY else "json")
    if outer in _BYTES:
        return _Annotation(False, "bytes")
    if outer in _ARRAY:
        return _Annotation(False, "array")
    return _Annotation(False, _VALUES[outer]) if outer in _VALUES else None


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
