"""A model that loads something before it answers: what its pickle holds in place of a predict function."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any, NamedTuple


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


_NOTHING = object()


def _bound(function: Callable[..., object], first: object) -> Callable[..., object]:
    """`function` with its first argument, as a method: quicker than `functools.partial`, and known to `inspect`."""
    if first is None:  # which no method is of
        return lambda *inputs: function(None, *inputs)
    return types.MethodType(function, first)
