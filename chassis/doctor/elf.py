"""What an ELF file asks of its surroundings."""

from __future__ import annotations

import re
from dataclasses import dataclass

MAGIC = b"\x7fELF"
"""How every ELF file begins."""

EXTENSION_MODULE = re.compile(r"\.(?:cpython-(?P<python>3\d+[a-z]*)-(?P<triplet>[a-z0-9_]+-linux-\w+)|abi3)\.so$")
"""How the names of extension modules end that are for one version of Python, or for any of CPython 3 (PEP 3149)."""


@dataclass(frozen=True, slots=True)
class VersionNeed:
    """A version of symbols that must be defined by a library; a weak one is not asked for by the loader."""

    library: str
    version: str
    weak: bool = False


@dataclass(frozen=True, slots=True)
class Elf:
    """What an ELF file asks of its surroundings.

    `machine` is the gABI's name (`EM_AARCH64`), `type` one of executable, shared, relocatable, other; `interpreter`
    is empty but for dynamic executables. `isa_needed` has the bits of GNU_PROPERTY_X86_ISA_1_NEEDED, 0 if there
    is no such note; `page_bytes` is the largest page that its segments can be mapped with, 0 if there are none.
    `defect` is the reason why the rest could not be read, else empty.
    """

    machine: str = ""
    bits: int = 0
    type: str = ""
    soname: str = ""
    interpreter: str = ""
    needed: tuple[str, ...] = ()
    rpath: tuple[str, ...] = ()
    runpath: tuple[str, ...] = ()
    requires: tuple[VersionNeed, ...] = ()
    defines: tuple[str, ...] = ()
    text_relocations: bool = False
    executable_stack: bool = False
    isa_needed: int = 0
    page_bytes: int = 0
    defect: str = ""
