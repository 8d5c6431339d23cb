"""`ctypes.util.find_library` for an image, which has neither ldconfig nor a compiler to ask.

It finds what the loader would: in LD_LIBRARY_PATH, in /etc/ld.so.cache, in the loader's own directories.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable, Iterator
from types import ModuleType

from chassis.runtime.core.mended_import import mend_when_imported

_MODULE = "ctypes.util"
_CACHE = "etc/ld.so.cache"
_MAGIC = b"glibc-ld.so.cache1.1"
_HEADER = struct.Struct("<20sII20x")
_ENTRY = struct.Struct("<iIIIQ")


def mend_find_library() -> None:
    """From now on, in this process, `ctypes.util.find_library` finds what the image has."""
    mend_when_imported(_MODULE, _mend)


def _mend(module: ModuleType) -> None:
    module.find_library = finder(module.find_library)  # type: ignore[attr-defined]


def finder(otherwise: Callable[[str], str | None], root: str = "/") -> Callable[[str], str | None]:
    """A `find_library` for what is below `root`; `otherwise` is asked for what is not found."""

    def find_library(name: str) -> str | None:
        wanted = re.compile(rf"lib{re.escape(name)}\.so(\.\d[^/]*)?")
        found = sorted({file for file in _names(root) if wanted.fullmatch(file)}, key=_order)
        return found[0] if found else otherwise(name)

    return find_library


def _order(file: str) -> tuple[int, str]:
    """`libz.so.1`, the name that programs are linked to, before `libz.so` and `libz.so.1.2.13`."""
    versions = file.partition(".so")[2].count(".")
    return (0 if versions == 1 else versions + 1, file)


def _names(root: str) -> Iterator[str]:
    """File names of libraries."""
    yield from _cached(root)
    own = [part for path in ("lib", "usr/lib", "lib64", "usr/lib64") for part in _with_triplets(f"{root}{path}")]
    for directory in [*os.environ.get("LD_LIBRARY_PATH", "").split(":"), *own]:
        if directory:
            yield from _files(directory)


def _with_triplets(directory: str) -> Iterator[str]:
    yield directory
    for name in _files(directory):
        if name.endswith("-linux-gnu"):
            yield f"{directory}/{name}"


def _files(directory: str) -> list[str]:
    try:
        with os.scandir(directory) as entries:
            return [entry.name for entry in entries]
    except OSError:
        return []


def _cached(root: str) -> Iterator[str]:
    """The names in the loader's cache (glibc, sysdeps/generic/dl-cache.h, `struct cache_file_new`)."""
    try:
        with open(f"{root}{_CACHE}", "rb") as file:
            data = file.read()
        start = data.index(_MAGIC)
        _, count, _ = _HEADER.unpack_from(data, start)
        for number in range(count):
            _, key, _, _, _ = _ENTRY.unpack_from(data, start + _HEADER.size + number * _ENTRY.size)
            yield data[start + key : data.index(b"\0", start + key)].decode()
    except (OSError, ValueError, struct.error):
        return
