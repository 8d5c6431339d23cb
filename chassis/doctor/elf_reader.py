"""Reads ELF files as the dynamic loader does: segments and the dynamic table, never sections.

Specifications: System V gABI, "Program Loading and Dynamic Linking"; Linux Standard Base, "Symbol Versioning";
x86-64 psABI, "Program Property".
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from elftools.common.utils import struct_parse
from elftools.elf.enums import ENUM_D_TAG
from elftools.elf.notes import iter_notes
from elftools.elf.structs import ELFStructs

from chassis.doctor.elf import Elf, VersionNeed
from chassis.errors import ChassisError

_PF_X = 1
_DF_TEXTREL = 4
_MAX_VERSIONS = 20_000  # glibc defines some sixty
_MAX_TAGS = 20_000
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
_MAX_SEGMENTS = 1_000
_MAX_STRINGS_BYTES = 128 << 20
_MAX_NOTES_BYTES = 1 << 20


class ElfError(ChassisError):
    """A file that begins like an ELF file is damaged."""


class Stream(Protocol):
    """What is asked of a file: to be read at any place."""

    def seek(self, offset: int, whence: int = ..., /) -> int: ...

    def read(self, size: int, /) -> bytes: ...


def read_elf(stream: Stream) -> Elf:
    """Reads an ELF file. A damaged file is not an error: `defect` says why."""
    try:
        return _read(stream)
    except Exception as error:  # pyelftools raises whatever a damaged file leads it into.
        reason = str(error) or type(error).__name__
        return Elf(defect=reason.splitlines()[0][:200])


@dataclass(frozen=True, slots=True)
class _File:
    """The file with the forms of its structures, under the names that pyelftools gives them."""

    stream: Stream
    structs: ELFStructs
    elfclass: int

    def parse(self, form: Any, offset: int) -> Any:
        return struct_parse(form, self.stream, offset)


@cache
def _structs(bits: int, little_endian: bool) -> ELFStructs:
    """The forms of structures; making them takes longer than reading most files."""
    structs = ELFStructs(little_endian=little_endian, elfclass=bits)
    structs.create_basic_structs()
    structs.create_advanced_structs()
    return structs


def _read(stream: Stream) -> Elf:
    length = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    ident = stream.read(16)
    bits = {1: 32, 2: 64}.get(ident[4])
    if bits is None or ident[5] not in (1, 2):
        raise ElfError(f"its class and byte order are unknown ({ident[4]}, {ident[5]})")
    if length < _HEADER_BYTES[bits]:
        raise ElfError(f"it has {length} bytes, fewer than its header")
    file = _File(stream, _structs(bits, ident[5] == 1), bits)
    header = file.parse(file.structs.Elf_Ehdr, 0)
    machine, kind = str(header["e_machine"]), _kind(header["e_type"])
    if kind == "relocatable":
        return Elf(machine, bits, kind)
    segments = _Segments(file, header, length)
    interpreter, isa_needed = segments.interpreter(), 0
    if machine in ("EM_X86_64", "EM_386"):
        isa_needed = segments.isa_needed()
    dynamic = segments.first("PT_DYNAMIC")
    table = _dynamic_table(file, segments, dynamic) if dynamic is not None else _DynamicTable()
    stack = segments.first("PT_GNU_STACK")
    return Elf(
        machine=machine,
        bits=bits,
        type=kind,
        soname=table.soname,
        interpreter=interpreter,
        needed=tuple(table.needed),
        rpath=table.rpath,
        runpath=table.runpath,
        requires=table.requires,
        defines=table.defines,
        text_relocations=table.text_relocations,
        # Without the header the loader takes the processor's default, which is an executable stack on both CPUs.
        executable_stack=bool(stack["p_flags"] & _PF_X) if stack is not None else True,
        isa_needed=isa_needed,
        page_bytes=segments.page_bytes,
    )


def _kind(value: Any) -> str:
    return {"ET_EXEC": "executable", "ET_DYN": "shared", "ET_REL": "relocatable"}.get(value, "other")


class _Segments:
    def __init__(self, file: _File, header: Any, length: int) -> None:
        self._file = file
        if header["e_phnum"] > _MAX_SEGMENTS:
            raise ElfError(f"it has {header['e_phnum']} segments, more than {_MAX_SEGMENTS}")
        start, size = header["e_phoff"], header["e_phentsize"]
        self._segments = [file.parse(file.structs.Elf_Phdr, start + n * size) for n in range(header["e_phnum"])]
        loaded = [segment for segment in self._segments if segment["p_type"] == "PT_LOAD"]
        for segment in loaded:
            if segment["p_offset"] + segment["p_filesz"] > length:
                raise ElfError(f"it ends after {length} bytes, in the middle of what is to be loaded")
            if (segment["p_vaddr"] - segment["p_offset"]) % (segment["p_align"] or 1):
                raise ElfError("a segment begins elsewhere within its page than in memory")
        self.page_bytes = min((segment["p_align"] for segment in loaded), default=0)

    def first(self, kind: str) -> Any:
        return next((segment for segment in self._segments if segment["p_type"] == kind), None)

    def interpreter(self) -> str:
        segment = self.first("PT_INTERP")
        if segment is None:
            return ""
        self._file.stream.seek(segment["p_offset"])
        return _text(self._file.stream.read(min(segment["p_filesz"], 4096)))

    def offset(self, address: int) -> int:
        for segment in self._segments:
            start = segment["p_vaddr"]
            if segment["p_type"] == "PT_LOAD" and start <= address < start + segment["p_filesz"]:
                return int(address - start + segment["p_offset"])
        raise ElfError(f"its dynamic table points to address {address:#x}, which is in no segment")

    def isa_needed(self) -> int:
        for segment in self._segments:
            if segment["p_type"] != "PT_NOTE" or segment["p_filesz"] > _MAX_NOTES_BYTES:
                continue
            for note in iter_notes(self._file, segment["p_offset"], segment["p_filesz"]):
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


def _dynamic_table(file: _File, segments: _Segments, dynamic: Any) -> _DynamicTable:
    values = _dynamic_values(file, dynamic)
    if "DT_STRTAB" not in values:
        return _DynamicTable()
    strings = _Strings(file.stream, segments.offset(values["DT_STRTAB"][0]), values.get("DT_STRSZ", [0])[0])
    table = _DynamicTable(
        soname="".join(strings.at(value) for value in values.get("DT_SONAME", ())[:1]),
        needed=tuple(strings.at(value) for value in values.get("DT_NEEDED", ())),
        rpath=strings.paths(values.get("DT_RPATH", ())),
        runpath=strings.paths(values.get("DT_RUNPATH", ())),
    )
    flags = values.get("DT_FLAGS", [0])[0]
    table.text_relocations = "DT_TEXTREL" in values or bool(flags & _DF_TEXTREL)
    if "DT_VERNEED" in values:
        table.requires = tuple(_needs(file, segments.offset(values["DT_VERNEED"][0]), strings))
    if "DT_VERDEF" in values:
        table.defines = tuple(_definitions(file, segments.offset(values["DT_VERDEF"][0]), strings))
    return table


def _dynamic_values(file: _File, dynamic: Any) -> dict[str, list[int]]:
    """The dynamic table's values by tag, unpacked at once: pyelftools goes entry by entry, and they are many."""
    entry = struct.Struct(("<" if file.structs.little_endian else ">") + ("QQ" if file.elfclass == 64 else "II"))
    size = dynamic["p_filesz"] // entry.size * entry.size
    if size > _MAX_TAGS * entry.size:
        raise ElfError(f"its dynamic table has more than {_MAX_TAGS} entries")
    file.stream.seek(dynamic["p_offset"])
    values: dict[str, list[int]] = {}
    for tag, value in entry.iter_unpack(file.stream.read(size)):
        if tag == 0:
            return values
        if tag in _TAGS:
            values.setdefault(_TAGS[tag], []).append(value)
    raise ElfError("its dynamic table has no end")


class _Strings:
    """The names of the dynamic table, read at once: they lie together, and far from the table."""

    def __init__(self, stream: Stream, offset: int, size: int) -> None:
        if size > _MAX_STRINGS_BYTES:
            raise ElfError(f"its string table has {size} bytes")
        stream.seek(offset)
        self._data = stream.read(size)

    def at(self, index: int) -> str:
        if not 0 <= index < len(self._data):
            raise ElfError(f"a name is at {index} in a string table of {len(self._data)} bytes")
        return _text(self._data[index : index + 4096])

    def paths(self, indexes: Any) -> tuple[str, ...]:
        return tuple(path for index in indexes for path in self.at(index).split(":") if path)


def _text(data: bytes) -> str:
    return data.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")


def _needs(file: _File, offset: int, strings: _Strings) -> Iterator[VersionNeed]:
    for position, entry in _chain(file, file.structs.Elf_Verneed, offset, "vn_next"):
        library = strings.at(entry["vn_file"])
        position += entry["vn_aux"]
        for _, aux in _chain(file, file.structs.Elf_Vernaux, position, "vna_next"):
            yield VersionNeed(library, strings.at(aux["vna_name"]), bool(aux["vna_flags"] & _WEAK))


def _definitions(file: _File, offset: int, strings: _Strings) -> Iterator[str]:
    for position, entry in _chain(file, file.structs.Elf_Verdef, offset, "vd_next"):
        if not entry["vd_flags"] & _BASE:
            aux = file.parse(file.structs.Elf_Verdaux, position + entry["vd_aux"])
            yield strings.at(aux["vda_name"])


def _chain(file: _File, form: Any, offset: int, following: str) -> Iterator[tuple[int, Any]]:
    """Entries that each say how many bytes after themselves the next one is, 0 in the last."""
    for _ in range(_MAX_VERSIONS):
        entry = file.parse(form, offset)
        yield offset, entry
        if not entry[following]:
            return
        offset += entry[following]
    raise ElfError(f"a table of symbol versions has more than {_MAX_VERSIONS} entries")


def elf_of_bytes(data: bytes) -> Elf:
    """The same for a file in memory."""
    return read_elf(io.BytesIO(data))
