"""Reads ELF files as the dynamic loader does: segments and the dynamic table, never sections.

Specifications: System V gABI, "Program Loading and Dynamic Linking"; Linux Standard Base, "Symbol Versioning";
x86-64 psABI, "Program Property".
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from elftools.common.utils import struct_parse
from elftools.elf.elffile import ELFFile
from elftools.elf.enums import ENUM_D_TAG
from elftools.elf.segments import Segment

from chassis.doctor.elf import Elf, VersionNeed
from chassis.errors import ChassisError

_PF_X = 1
_DF_TEXTREL = 4
_MOST_VERSIONS = 20_000  # glibc defines some sixty
_MOST_TAGS = 20_000
_WANTED_TAGS = (
    "DT_FLAGS",
    "DT_NEEDED",
    "DT_RPATH",
    "DT_RUNPATH",
    "DT_SONAME",
    "DT_STRSZ",
    "DT_STRTAB",
    "DT_TEXTREL",
    "DT_VERDEF",
    "DT_VERNEED",
)
_TAGS = {ENUM_D_TAG[name]: name for name in _WANTED_TAGS}
_WEAK = 2  # VER_FLG_WEAK
_BASE = 1  # VER_FLG_BASE: the entry names the library, no version
_HEADER_BYTES = {32: 52, 64: 64}
# Where the header says how many sections there are and where: offset and size of e_shoff, e_shnum, e_shstrndx.
_SECTION_FIELDS = {32: ((32, 4), (48, 2), (50, 2)), 64: ((40, 8), (60, 2), (62, 2))}


class ElfError(ChassisError):
    """A file that begins like an ELF file is damaged."""


def read_elf(stream: IO[bytes]) -> Elf:
    """Reads an ELF file from a seekable stream that may be written to: its section headers are struck out.

    What is damaged is no error: `defect` says why.
    """
    try:
        return _read(stream)
    except Exception as error:  # pyelftools raises whatever a damaged file leads it into.
        reason = str(error) or type(error).__name__
        return Elf(defect=reason.splitlines()[0][:200])


def _read(stream: IO[bytes]) -> Elf:
    length = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    ident = stream.read(_HEADER_BYTES[32])
    bits = 32 if ident[4] == 1 else 64
    if length < _HEADER_BYTES[bits]:
        raise ElfError(f"it has {length} bytes, fewer than its header")
    for offset, size in _SECTION_FIELDS[bits]:
        stream.seek(offset)
        stream.write(bytes(size))
    file = ELFFile(stream)
    machine, kind = str(file["e_machine"]), _kind(file["e_type"])
    if kind == "relocatable":
        return Elf(machine, file.elfclass, kind)
    segments = _Segments(file, length)
    dynamic = segments.first("PT_DYNAMIC")
    table = _dynamic_table(stream, file, segments, dynamic) if dynamic is not None else _DynamicTable()
    stack = segments.first("PT_GNU_STACK")
    return Elf(
        machine=machine,
        bits=file.elfclass,
        type=kind,
        soname=table.soname,
        interpreter=segments.interpreter(),
        needed=tuple(table.needed),
        rpath=table.rpath,
        runpath=table.runpath,
        requires=table.requires,
        defines=table.defines,
        text_relocations=table.text_relocations,
        # Without the header the loader takes the processor's default, which is an executable stack on both CPUs.
        executable_stack=bool(stack["p_flags"] & _PF_X) if stack is not None else True,
        isa_needed=segments.isa_needed() if machine in ("EM_X86_64", "EM_386") else 0,
    )


def _kind(value: Any) -> str:
    return {"ET_EXEC": "executable", "ET_DYN": "shared", "ET_REL": "relocatable"}.get(value, "other")


class _Segments:
    def __init__(self, file: ELFFile, length: int) -> None:
        self._segments = list(file.iter_segments())
        for segment in self._segments:
            if segment["p_type"] == "PT_LOAD" and segment["p_offset"] + segment["p_filesz"] > length:
                raise ElfError(f"it ends after {length} bytes, in the middle of what is to be loaded")

    def first(self, kind: str) -> Any:
        return next((segment for segment in self._segments if segment["p_type"] == kind), None)

    def interpreter(self) -> str:
        segment = self.first("PT_INTERP")
        return segment.get_interp_name() if segment is not None else ""

    def offset(self, address: int) -> int:
        for segment in self._segments:
            start = segment["p_vaddr"]
            if segment["p_type"] == "PT_LOAD" and start <= address < start + segment["p_filesz"]:
                return address - start + segment["p_offset"]
        raise ElfError(f"its dynamic table points to address {address:#x}, which is in no segment")

    def isa_needed(self) -> int:
        for segment in self._segments:
            if segment["p_type"] != "PT_NOTE":
                continue
            for note in segment.iter_notes():
                if note["n_type"] != "NT_GNU_PROPERTY_TYPE_0" or note["n_name"] != "GNU":
                    continue
                for item in note["n_desc"]:
                    if item["pr_type"] == "GNU_PROPERTY_X86_ISA_1_NEEDED":
                        return int(item["pr_data"])
        return 0


@dataclass(slots=True)
class _DynamicTable:
    soname: str = ""
    needed: tuple[str, ...] = ()
    rpath: tuple[str, ...] = ()
    runpath: tuple[str, ...] = ()
    requires: tuple[VersionNeed, ...] = ()
    defines: tuple[str, ...] = ()
    text_relocations: bool = False


def _dynamic_table(stream: IO[bytes], file: ELFFile, segments: _Segments, dynamic: Segment) -> _DynamicTable:
    values = _dynamic_values(stream, file, dynamic)
    if "DT_STRTAB" not in values:
        return _DynamicTable()
    strings = _Strings(stream, segments.offset(values["DT_STRTAB"][0]), values.get("DT_STRSZ", [1 << 40])[0])
    table = _DynamicTable(
        soname="".join(strings.at(value) for value in values.get("DT_SONAME", ())[:1]),
        needed=tuple(strings.at(value) for value in values.get("DT_NEEDED", ())),
        rpath=strings.paths(values.get("DT_RPATH", ())),
        runpath=strings.paths(values.get("DT_RUNPATH", ())),
    )
    flags = values.get("DT_FLAGS", [0])[0]
    table.text_relocations = "DT_TEXTREL" in values or bool(flags & _DF_TEXTREL)
    if "DT_VERNEED" in values:
        table.requires = tuple(_needs(stream, file, segments.offset(values["DT_VERNEED"][0]), strings))
    if "DT_VERDEF" in values:
        table.defines = tuple(_definitions(stream, file, segments.offset(values["DT_VERDEF"][0]), strings))
    return table


def _dynamic_values(stream: IO[bytes], file: ELFFile, dynamic: Segment) -> dict[str, list[int]]:
    """The dynamic table's values by tag, unpacked at once: pyelftools goes entry by entry, and they are many."""
    entry = struct.Struct(("<" if file.little_endian else ">") + ("QQ" if file.elfclass == 64 else "II"))
    size = dynamic["p_filesz"] // entry.size * entry.size
    if size > _MOST_TAGS * entry.size:
        raise ElfError(f"its dynamic table has more than {_MOST_TAGS} entries")
    stream.seek(dynamic["p_offset"])
    values: dict[str, list[int]] = {}
    for tag, value in entry.iter_unpack(stream.read(size)):
        if tag == 0:
            return values
        if tag in _TAGS:
            values.setdefault(_TAGS[tag], []).append(value)
    raise ElfError("its dynamic table has no end")


class _Strings:
    def __init__(self, stream: IO[bytes], offset: int, size: int) -> None:
        self._stream = stream
        self._offset = offset
        self._size = size

    def at(self, index: int) -> str:
        if not 0 <= index < self._size:
            raise ElfError(f"a name is at {index} in a string table of {self._size} bytes")
        self._stream.seek(self._offset + index)
        data = self._stream.read(min(4096, self._size - index)).split(b"\0", 1)[0]
        return data.decode("utf-8", "backslashreplace")

    def paths(self, indexes: Any) -> tuple[str, ...]:
        return tuple(path for index in indexes for path in self.at(index).split(":") if path)


def _needs(stream: IO[bytes], file: ELFFile, offset: int, strings: _Strings) -> Iterator[VersionNeed]:
    for position, entry in _chain(stream, file.structs.Elf_Verneed, offset, "vn_next"):
        library = strings.at(entry["vn_file"])
        position += entry["vn_aux"]
        for _, aux in _chain(stream, file.structs.Elf_Vernaux, position, "vna_next"):
            yield VersionNeed(library, strings.at(aux["vna_name"]), bool(aux["vna_flags"] & _WEAK))


def _definitions(stream: IO[bytes], file: ELFFile, offset: int, strings: _Strings) -> Iterator[str]:
    for position, entry in _chain(stream, file.structs.Elf_Verdef, offset, "vd_next"):
        if not entry["vd_flags"] & _BASE:
            aux = struct_parse(file.structs.Elf_Verdaux, stream, position + entry["vd_aux"])
            yield strings.at(aux["vda_name"])


def _chain(stream: IO[bytes], form: Any, offset: int, following: str) -> Iterator[tuple[int, Any]]:
    """Entries that each say how many bytes after themselves the next one is, 0 in the last."""
    for _ in range(_MOST_VERSIONS):
        entry = struct_parse(form, stream, offset)
        yield offset, entry
        if not entry[following]:
            return
        offset += entry[following]
    raise ElfError(f"a table of symbol versions has more than {_MOST_VERSIONS} entries")


def elf_of_bytes(data: bytes) -> Elf:
    """The same for a file in memory."""
    return read_elf(io.BytesIO(data))
