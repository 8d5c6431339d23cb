"""Zip archives that are broken or made to harm, each refused with its reason."""

from __future__ import annotations

import io
import random
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from chassis.oci.layer.zip_index import ZipError, ZipIndex

_CENTRAL = b"PK\1\2"
_LOCAL = b"PK\3\4"


def _zip(fill: Callable[[zipfile.ZipFile], object] | None = None) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of duplicate names, which are meant here
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a/one.txt", b"one " * 500)
            archive.writestr("a/two.bin", random.Random(5).randbytes(2000))
            if fill:
                fill(archive)
    return buffer.getvalue()


def _read(tmp_path: Path, data: bytes) -> ZipIndex:
    path = tmp_path / "archive.zip"
    path.write_bytes(data)
    with ZipIndex(path) as index:
        return index


def _info(name: str, mode: int = 0, **fields: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def _patched(data: bytes, magic: bytes, offset: int, form: str, value: int, which: int = 0) -> bytes:
    """`data` with a field of the header number `which` of a kind overwritten."""
    position = -1
    for _ in range(which + 1):
        position = data.index(magic, position + 1)
    changed = bytearray(data)
    struct.pack_into(form, changed, position + offset, value)
    return bytes(changed)


def test_members_come_in_the_order_of_their_data_with_sizes_and_bits(tmp_path):
    data = _zip(
        lambda z: (
            z.writestr(_info("bin/tool", 0o100755), b"#!"),
            z.writestr(_info("plain", 0o100644, compress_type=zipfile.ZIP_STORED), b"xyz"),
            z.mkdir("empty"),
        )
    )
    members = _read(tmp_path, data).members
    assert [member.name for member in members] == ["a/one.txt", "a/two.bin", "bin/tool", "plain"]
    assert [member.executable for member in members] == [False, False, True, False]
    assert members[0].deflated and members[0].size == 2000 and members[0].stored_size < 100
    assert data[members[3].offset :].startswith(b"xyz")


def test_streamed_archives_with_data_descriptors_are_read(tmp_path):
    class Unseekable(io.RawIOBase):
        def __init__(self) -> None:
            self.data = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data) -> int:
            self.data += data
            return len(data)

    stream = Unseekable()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", b"a" * 1000)
        with archive.open("b", "w", force_zip64=True) as member:
            member.write(b"b" * 1000)
    members = _read(tmp_path, bytes(stream.data)).members
    assert [(member.name, member.size) for member in members] == [("a", 1000), ("b", 1000)]


_REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "absolute": (lambda: _zip(lambda z: z.writestr("/etc/passwd", b"")), "absolute"),
    "climbs": (lambda: _zip(lambda z: z.writestr("a/../../x", b"")), "climbs out"),
    "twice": (lambda: _zip(lambda z: z.writestr("a/one.txt", b"")), "twice"),
    "unicode form": (
        lambda: _zip(lambda z: (z.writestr("caf\u00e9", b""), z.writestr("cafe\u0301", b""))),
        "differ only by Unicode form",
    ),
    "newline": (lambda: _zip(lambda z: z.writestr("a\nb", b"")), "control character"),
    "backslash": (lambda: _zip(lambda z: z.writestr("a\\b", b"")), "backslash"),
    "empty component": (lambda: _zip(lambda z: z.writestr("a//b", b"")), "empty or"),
    "deep": (lambda: _zip(lambda z: z.writestr("d/" * 101 + "f", b"")), "directories deep"),
    "symlink": (lambda: _zip(lambda z: z.writestr(_info("l", 0o120777), b"/etc/passwd")), "marked as a link"),
    "device": (lambda: _zip(lambda z: z.writestr(_info("l", 0o020666), b"")), "marked as a link, a device"),
    "bzip2": (
        lambda: _zip(lambda z: z.writestr(_info("b", compress_type=zipfile.ZIP_BZIP2), b"x")),
        "compression method 12",
    ),
    "encrypted": (
        lambda: _patched(_patched(_zip(), _CENTRAL, 8, "<H", 1), _LOCAL, 6, "<H", 1),
        "encrypted",
    ),
    "nul": (
        lambda: _zip(lambda z: z.writestr("nulX.py", b"")).replace(b"nulX.py", b"nul\0.py"),
        "holds a NUL",
    ),
    "local name": (lambda: _zip().replace(b"a/one.txt", b"b/one.txt", 1), "in its local header"),
    "local size": (lambda: _patched(_zip(), _LOCAL, 22, "<L", 7), "in its local header"),
    "local crc": (lambda: _patched(_zip(), _LOCAL, 14, "<L", 7), "in its local header"),
    "local method": (lambda: _patched(_zip(), _LOCAL, 8, "<H", 0), "in its local header"),
    "overlap": (lambda: _patched(_zip(), _CENTRAL, 42, "<L", 0, which=1), "overlaps"),
    "stored size reaches on": (
        lambda: _patched(_patched(_zip(), _CENTRAL, 20, "<L", 500), _LOCAL, 18, "<L", 500),
        "overlaps the one after",
    ),
    "bytes before": (lambda: b"#!/bin/sh\n" + _zip(), "belong to no member"),
    "bytes after": (lambda: _zip() + b"tail", "end record|no whole zip"),
    "count": (lambda: _patched(_zip(), b"PK\5\6", 10, "<H", 5), "states 5"),
    "no zip": (lambda: b"PK but no more", "not a whole zip"),
    "empty": (lambda: b"", "not a whole zip"),
    "bomb": (
        lambda: _patched(_patched(_zip(), _CENTRAL, 24, "<L", 0xF0000000), _LOCAL, 22, "<L", 0xF0000000),
        "bomb",
    ),
}


@pytest.mark.parametrize("case", _REFUSED)
def test_bad_archives_are_refused(tmp_path, case):
    make, message = _REFUSED[case]
    with pytest.raises(ZipError, match=message):
        _read(tmp_path, make())


def test_a_hidden_member_between_two_is_refused(tmp_path):
    data = _zip(lambda z: z.writestr("hidden", b"hidden"))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        start = archive.start_dir
    first = data.index(_CENTRAL, start)
    second = data.index(_CENTRAL, first + 1)
    third = data.index(_CENTRAL, second + 1)
    end = data.index(b"PK\5\6")
    directory = data[first:second] + data[third:end]
    record = bytearray(data[end:])
    struct.pack_into("<HHL", record, 8, 2, 2, len(directory))
    with pytest.raises(ZipError, match="belong to no member before 'hidden'"):
        _read(tmp_path, data[:start] + directory + bytes(record))


def test_truncation_anywhere_is_refused(tmp_path):
    data = _zip()
    for length in range(0, len(data), 7):
        with pytest.raises(ZipError):
            _read(tmp_path, data[:length])
    with pytest.raises(ZipError):
        _read(tmp_path, data[:-1])


def test_random_damage_never_ends_otherwise_than_read_or_refused(tmp_path):
    data = _zip()
    rng = random.Random(11)
    for _ in range(500):
        damaged = bytearray(data)
        for _ in range(rng.randint(1, 6)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        try:
            _read(tmp_path, bytes(damaged))
        except ZipError as error:
            assert str(error)
