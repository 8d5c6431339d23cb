"""/etc/ld.so.cache as `ldconfig` would write it, for directories that the loader does not look into by itself.

The loader searches its own directories (`/lib/TRIPLET`, `/usr/lib/TRIPLET`, `/lib`, `/usr/lib`) without a cache, and a
name that is found there costs a call or two. What a package adds in `/etc/ld.so.conf.d` is found through the cache
alone.
Format: glibc, sysdeps/generic/dl-cache.h, `struct cache_file_new`, little-endian.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Mapping
from functools import cmp_to_key

from chassis.declaration.platforms import MACHINES
from chassis.oci.layer.debian_paths import merged

CACHE = "etc/ld.so.cache"
CONFIGURATION = re.compile(r"etc/ld\.so\.conf\.d/[^/]+\.conf")
# FLAG_ELF_LIBC6 with the architecture's own (FLAG_X8664_LIB64, FLAG_AARCH64_LIB64).
_FLAGS = {"amd64": 0x0303, "arm64": 0x0A03}
_MAGIC = b"glibc-ld.so.cache1.1"
_LITTLE_ENDIAN = 2
_HEADER = struct.Struct("<20sIIB3xI3I")
_ENTRY = struct.Struct("<iIIIQ")
_LIBRARY = re.compile(r"(lib|ld-)[^/]*\.so([.][^/]*)?")
_PARTS = re.compile(r"([0-9]+)|([^0-9])")


def library_cache(configurations: Mapping[str, bytes], paths: Iterable[str], architecture: str) -> bytes | None:
    """The cache of a base; None if the loader finds every library without.

    `configurations` are the files of /etc/ld.so.conf.d by path, `paths` all that is installed, without leading slash
    and on a merged /usr; `architecture` is Debian's name. A library goes by its file names, links included: Debian
    ships the link that a library's soname is.
    """
    directories = _directories(configurations)
    own = {merged(directory[1:]) for directory in _own_directories(architecture)}
    found: dict[str, dict[str, str]] = {}
    for path in paths:
        folder, _, name = path.rpartition("/")
        if _LIBRARY.fullmatch(name):
            found.setdefault(folder, {})[name] = path
    if not any(merged(directory[1:]) in found.keys() - own for directory in directories):
        return None
    # The loader itself looks for variants of the CPU's level; an entry of the plain library would keep it from that.
    leveled = {name for folder, names in found.items() if "/glibc-hwcaps/" in folder for name in names}
    entries: dict[str, str] = {}
    for directory in (*directories, *_own_directories(architecture)):
        for name in found.get(merged(directory[1:]), {}):
            if name not in leveled:
                entries.setdefault(name, f"{directory}/{name}")
    return _encoded(entries, _FLAGS[architecture])


def _own_directories(architecture: str) -> tuple[str, ...]:
    triplet = MACHINES[architecture].triplet
    return (f"/lib/{triplet}", f"/usr/lib/{triplet}", "/lib", "/usr/lib")


def _directories(configurations: Mapping[str, bytes]) -> list[str]:
    """The directories that the files name, in the order of ldconfig: by the files' names."""
    found: dict[str, None] = {}
    for path in sorted(configurations):
        for line in configurations[path].decode("utf-8", "surrogateescape").splitlines():
            directory = line.partition("#")[0].strip().rstrip("/")
            if directory.startswith("/"):
                found[directory] = None
    return list(found)


def _encoded(entries: Mapping[str, str], flags: int) -> bytes:
    names = sorted(entries, key=cmp_to_key(_compare), reverse=True)
    strings = bytearray()
    offset = _HEADER.size + len(names) * _ENTRY.size
    table = bytearray()
    for name in names:
        key = offset + len(strings)
        strings += name.encode("utf-8", "surrogateescape") + b"\0"
        value = offset + len(strings)
        strings += entries[name].encode("utf-8", "surrogateescape") + b"\0"
        table += _ENTRY.pack(flags, key, value, 0, 0)
    return _HEADER.pack(_MAGIC, len(names), len(strings), _LITTLE_ENDIAN, 0, 0, 0, 0) + table + strings


def _compare(one: str, other: str) -> int:
    """glibc's `_dl_cache_libcmp`, by which the loader searches: numbers by value, and above all other characters."""
    mine, theirs = _PARTS.findall(one), _PARTS.findall(other)
    for (number, character), (other_number, other_character) in zip(mine, theirs, strict=False):
        if bool(number) != bool(other_number):
            return 1 if number else -1
        if number and int(number) != int(other_number):
            return int(number) - int(other_number)
        if character != other_character:
            return ord(character) - ord(other_character)
    return len(mine) - len(theirs)
