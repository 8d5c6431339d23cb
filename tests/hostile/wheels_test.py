"""Hostile and broken wheels: each is refused by its file's name and its defect, and leaves nothing behind."""

from __future__ import annotations

import struct
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from chassis.oci.layer.outputs import LayerOutputs, write_layer
from chassis.oci.layer.wheel import add_wheel
from chassis.oci.layer.wheel_source import WheelError
from chassis.oci.layer.writer import COMPRESSIONS
from tests.hostile.samples import STORED, WHEEL_NAME, Member, wheel_members, wheel_with, zip_archive

_TABLE = b"demo_pkg/data/table.bin"
_UTF8 = 0x800
_CRC, _STORED_SIZE, _SIZE = 6, 7, 8
_FULL = 0xFFFFFFFF


def _layer(folder: Path, wheel: bytes, **options: object) -> tuple[LayerOutputs, list]:
    path = folder / WHEEL_NAME
    path.write_bytes(wheel)
    outputs = LayerOutputs(folder / "out" / "blob", folder / "out" / "descriptor", folder / "out" / "files")
    listed: list = []

    def fill(writer):
        origin = add_wheel(writer, path, "opt/venv", "3.11")
        listed.extend(writer.finish(origin).files)
        return origin

    write_layer(outputs, fill, **options)  # type: ignore[arg-type]
    return outputs, listed


def _refused(folder: Path, wheel: bytes, defect: str, **options: object) -> None:
    with pytest.raises(WheelError, match=defect) as caught:
        _layer(folder, wheel, **options)
    assert str(caught.value).startswith(f"{WHEEL_NAME}: ")
    assert list((folder / "out").iterdir()) == []
    assert {path.name for path in folder.iterdir()} == {WHEEL_NAME, "out"}


def _zip64(*numbers: int) -> bytes:
    values = struct.pack(f"<{len(numbers)}Q", *numbers)
    return struct.pack("<HH", 1, len(values)) + values


_NAMES = {
    "absolute": ([b"/etc/passwd"], "'/etc/passwd' is absolute"),
    "climbs": ([b"demo_pkg/../../../etc/passwd"], "climbs out"),
    "whiteout": ([b"demo_pkg/.wh.x"], "would delete files of the layers below"),
    "whiteout among data": ([b"demo_pkg-1.2.data/data/.wh..wh..opq"], "would delete files of the layers below"),
    "climbs at once": ([b"../x"], "climbs out"),
    "current directory": ([b"./demo_pkg/x"], "empty or `.` component"),
    "empty component": ([b"demo_pkg//x"], "empty or `.` component"),
    "repeats": ([b"demo_pkg/x", b"demo_pkg/x"], "'demo_pkg/x' is there twice"),
    "Unicode form": (
        [unicodedata.normalize(form, "demo_pkg/é").encode() for form in ("NFC", "NFD")],
        "differ only by Unicode form",
    ),
    "Unicode compatibility": (["demo_pkg/\ufb01".encode(), b"demo_pkg/fi"], "Unicode form"),
    "NUL": ([b"demo_pkg/x\0.py"], "NUL"),
    "newline": ([b"demo_pkg/x\ny"], "control character"),
    "escape": ([b"demo_pkg/\x1b[2J"], "control character"),
    "backslash": ([b"demo_pkg\\x"], "backslash"),
    "no UTF-8": ([b"demo_pkg/\xff\xfe"], "not a whole zip archive"),
    "long": ([b"demo_pkg/" + b"n" * 256], "longer than Linux takes"),
    "deep": ([b"d/" * 101 + b"x"], "101 directories deep"),
    "file and directory": ([b"demo_pkg/x", b"demo_pkg/x/y"], "not a directory but a file"),
    "nothing": ([b""], "empty name"),
}


@pytest.mark.parametrize("case", _NAMES)
def test_names_are_refused(tmp_path: Path, case: str) -> None:
    names, defect = _NAMES[case]
    _refused(tmp_path, wheel_with(*(Member(name, b"x", flags=_UTF8) for name in names)), defect)


_KINDS = {
    "link": 0o120777,
    "character device": 0o020666,
    "block device": 0o060666,
    "pipe": 0o010666,
    "socket": 0o140666,
}


@pytest.mark.parametrize("kind", _KINDS)
def test_links_and_devices_are_refused(tmp_path: Path, kind: str) -> None:
    wheel = wheel_with(Member(b"demo_pkg/x", b"/etc/passwd", STORED, mode=_KINDS[kind]))
    _refused(tmp_path, wheel, "'demo_pkg/x' is marked as a link, a device or another kind")


def test_set_user_id_is_not_taken(tmp_path: Path) -> None:
    _, files = _layer(tmp_path, wheel_with(name=_TABLE, mode=0o106777))
    assert {file.mode for file in files if file.path.endswith("table.bin")} == {0o755}


_LIES: dict[str, tuple[Callable[[], bytes], str]] = {
    "size too small": (lambda: wheel_with(name=_TABLE, size=5), "inflates to more than the 5 bytes"),
    "size too large": (
        lambda: wheel_with(name=_TABLE, size=9999),
        "inflates to 5120 bytes, the directory states 9999",
    ),
    "size of a stored member": (lambda: wheel_with(name=_TABLE, method=STORED, size=9), "states 9"),
    "checksum": (lambda: wheel_with(name=_TABLE, crc=1), "has CRC-32 [0-9a-f]{8}, the directory states 00000001"),
    "stored size too small": (lambda: wheel_with(name=_TABLE, stored_size=20), "belong to no member|data descriptor"),
    "stored size too large": (lambda: wheel_with(name=_TABLE, stored_size=10**6), "overlaps the one after it"),
    "stored size beyond the file": (lambda: wheel_with(name=_TABLE, stored_size=1 << 30), "overlaps the one after it"),
    "size in the local header": (lambda: wheel_with(name=_TABLE, local={_SIZE: 1}), "in its local header"),
    "checksum in the local header": (lambda: wheel_with(name=_TABLE, local={_CRC: 1}), "in its local header"),
    "stored size in the local header": (
        lambda: wheel_with(name=_TABLE, local={_STORED_SIZE: 1}),
        "in its local header",
    ),
    "method in the local header": (lambda: wheel_with(name=_TABLE, local={3: STORED}), "in its local header"),
    "no local header": (lambda: wheel_with(name=_TABLE, local={0: b"PK\1\2"}), "has no local header"),
    "name's length in the local header": (lambda: wheel_with(name=_TABLE, local={9: 9}), "in its local header"),
    "corrupt data": (lambda: wheel_with(name=_TABLE, raw=b"\xff" * 60), "holds corrupt deflate data"),
    "data without an end": (
        lambda: wheel_with(name=_TABLE, raw=b"\0\5\0\xfa\xffhello", size=5),
        "before its deflate stream",
    ),
    "bytes after the data": (
        lambda: wheel_with(name=_TABLE, raw=Member(_TABLE, b"x").stored() + b"hidden", data=b"x"),
        "bytes after the end of its deflate stream",
    ),
    "RECORD": (
        lambda: wheel_with(name=_TABLE, data=b"other"),
        "'demo_pkg/data/table.bin' differs from its SHA-256 in RECORD",
    ),
    "count": (lambda: zip_archive(wheel_members(), count=3), "has 9 members, its end record states 3"),
    "comment that is an end record": (
        lambda: zip_archive(wheel_members(), b"PK\5\6" + bytes(18)),
        "belong to no member|end record",
    ),
    "bytes before": (lambda: b"MZ" + wheel_with(), "belong to no member"),
    "bytes after": (lambda: wheel_with() + b"x", "end record|not a whole zip"),
}


@pytest.mark.parametrize("case", _LIES)
def test_headers_that_lie_are_refused(tmp_path: Path, case: str) -> None:
    make, defect = _LIES[case]
    _refused(tmp_path, make(), defect)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_every_form_of_layer_checks_the_content(tmp_path: Path, compression: str) -> None:
    _refused(tmp_path, wheel_with(name=_TABLE, crc=1), "CRC-32", compression=compression)


_UNREADABLE = {
    "encrypted": (Member(b"x", b"x", flags=1), "encrypted"),
    "strongly encrypted": (Member(b"x", b"x", flags=0x41), "encrypted"),
    "encrypted directory": (Member(b"x", b"x", flags=0x2000), "encrypted"),
    "patch": (Member(b"x", b"x", flags=0x20), "encrypted or patched|not a whole zip"),
    "shrunk": (Member(b"x", b"x", method=1), "compression method 1;"),
    "deflate64": (Member(b"x", b"x", method=9), "compression method 9;"),
    "bzip2": (Member(b"x", b"x", method=12), "compression method 12;"),
    "zstd": (Member(b"x", b"x", method=93), "compression method 93;"),
    "AES": (Member(b"x", b"x", method=99), "compression method 99;"),
    "zip64 without its field": (Member(b"x", b"x", size=_FULL), "a decompression bomb"),
    "zip64 that is cut": (
        Member(b"x", b"x", size=_FULL, extra=b"\1\0\x08\0abc"),
        "not a whole zip|local header",
    ),
    "zip64 in the directory only": (Member(b"x", b"x", size=_FULL, extra=_zip64(1)), "in its local header"),
    "zip64 in the local header only": (
        Member(b"x", b"x", local={_SIZE: _FULL, _STORED_SIZE: _FULL, 10: 20}, local_extra=_zip64(1, 99)),
        "in its local header",
    ),
    "zip64 that contradicts": (
        Member(b"x", b"x", size=_FULL, extra=_zip64(1), local={10: 12}, local_extra=_zip64(2)),
        "in its local header",
    ),
    "directory with content": (Member(b"x/", b"more than nothing", mode=0o040755), "directory 'x/' has content"),
}


@pytest.mark.parametrize("case", _UNREADABLE)
def test_members_that_cannot_be_read_in_one_way_are_refused(tmp_path: Path, case: str) -> None:
    member, defect = _UNREADABLE[case]
    _refused(tmp_path, wheel_with(member), defect)


def test_members_that_share_their_data_are_refused(tmp_path: Path) -> None:
    wheel = bytearray(wheel_with(Member(b"demo_pkg/a", b"x" * 50), Member(b"demo_pkg/b", b"y" * 50)))
    last = wheel.rindex(b"PK\1\2", 0, wheel.rindex(b"demo_pkg/b"))
    first = wheel.rindex(b"PK\1\2", 0, wheel.rindex(b"demo_pkg/a"))
    wheel[last + 42 : last + 46] = wheel[first + 42 : first + 46]
    _refused(tmp_path, bytes(wheel), "overlaps|belong to no member")


def test_a_bomb_by_ratio_is_refused_before_it_is_inflated(tmp_path: Path) -> None:
    _refused(tmp_path, wheel_with(Member(b"bomb", b"0" * 5000, size=3 << 30)), "a decompression bomb")


def test_a_bomb_by_count_is_refused(tmp_path: Path) -> None:
    members = [Member(b"%06d" % number, method=STORED) for number in range(200_001)]
    _refused(tmp_path, zip_archive(members, count=len(members) & 0xFFFF), "has 200001 members; at most 200000")


def _boundaries(wheel: bytes) -> list[int]:
    """Where a header, a name, a content or a record of the archive begins or ends, and a byte to either side."""
    found = {0, len(wheel) - 1}
    for magic, size, name in ((b"PK\3\4", 30, 26), (b"PK\1\2", 46, 28), (b"PK\5\6", 22, None)):
        start = wheel.find(magic)
        while start >= 0:
            found |= {start, start + len(magic), start + size}
            if name is not None:
                found.add(start + size + int.from_bytes(wheel[start + name : start + name + 2], "little"))
            start = wheel.find(magic, start + 1)
    every = {position + step for position in found for step in (-1, 0, 1)}
    return sorted(position for position in every if 0 <= position < len(wheel))


def test_truncation_at_every_boundary_is_refused(tmp_path: Path) -> None:
    wheel = wheel_with()
    boundaries = _boundaries(wheel)
    assert len(boundaries) > 100
    for position in boundaries:
        _refused(tmp_path, wheel[:position], "not a whole zip archive|end record|belong to no member")


def test_the_wheel_that_all_these_are_made_of_is_taken(tmp_path: Path) -> None:
    outputs, files = _layer(tmp_path, wheel_with())
    assert len(files) > 12
    assert outputs.blob.stat().st_size > 1000
