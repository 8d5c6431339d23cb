"""Reads a pickle without running anything in it, and finds the code objects that it would make."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from chassis.packaging.errors import CorruptPickleError


@dataclass(frozen=True, slots=True)
class PickledCode:
    """The arguments with which a pickle would call `types.CodeType`."""

    arguments: tuple[object, ...]


def pickled_code(content: bytes, name: str) -> list[PickledCode]:
    """Returns the code objects in the pickle `content`, innermost first.

    Raises:
      CorruptPickleError: it is not a pickle, or not a whole one; the message names it `name`.
    """
    if content[:1] != b"\x80":
        raise CorruptPickleError(f"{name} is not a pickle of protocol 2 or later: it begins with {content[:4]!r}")
    reader = PickleReader(io.BytesIO(content))
    try:
        reader.load()
    except Exception as error:
        raise CorruptPickleError(f"{name} is not a whole pickle: {type(error).__name__}: {error}") from None
    return reader.code


class _Inert:
    """Stands for a global, or for what calling one would give; takes whatever a pickle does to it."""

    def __init__(self, *path: str) -> None:
        self.path = path

    def __call__(self, *arguments: object, **_: object) -> _Inert:
        # cloudpickle: _builtin_type("CodeType") is types.CodeType.
        if self.path[-1:] in (("_builtin_type",), ("_get_type",)) and arguments and isinstance(arguments[0], str):
            return _Inert("types", arguments[0])
        return _Inert()

    def append(self, _: object) -> None:
        """Drops what a pickle puts into the object."""

    extend = add = update = append

    def __setitem__(self, key: object, value: object) -> None:
        """Drops it."""

    def __setstate__(self, state: object) -> None:
        """Drops it."""


_PythonUnpickler: Any = pickle._Unpickler
"""The standard library's unpickler in Python, whose types are nowhere declared."""


class PickleReader(_PythonUnpickler):
    """An unpickler with everything that would run replaced by an inert object."""

    dispatch: ClassVar[dict[int, Callable[[Any], object]]] = dict(_PythonUnpickler.dispatch)

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.code: list[PickledCode] = []

    def find_class(self, module: str, name: str) -> _Inert:
        return _Inert(module, name)

    def get_extension(self, code: int) -> None:
        self.append(_Inert())

    def persistent_load(self, pid: object) -> _Inert:
        return _Inert()

    def _call(self, function: object, arguments: object) -> object:
        if isinstance(function, _Inert) and isinstance(arguments, tuple):
            if function.path == ("types", "CodeType"):
                self.code.append(PickledCode(arguments))
            elif function.path[-1:] in (("_make_skeleton_class",), ("tuple",)):
                return _Inert()
            return function(*arguments)
        return _Inert()

    def load_reduce(self) -> None:
        arguments = self.stack.pop()
        self.stack[-1] = self._call(self.stack[-1], arguments)

    def load_newobj(self) -> None:
        arguments = self.stack.pop()
        self.stack[-1] = self._call(self.stack[-1], arguments)

    def load_newobj_ex(self) -> None:
        self.stack.pop()
        self.load_newobj()

    def load_build(self) -> None:
        self.stack.pop()

    def load_obj(self) -> None:
        arguments = self.pop_mark()
        self.append(self._call(arguments[0], tuple(arguments[1:])))

    def load_inst(self) -> None:
        self.readline(), self.readline()
        self.pop_mark()
        self.append(_Inert())

    dispatch[pickle.REDUCE[0]] = load_reduce
    dispatch[pickle.NEWOBJ[0]] = load_newobj
    dispatch[pickle.NEWOBJ_EX[0]] = load_newobj_ex
    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.OBJ[0]] = load_obj
    dispatch[pickle.INST[0]] = load_inst
    for _opcode in (pickle.EXT1, pickle.EXT2, pickle.EXT4):
        dispatch[_opcode[0]] = {
            pickle.EXT1: lambda self: (self.read(1), self.append(_Inert())),
            pickle.EXT2: lambda self: (self.read(2), self.append(_Inert())),
            pickle.EXT4: lambda self: (self.read(4), self.append(_Inert())),
        }[_opcode]
