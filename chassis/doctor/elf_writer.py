"""Writes small ELF files that ask for what a test wants; what they hold is enough for a loader to read, not to run.

Specifications: System V gABI, "Object Files" and "Dynamic Linking"; Linux Standard Base, "Symbol Versioning".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

X86_64, AARCH64, ARM, CUDA = 62, 183, 40, 190
EXECUTABLE, SHARED, RELOCATABLE = 2, 3, 1
_LOAD, _DYNAMIC, _INTERP, _NOTE, _STACK = 1, 2, 3, 4, 0x6474E551
_NULL, _NEEDED, _STRTAB, _STRSZ, _SONAME, _RPATH, _TEXTREL, _RUNPATH = 0, 1, 5, 10, 14, 15, 22, 29
_VERDEF, _VERDEFNUM, _VERNEED, _VERNEEDNUM = 0x6FFFFFFC, 0x6FFFFFFD, 0x6FFFFFFE, 0x6FFFFFFF
_HEADER, _SEGMENT, _TAG = 64, 56, 16
_ISA_NEEDED = 0xC0008002


@dataclass(frozen=True, slots=True)
class ElfPlan:
    """What an ELF file is to ask for.

    `stack` is rw, rwx or none (no header says); `requires` maps a library to versions, a weak one with `?` after it;
    `isa_needed` has the bits of x86's property; `padding` are bytes that make the file longer;
    `page_bytes` the alignment of its segment.
    """

    machine: int = AARCH64
    type: int = SHARED
    soname: str = ""
    needed: tuple[str, ...] = ()
    rpath: str = ""
    runpath: str = ""
    requires: dict[str, tuple[str, ...]] = field(default_factory=dict)
    defines: tuple[str, ...] = ()
    interpreter: str = ""
    stack: str = "rw"
    text_relocations: bool = False
    isa_needed: int = 0
    padding: int = 0
    page_bytes: int = 1 << 16


def write_elf(plan: ElfPlan) -> bytes:
    """A 64-bit little-endian file in which every address is its own offset."""
    strings = _Strings()
    kinds = [_LOAD, _DYNAMIC]
    kinds += [_INTERP] if plan.interpreter else []
    kinds += [_NOTE] if plan.isa_needed else []
    kinds += [_STACK] if plan.stack != "none" else []
    body = _Body(_HEADER + _SEGMENT * len(kinds))
    places: dict[int, tuple[int, int]] = {}
    tags = [(_NEEDED, strings.add(name)) for name in plan.needed]
    for tag, text in ((_SONAME, plan.soname), (_RPATH, plan.rpath), (_RUNPATH, plan.runpath)):
        if text:
            tags.append((tag, strings.add(text)))
    if plan.text_relocations:
        tags.append((_TEXTREL, 0))
    if plan.interpreter:
        places[_INTERP] = body.add(plan.interpreter.encode() + b"\0")
    if plan.isa_needed:
        desc = struct.pack("<IIII", _ISA_NEEDED, 4, plan.isa_needed, 0)
        places[_NOTE] = body.add(struct.pack("<III4s", 4, len(desc), 5, b"GNU\0") + desc)
    if plan.requires:
        offset, _ = body.add(_version_needs(plan.requires, strings))
        tags += [(_VERNEED, offset), (_VERNEEDNUM, len(plan.requires))]
    if plan.defines:
        offset, _ = body.add(_version_definitions(plan.soname, plan.defines, strings))
        tags += [(_VERDEF, offset), (_VERDEFNUM, len(plan.defines) + 1)]
    body.add(bytes(plan.padding))
    offset, size = body.add(bytes(strings.data))
    tags += [(_STRTAB, offset), (_STRSZ, size), (_NULL, 0)]
    places[_DYNAMIC] = body.add(b"".join(struct.pack("<QQ", *tag) for tag in tags))
    places[_LOAD] = (0, body.end)
    places[_STACK] = (0, 0)
    flags = {_STACK: 7 if plan.stack == "rwx" else 6}
    segments = b"".join(
        struct.pack("<IIQQQQQQ", kind, flags.get(kind, 4), offset, offset, offset, size, size, alignment)
        for kind in kinds
        for offset, size in [places[kind]]
        for alignment in [plan.page_bytes if kind == _LOAD else 8]
    )
    header = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    header += struct.pack(
        "<HHIQQQIHHHHHH", plan.type, plan.machine, 1, 0, _HEADER, 0, 0, _HEADER, _SEGMENT, len(kinds), 0, 0, 0
    )
    return header + segments + bytes(body.data)


def write_elf32(machine: int = ARM) -> bytes:
    """A 32-bit file with a header only."""
    header = b"\x7fELF" + bytes([1, 1, 1]) + bytes(9)
    return header + struct.pack("<HHIIIIIHHHHHH", SHARED, machine, 1, 0, 52, 0, 0, 52, 32, 0, 0, 0, 0)


class _Strings:
    def __init__(self) -> None:
        self.data = bytearray(b"\0")

    def add(self, text: str) -> int:
        offset = len(self.data)
        self.data += text.encode() + b"\0"
        return offset


class _Body:
    def __init__(self, start: int) -> None:
        self._start = start
        self.data = bytearray()

    @property
    def end(self) -> int:
        return self._start + len(self.data)

    def add(self, data: bytes) -> tuple[int, int]:
        self.data += bytes(-self.end % 8)
        offset = self.end
        self.data += data
        return offset, len(data)


def _version_needs(requires: dict[str, tuple[str, ...]], strings: _Strings) -> bytes:
    out = b""
    for number, (library, versions) in enumerate(requires.items(), 1):
        size = 16 + 16 * len(versions)
        following = 0 if number == len(requires) else size
        out += struct.pack("<HHIII", 1, len(versions), strings.add(library), 16, following)
        for index, version in enumerate(versions, 1):
            flags = 2 if version.endswith("?") else 0
            name = strings.add(version.rstrip("?"))
            out += struct.pack("<IHHII", 0, flags, index + 1, name, 0 if index == len(versions) else 16)
    return out


def _version_definitions(soname: str, defines: tuple[str, ...], strings: _Strings) -> bytes:
    out = b""
    names = [(1, soname or "file"), *((0, name) for name in defines)]
    for index, (flags, name) in enumerate(names, 1):
        following = 0 if index == len(names) else 28
        out += struct.pack("<HHHHIII", 1, flags, index, 1, 0, 20, following)
        out += struct.pack("<II", strings.add(name), 0)
    return out
