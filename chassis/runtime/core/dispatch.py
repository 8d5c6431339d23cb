"""What a pickle takes a function of `functools.singledispatch` apart into."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def register_all(dispatcher: Any, functions: Mapping[type, Callable[..., object]]) -> None:
    """Registers each of `functions` for its type, in their order."""
    for kind, function in functions.items():
        dispatcher.register(kind, function)
