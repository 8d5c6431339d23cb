"""Whether the bytecode in a pickle is that of the Python that is running.

A pickle holds bytecode without the version that it is for: another minor version runs it into nonsense or a crash.
What tells it apart is the number of a code object's fields, and whether its instructions are whole by this version's
opcode table.
"""

from __future__ import annotations

import dis
import opcode
import sys
from collections.abc import Sequence

from chassis.packaging.errors import PickleVersionError
from chassis.packaging.pickle_reader import PickledCode

_FIELDS_BY_VERSION = {14: "2.7", 15: "3.0 to 3.7", 16: "3.8 to 3.10", 18: "3.11 or newer"}
"""Arguments of `types.CodeType`."""

_FIELDS = 18 if sys.version_info >= (3, 11) else 16
_NAMES_AT, _FUNCTION_AT = (8, 12) if sys.version_info >= (3, 11) else (8, 11)

_RESUMES = {151: ("3.11", "3.12"), 149: ("3.13",), 128: ("3.14",)}
"""The number of the first instruction of a function, and whose it is; 149 is before 151 where there is a closure."""

_OF_ONE = {166: "3.11", 121: "3.12"}
"""What only one of two versions has whose first instruction is the same: it prepares a call, or returns a constant."""

_BEFORE_RESUME = frozenset({"COPY_FREE_VARS", "MAKE_CELL", "RETURN_GENERATOR", "POP_TOP"})
_LAST = frozenset(
    {
        "RETURN_VALUE",
        "RETURN_CONST",
        "RERAISE",
        "RAISE_VARARGS",
        "JUMP_ABSOLUTE",
        "JUMP_BACKWARD",
        "JUMP_BACKWARD_NO_INTERRUPT",
        "JUMP_FORWARD",
    }
)

_NAMES = {number: name for name, number in opcode.opmap.items()}
_ENTRIES = getattr(opcode, "_inline_cache_entries", [])
"""Words of cache after an instruction: by number, from 3.13 on by name."""

_CACHES = {
    number: _ENTRIES.get(name, 0) if isinstance(_ENTRIES, dict) else _ENTRIES[number] if number < len(_ENTRIES) else 0
    for name, number in opcode.opmap.items()
}


def _name_shift(name: str) -> int:
    """How many bits of an instruction's argument are below the number of a name."""
    if name == "LOAD_SUPER_ATTR":
        return 2
    return int(
        (name == "LOAD_GLOBAL" and sys.version_info >= (3, 11)) or (name == "LOAD_ATTR" and sys.version_info >= (3, 12))
    )


def check_version(codes: Sequence[PickledCode], name: str) -> None:
    """Checks that `codes`, found in the pickle `name`, are for the Python that is running.

    Raises:
      PickleVersionError: they are not.
    """
    for code in codes:
        arguments = code.arguments
        if len(arguments) != _FIELDS:
            made_by = _FIELDS_BY_VERSION.get(len(arguments), "another version")
            raise _error(name, made_by, f"its code objects have {len(arguments)} fields, those of this one {_FIELDS}")
        bytecode, constants, names, function = arguments[6], arguments[7], arguments[_NAMES_AT], arguments[_FUNCTION_AT]
        if not isinstance(bytecode, bytes) or not isinstance(constants, tuple) or not isinstance(names, tuple):
            raise _error(name, "another version", "the fields of its code objects are in another order")
        defect = _defect(bytecode, len(constants), len(names))
        if defect:
            made_by = _likely_version(bytecode, _running())
            raise _error(name, made_by, f"the bytecode of {function!r} is not this one's: {defect}")


def _running() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _error(name: str, made_by: str, reason: str) -> PickleVersionError:
    running = _running()
    return PickleVersionError(
        f"{name} was made by Python {made_by}, the image has Python {running}\n"
        f"  {reason}\n"
        f"  pickle it again with Python {running}, give the image the Python that made it (its `python`), "
        "or give the function as `entry_point` with its source"
    )


def _defect(bytecode: bytes, constants: int, names: int) -> str:
    """Why `bytecode` is not whole by this version's table; empty if it is."""
    if not bytecode or len(bytecode) % 2:
        return f"{len(bytecode)} bytes"
    at, extended, starts, targets, order = 0, 0, set(), [], []
    while at < len(bytecode):
        operation, argument = bytecode[at], bytecode[at + 1] | extended << 8
        name = _NAMES.get(operation)
        if name is None or name == "CACHE":
            return f"no instruction has the number {operation} (offset {at})"
        starts.add(at)
        order.append(name)
        extended = argument if name == "EXTENDED_ARG" else 0
        after = at + 2 + 2 * _CACHES[operation]
        if any(bytecode[at + 2 : after]) or after > len(bytecode):
            return f"{name} is not followed by its cache (offset {at})"
        if operation in dis.hasconst and argument >= constants:
            return f"{name} wants constant {argument} of {constants} (offset {at})"
        if operation in dis.hasname and argument >> _name_shift(name) >= names:
            return f"{name} wants name {argument} of {names} (offset {at})"
        if operation in dis.hasjrel:
            backward = "BACKWARD" in name or (name == "END_ASYNC_FOR" and sys.version_info >= (3, 14))
            targets.append((name, at, after + 2 * argument * (-1 if backward else 1)))
        at = after
    if sys.version_info >= (3, 11) and next((name for name in order if name not in _BEFORE_RESUME), "") != "RESUME":
        return f"it begins with {order[0]} instead of RESUME"
    if order[-1] not in _LAST:
        return f"it ends with {order[-1]}"
    for name, origin, target in targets:
        if target not in starts:
            return f"{name} jumps into the middle of an instruction (offset {origin})"
    return ""


def _likely_version(bytecode: bytes, running: str) -> str:
    """Which version it is, as far as its instructions tell; it is not the `running` one."""
    firsts, numbers = set(bytecode[:64:2]), set(bytecode[::2])
    for number, versions in _RESUMES.items():
        if number in firsts:
            others = [version for version in versions if version != running]
            told = [version for version in others if any(_OF_ONE.get(one) == version for one in numbers)]
            return " or ".join(told or others) or "another version"
    return "another version"
