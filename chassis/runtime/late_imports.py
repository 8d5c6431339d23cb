"""Modules that libraries import for what the server does not do: they are loaded when something first uses them.

grpcio imports its server for asyncio, and protobuf its messages in pure Python: a tenth of the time from start to
ready. `importlib.util.LazyLoader` stands in for them, so that nothing is missing if they are needed after all.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType

_LATE = {
    "google.protobuf.internal.python_message",
    "grpc.aio",
}


class _Finder:
    """A meta path finder (https://docs.python.org/3/reference/import.html#the-meta-path)."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The spec of a late module; None for every other."""
        if name not in _LATE:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = LazyLoader(spec.loader)
        return spec


def allow() -> None:
    """From now on they are late in this process, where one thread alone may use them, which is what the loader is for.

    A model's process, where anything may be used, should not do this.
    """
    sys.meta_path.insert(0, _Finder)
