"""Archives of chance: bytes that a fuzzer changes are read as choices, so that what comes out is often nearly right.

The first byte of an input says whether the rest is an archive as it is or such a recipe. Damage to raw bytes finds
faults of the parsers; recipes reach what lies behind checksums.
"""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Sequence
from dataclasses import replace

import zstandard

from tests.hostile.samples import (
    DIST_INFO,
    TAR_END,
    Member,
    ar_archive,
    deb_members,
    pax_record,
    record,
    sample_deb,
    tar_entry,
    wheel_members,
    wheel_with,
    zip_archive,
)

RAW, RECIPE = b"\0", b"\1"
_MAX_PARTS = 12
_MAX_FIELD = 0xFFFF  # of a name, an extra field, a comment: their lengths have two bytes
_NAMES = (
    *(b"a", b"b", b"A", b"usr", b"lib", b"bin", b"etc", b"opt", b"..", b".", b"", b"\n", b"\xff", b"\0"),
    *(b"demo_pkg", b"__pycache__", b"__init__.py", b"x.pyc", b".wh.a", b".wh..wh..opq", b"stargz.index.json"),
    *(b"demo_pkg-1.2.data", b"purelib", b"platlib", b"scripts", b"data", b"headers"),
    *(DIST_INFO.encode(), b"RECORD", b"INSTALLER", "é".encode(), "e\u0301".encode(), b"n" * 90, b"n" * 160),
)
_SCRIPTS = (b"#!python\nimport a\n", b"#!pythonw", b"[console_scripts]\nx = a:b\n", b"\x7fELF")
_CONTENTS = (b"", b"x", *_SCRIPTS, b"z" * 600, b"y" * 70_000)
_MODES = (0o100644, 0o100755, 0, 0o104755, 0o120777, 0o040755, 0o020666)
_KINDS = (b"0", b"0", b"0", b"5", b"2", b"1", b"\0", b"7", b"3", b"6", b"S", b"L", b"K", b"x", b"g")


class Choices:
    """Reads bytes as choices; when they are used up, the first of each."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def byte(self) -> int:
        """The next byte."""
        self._position += 1
        return self._data[self._position - 1] if self._position <= len(self._data) else 0

    def number(self) -> int:
        """A number of four bytes."""
        return int.from_bytes(bytes(self.byte() for _ in range(4)), "little")

    def of(self, options: Sequence[bytes] | Sequence[int]) -> bytes | int:
        """One of some options."""
        return options[self.byte() % len(options)]

    def rarely(self) -> bool:
        """True for one byte of sixteen."""
        return self.byte() % 16 == 15

    def content(self) -> bytes:
        """What a file may hold: a usual content, or some of the bytes themselves."""
        if self.byte() % 4:
            return bytes(self.of(_CONTENTS))
        size = self.byte()
        piece = self._data[self._position : self._position + size]
        self._position += size
        return piece

    def path(self) -> bytes:
        """A path of one to four names."""
        return b"/".join(bytes(self.of(_NAMES)) for _ in range(1 + self.byte() % 4))


def wheel_of(data: bytes) -> bytes:
    """The wheel that an input stands for."""
    if data[:1] != RECIPE:
        return data[1:]
    choices = Choices(data[1:])
    members = wheel_members()[:-1]
    for _ in range(choices.byte() % _MAX_PARTS):
        members.append(_member(choices))
    if choices.rarely():
        position = choices.byte() % len(members)
        members[position] = _lying(choices, members[position])
    rows = Member(f"{DIST_INFO}/RECORD".encode(), record(members))
    return zip_archive([*members, rows], comment=choices.content()[:_MAX_FIELD] if choices.rarely() else b"")


def _member(choices: Choices) -> Member:
    member = Member(choices.path(), choices.content(), 0 if choices.byte() % 3 == 0 else 8, flags=0x800)
    return replace(member, mode=int(choices.of(_MODES)) if choices.rarely() else 0o100644)


def _lying(choices: Choices, member: Member) -> Member:
    lies = (
        {"crc": choices.number()},
        {"size": choices.byte()},
        {"stored_size": choices.byte()},
        {"flags": choices.byte()},
        {"method": choices.byte()},
        {"raw": choices.content()},
        {"extra": choices.content()[:_MAX_FIELD]},
        {"local": {6 + choices.byte() % 5: choices.byte()}},
    )
    return replace(member, **lies[choices.byte() % len(lies)])  # type: ignore[arg-type]


def tar_of(data: bytes) -> bytes:
    """The tar that an input stands for."""
    return tar_from(Choices(data[1:])) if data[:1] == RECIPE else data[1:]


def tar_from(choices: Choices) -> bytes:
    """A tar of a few entries."""
    entries = b"".join(_tar_entry(choices) for _ in range(choices.byte() % _MAX_PARTS))
    return entries + (b"" if choices.rarely() else TAR_END)


def _tar_entry(choices: Choices) -> bytes:
    kind = bytes(
        choices.of((b"0", b"0", b"0", b"5", b"2", b"1", b"\0", b"7", b"3", b"6", b"S", b"L", b"K", b"x", b"g"))
    )
    prefix = bytes(choices.of((b"./", b"", b"/")))
    name = prefix + choices.path()
    if kind in (b"x", b"g"):
        keys = (b"path", b"linkpath", b"size", b"mode", b"GNU.sparse.major", b"comment", b"mtime")
        body = b"".join(
            pax_record(bytes(choices.of(keys)), choices.path() if choices.byte() % 2 else b"%d" % choices.byte())
            for _ in range(choices.byte() % 4)
        )
    elif kind in (b"L", b"K"):
        body = choices.path() + b"\0"
    else:
        body = choices.content() if kind in (b"0", b"\0", b"7") else b""
    link = choices.path() if kind in (b"1", b"2") else b""
    more = {"checksum": choices.number() % 9999} if choices.rarely() else {}
    if choices.rarely():
        more["size"] = choices.number() % 100_000
    magic = b"ustar  \0" if choices.byte() % 3 == 0 else b"ustar\x0000"
    return tar_entry(name, body, kind, link=link, mode=0o644 + (choices.byte() << 3), magic=magic, **more)


def package_of(data: bytes) -> bytes:
    """The Debian package that an input stands for."""
    if data[:1] != RECIPE:
        return data[1:]
    choices = Choices(data[1:])
    form = ("xz", "gz", "", "zst")[choices.byte() % 4]
    tar = tar_from(choices)
    if form == "zst":
        members = [*deb_members(tar)[:2], (b"data.tar.zst", zstandard.compress(tar))]
    else:
        members = deb_members(tar, form)
    if choices.rarely():
        members.insert(choices.byte() % 4, (choices.path(), choices.content()))
    return ar_archive(members)


def seeds() -> dict[str, list[bytes]]:
    """Inputs to begin with, by target."""
    recipes = [RECIPE + bytes((step * number) % 256 for number in range(90)) for step in (1, 7, 13, 29, 97)]
    tar = lzma.decompress(deb_members(b"")[1][1])
    return {
        "wheel": [RAW + wheel_with(), RAW + wheel_with(Member(b"demo_pkg/x", b"x" * 300, 0)), *recipes],
        "deb": [*(RAW + sample_deb(form) for form in ("xz", "gz", "")), *recipes],
        "tar": [RAW + tar, RAW + gzip.decompress(deb_members(tar_from(Choices(recipes[1])), "gz")[2][1]), *recipes],
    }
