"""A model that loads something before it answers: what its pickle holds in place of a predict function."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path


class Loader(NamedTuple):
    """A predict function with what has to be loaded first.

    Attributes:
      function: the predict function, whose first argument is what `load` returned; without `load`, a class whose
        instances have `predict` and perhaps `load`.
      load: takes nothing.
    """

    function: Callable[..., object]
    load: Callable[[], object] | None = None

    def loaded(self) -> Callable[..., object]:
        """Loads; returns the predict function, which takes the input alone.

        Raises:
          BaseException: whatever the model's own code raises.
        """
        if self.load is not None:
            return _bound(self.function, self.load())
        instance = self.function()
        load = getattr(instance, "load", None)
        if load is not None:
            load()
        predict: Callable[..., object] = instance.predict  # type: ignore[attr-defined]
        return predict

    def unloaded(self) -> Callable[..., object]:
        """The predict function as `loaded` returns it, for who asks what it takes; it cannot be called.

        Raises:
          TypeError: the class cannot have instances.
          AttributeError: the class has no `predict`.
        """
        if self.load is not None:
            return _bound(self.function, _NOTHING)
        kind: Any = self.function
        predict: Callable[..., object] = kind.__new__(kind).predict
        return predict


class FileLoad:
    """What loads a framework's file."""

    def __init__(self, load: Callable[[Path, tuple[str, ...]], object], key: str, outputs: tuple[str, ...]) -> None:
        """Takes the adapter's `load`, what `chassis.data_path` finds the file by, and the names of the outputs."""
        self._load = load
        self._key = key
        self._outputs = outputs

    def __call__(self) -> object:
        """The model in the file."""
        from chassis.data import data_path  # here, since few models need it

        return self._load(data_path(self._key), self._outputs)


class Records(NamedTuple):
    """A predict function, or what is one once it has loaded, whose input is a dataclass.

    Attributes:
      predictor: the function, or a `Loader`.
      record: the dataclass.
    """

    predictor: Callable[..., object] | Loader
    record: type

    def loaded(self) -> Callable[..., object]:
        """The predict function, loaded, with its dataclass."""
        predictor = self.predictor
        return RecordFunction(predictor.loaded() if isinstance(predictor, Loader) else predictor, self.record)


class RecordFunction:
    """A predict function of records.

    Attributes:
      record: the dataclass of one.
      left_out: the fields that a row need not have.
    """

    def __init__(self, function: Callable[..., object], record: type) -> None:
        self._function = function
        self.record = record
        self.left_out = defaults(record)

    def __call__(self, given: Any, **told: object) -> object:
        return self._function(given, **told)


def defaults(record: type) -> frozenset[str]:
    """The fields of a dataclass that have a default."""
    from dataclasses import MISSING, fields  # here, since few models need them

    found = fields(record)
    return frozenset(one.name for one in found if not (one.default is MISSING and one.default_factory is MISSING))


_NOTHING = object()


def _bound(function: Callable[..., object], first: object) -> Callable[..., object]:
    """`function` with its first argument, as a method: quicker than `functools.partial`, and known to `inspect`."""
    if first is None:  # which no method is of
        return lambda *inputs, **told: function(None, *inputs, **told)
    return types.MethodType(function, first)
