"""Whether the compiled files of a wheel are for the target, complete, and no newer than its glibc.

A cross build can go wrong without saying so: an extension that was optional is left out, a symbol that nothing
defines is linked all the same, a header of the build machine brings a symbol that is too new.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from elftools.elf.sections import SymbolTableSection

from chassis.cross.target import CrossTarget

_MACHINES = {"EM_AARCH64": "aarch64", "EM_X86_64": "x86_64"}
_GLIBC = re.compile(r"lib(c|m|dl|rt|util|pthread|resolv)\.so\.\d+|ld-linux.*\.so\.\d+")
# What the interpreter that loads an extension defines.
_PYTHON_API = re.compile(r"_?Py[A-Z_]\w*|PyInit_\w+")


@dataclass(frozen=True, slots=True)
class _Object:
    """One ELF file: its CPU, what it needs and defines."""

    machine: str
    needed: tuple[str, ...]
    glibc: tuple[int, ...]
    undefined: frozenset[str]
    defined: frozenset[str]


def check_objects(files: Mapping[str, bytes], target: CrossTarget) -> Iterator[str]:
    """A sentence for each defect of the ELF files among `files`, by name."""
    objects: dict[str, _Object] = {}
    for name, content in sorted(files.items()):
        if not content.startswith(b"\x7fELF"):
            continue
        try:
            objects[name] = _read(content)
        except (ELFError, KeyError, ValueError, AssertionError) as error:
            yield f"{name} is a damaged ELF file: {error}"
    own = {name.rpartition("/")[2] for name in objects}
    defined = frozenset(symbol for item in objects.values() for symbol in item.defined)
    for name, item in objects.items():
        yield from _check(name, item, target, own, defined)


def is_elf(content: bytes) -> bool:
    """Whether it begins as an ELF file does."""
    return content.startswith(b"\x7fELF")


def _check(name: str, item: _Object, target: CrossTarget, own: set[str], defined: frozenset[str]) -> Iterator[str]:
    if item.machine != target.machine:
        yield f"{name} is compiled for {item.machine}, and {target.machine} was asked for"
        return
    tag = re.search(r"\.cpython-\d+-([a-z0-9_]+-linux-gnu)\.so$", name)
    if tag and tag[1] != target.triple:
        yield f"{name} is named for {tag[1]}: a Python on {target.machine} looks for {target.extension_suffix}"
    newest = max(item.glibc, default=0)
    if newest > target.glibc_minor:
        yield f"{name} needs glibc 2.{newest}, and the target's is 2.{target.glibc_minor}"
    foreign = [library for library in item.needed if not _GLIBC.fullmatch(library) and library not in own]
    missing = sorted(symbol for symbol in item.undefined - defined if not _PYTHON_API.fullmatch(symbol))
    if missing and not foreign:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        yield f"{name} uses {', '.join(missing[:5])}{more}, which nothing that it is linked with defines"


def _read(content: bytes) -> _Object:
    elf = ELFFile(io.BytesIO(content))
    needed: list[str] = []
    glibc: set[int] = set()
    undefined: set[str] = set()
    defined: set[str] = set()
    versioned: set[int] = set()
    for section in elf.iter_sections():
        if isinstance(section, DynamicSection):
            needed += [tag.needed for tag in section.iter_tags() if tag.entry.d_tag == "DT_NEEDED"]
        elif isinstance(section, GNUVerNeedSection):
            for _, versions in section.iter_versions():
                for version in versions:
                    versioned.add(version["vna_other"])
                    if match := re.fullmatch(r"GLIBC_2\.(\d+)(\.\d+)?", version.name):
                        glibc.add(int(match[1]))
    versions = elf.get_section_by_name(".gnu.version")
    symbols = elf.get_section_by_name(".dynsym")
    if isinstance(symbols, SymbolTableSection):
        for number, symbol in enumerate(symbols.iter_symbols()):
            if not symbol.name or symbol["st_info"]["bind"] == "STB_LOCAL":
                continue
            if symbol["st_shndx"] != "SHN_UNDEF":
                defined.add(symbol.name)
            elif symbol["st_info"]["bind"] == "STB_GLOBAL" and not _has_version(versions, number, versioned):
                undefined.add(symbol.name)
    machine = _MACHINES.get(elf["e_machine"], str(elf["e_machine"]))
    return _Object(machine, tuple(needed), tuple(glibc), frozenset(undefined), frozenset(defined))


def _has_version(versions: object, number: int, versioned: set[int]) -> bool:
    if versions is None:
        return False
    index = versions.get_symbol(number)["ndx"]  # type: ignore[attr-defined]
    return isinstance(index, int) and index & 0x7FFF in versioned
