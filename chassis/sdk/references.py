"""The modules that a pickled predict function will import when it is loaded or called."""

from __future__ import annotations

import dis
import io
import types
from typing import Any

from chassis.packaging.pickle_reader import PickleReader


def referenced_modules(content: bytes) -> frozenset[str]:
    """Returns the full names of the modules that the pickle `content` refers to, or imports inside its functions.

    Nothing of the pickle runs. What a function would do without (an import under `try`) counts as well.
    """
    reader = _ReferenceReader(io.BytesIO(content))
    reader.load()
    deferred = {name for code in reader.code for name in _imports(code.arguments)}
    return frozenset(reader.modules | deferred)


class _ReferenceReader(PickleReader):
    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.modules: set[str] = set()

    def find_class(self, module: str, name: str) -> Any:
        self.modules.add(module)
        return super().find_class(module, name)

    def _call(self, function: object, arguments: object) -> object:
        path = getattr(function, "path", ())
        if path[-1:] == ("subimport",) and isinstance(arguments, tuple) and isinstance(arguments[0], str):
            self.modules.add(arguments[0])
        return super()._call(function, arguments)


def _imports(arguments: tuple[object, ...]) -> set[str]:
    """The modules that the code imports which `types.CodeType(*arguments)` would make."""
    try:
        code = types.CodeType(*arguments)  # type: ignore[arg-type]
    except (TypeError, ValueError):  # a part that the reader left inert
        return set()
    found = set()
    level = 0
    for instruction in dis.get_instructions(code):
        if instruction.opname == "LOAD_CONST" and isinstance(instruction.argval, int):
            level = instruction.argval
        elif instruction.opname == "IMPORT_NAME" and not level:
            found.add(str(instruction.argval))
    return found
