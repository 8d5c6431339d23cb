"""Modules that are changed when they are first imported, or at once if they are there: nothing is imported for it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


class _Finder:
    """A meta path finder that has one module mended whenever it is executed.

    It is never removed. A module may be looked for without an import (`importlib.util.find_spec`), and an import may
    fail and be tried again. If it were removed while another thread goes through `sys.meta_path`, that thread would
    miss the finder behind it.
    """

    def __init__(self, name: str, mend: Callable[[ModuleType], None]) -> None:
        self._name = name
        self._mend = mend

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != self._name:
            return None
        spec = PathFinder.find_spec(name, path, target)
        loader = spec.loader if spec is not None else None
        if loader is not None:
            execute = loader.exec_module

            def execute_and_mend(module: ModuleType) -> None:
                execute(module)
                self._mend(module)

            loader.exec_module = execute_and_mend  # type: ignore[method-assign]
        return spec


def mend_when_imported(name: str, mend: Callable[[ModuleType], None]) -> None:
    """From now on, in this process, the module `name` is as `mend` makes it."""
    module = sys.modules.get(name)
    if module is not None:
        mend(module)
    else:
        sys.meta_path.insert(0, _Finder(name, mend))
