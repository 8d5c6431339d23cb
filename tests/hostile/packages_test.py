"""Hostile and broken Debian packages: each is refused by its file's name and its defect, and leaves nothing behind."""

from __future__ import annotations

import gzip
import io
import lzma
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from chassis.oci.layer.deb import DebError
from chassis.oci.layer.debian_base import BaseOptions, add_base
from chassis.oci.layer.decompression import Decompressed, DecompressionError
from chassis.oci.layer.outputs import LayerOutputs, write_layer
from tests.hostile.samples import (
    CONTROL,
    DEB_NAME,
    TAR_END,
    ar_archive,
    ar_member,
    base256_size,
    deb,
    deb_members,
    pax_entry,
    pax_record,
    sample_deb,
    tar_archive,
    tar_entry,
    tar_header,
)


def _layer(folder: Path, package: bytes) -> dict[str, int]:
    """The modes of what the package's layer holds."""
    path = folder / DEB_NAME
    path.write_bytes(package)
    outputs = LayerOutputs(folder / "out" / "blob", folder / "out" / "descriptor", folder / "out" / "files")
    modes: dict[str, int] = {}

    def fill(writer):
        origin = add_base(writer, [path], BaseOptions("amd64", keep_docs=True))
        modes.update({file.path: file.mode for file in writer.finish(origin).files})
        return origin

    write_layer(outputs, fill)
    return modes


def _refused(folder: Path, package: bytes, defect: str) -> None:
    with pytest.raises(DebError, match=defect) as caught:
        _layer(folder, package)
    assert str(caught.value).startswith(f"{DEB_NAME}: ")
    assert list((folder / "out").iterdir()) == []
    assert {path.name for path in folder.iterdir()} == {DEB_NAME, "out"}


_ENTRIES: dict[str, tuple[list[bytes], str]] = {
    "absolute": ([tar_entry(b"/etc/passwd", b"x")], "'/etc/passwd' is absolute"),
    "absolute in PAX": ([pax_entry(b"x", b"x", path=b"/etc/passwd")], "'/etc/passwd' is absolute"),
    "climbs": ([tar_entry(b"./a/../../x")], "climbs out"),
    "climbs below usr": ([tar_entry(b"./lib/../../x")], "climbs out"),
    "empty component": ([tar_entry(b"./a//x")], "empty or `.` component"),
    "repeats": ([tar_entry(b"./a", b"1"), tar_entry(b"./a", b"2")], "installs /a, which demo installs too"),
    "repeats through usr": ([tar_entry(b"./bin/a"), tar_entry(b"./usr/bin/a")], "installs /usr/bin/a, which demo"),
    "Unicode form": (
        [tar_entry(unicodedata.normalize(form, "./a/é").encode()) for form in ("NFC", "NFD")],
        "differ only by Unicode form",
    ),
    "Unicode form of a directory": (
        [tar_entry(unicodedata.normalize(form, "./é/").encode() + form.encode()) for form in ("NFC", "NFD")],
        "differ only by Unicode form",
    ),
    "newline": ([tar_entry(b"./a\nb")], "control character"),
    "NUL in PAX": ([pax_entry(b"x", path=b"a\0b")], "NUL"),
    "no UTF-8": ([tar_entry(b"./\xff\xfe")], "not valid UTF-8"),
    "long": ([pax_entry(b"x", path=b"n" * 256)], "longer than Linux takes"),
    "deep": ([pax_entry(b"x", path=b"d/" * 102 + b"x")], "directories deep; at most 100"),
    "link that climbs": ([tar_entry(b"./a/b", kind=b"2", link=b"../../etc")], "points out of the image"),
    "link to nothing": ([tar_entry(b"./a", kind=b"2")], "empty target"),
    "link with a newline": ([tar_entry(b"./a", kind=b"2", link=b"b\nc")], "control character"),
    "file through a link": (
        [tar_entry(b"./a", kind=b"2", link=b"/etc"), tar_entry(b"./a/x", b"x")],
        "'a/x' lies under 'a', which is not a directory but a symlink",
    ),
    "hard link that climbs": (
        [tar_entry(b"./a", kind=b"1", link=b"../../etc/passwd")],
        "is not a file added before it",
    ),
    "hard link to the machine": ([tar_entry(b"./a", kind=b"1", link=b"/etc/passwd")], "is not a file added before it"),
    "hard link to a link": (
        [tar_entry(b"./a", kind=b"2", link=b"b"), tar_entry(b"./c", kind=b"1", link=b"./a")],
        "is not a file added before it",
    ),
    "hard link to itself": ([tar_entry(b"./a", kind=b"1", link=b"./a")], "is not a file added before it"),
    "character device": ([tar_entry(b"./dev/x", kind=b"3")], "holds /dev/x, a device or a pipe"),
    "block device": ([tar_entry(b"./dev/x", kind=b"4")], "holds /dev/x, a device or a pipe"),
    "pipe": ([tar_entry(b"./x", kind=b"6")], "holds /x, a device or a pipe"),
    "file named as a directory": ([tar_entry(b"./a/")], "'./a/' is named as a directory and is a file"),
    "directory by one name": (
        [tar_entry(b"pax", pax_record(b"path", b"a/"), b"x"), tar_entry(b"./a", kind=b"\0")],
        "'a/' is a directory by one of its two names alone",
    ),
    "long name without an end": (
        [tar_header(b"long", b"L", 1) + b"o" + b"pt".ljust(511, b"\0"), tar_entry(b"./a")],
        "a long name goes on after its end: b'o'",
    ),
    "whiteout": ([tar_entry(b"./usr/bin/.wh.env")], "would delete files of the layers below"),
    "whiteout of a directory": ([tar_entry(b"./.wh.etc/x")], "would delete files of the layers below"),
    "root that is a link": ([tar_entry(b".", kind=b"2", link=b"/etc")], "'.', the root, is not a directory"),
    "root that is another file": (
        [tar_entry(b"./a", b"x"), tar_entry(b"./", kind=b"1", link=b"./a")],
        "'./', the root, is not a directory",
    ),
    "table of contents that is a link": (
        [tar_entry(b"./stargz.index.json", kind=b"2", link=b"a")],
        "'stargz.index.json' is the name of eStargz's own table of contents",
    ),
    "GNU sparse": ([tar_entry(b"./x", kind=b"S")], "unknown type b'S'"),
    "PAX sparse": ([pax_entry(b"./x", GNU__sparse__major=b"1")], "sparse file"),
    "old PAX sparse": ([pax_entry(b"./x", GNU__sparse__map=b"0,1")], "sparse file"),
    "volume": ([tar_entry(b"./x", kind=b"V")], "unknown type b'V'"),
    "continuation": ([tar_entry(b"./x", kind=b"M")], "unknown type b'M'"),
    "checksum": ([tar_header(b"./x", checksum=1)], "a header's checksum is wrong"),
    "checksum that is not a number": ([tar_header(b"./x")[:148] + b"nonsense" + bytes(356)], "not an octal number"),
    "size beyond the archive": ([tar_header(b"./x", size=1 << 30)], "ends in the middle of a file"),
    "size that is negative": ([base256_size(b"./x", -1)], "impossible size -1"),
    "size of exabytes": ([base256_size(b"./x", 1 << 62)], "impossible size"),
    "size in PAX that lies": ([pax_entry(b"./x", b"x", size=b"99999")], "ends in the middle of a file"),
    "size in PAX that is not a number": ([pax_entry(b"./x", b"x", size=b"many")], "is not a number"),
    "PAX that is not a record": ([tar_entry(b"pax", b"nonsense", b"x"), tar_entry(b"./x")], "damaged pax record"),
    "PAX with a wrong length": ([tar_entry(b"pax", b"99 path=x\n", b"x"), tar_entry(b"./x")], "damaged pax record"),
    "PAX that is huge": ([tar_header(b"pax", b"x", size=1 << 29)], "extension header of 536870912 bytes"),
    "PAX without a file": ([tar_entry(b"pax", b"9 path=x\n", b"x")], "belongs to no file"),
    "long name without a file": ([tar_entry(b"././@LongLink", b"n" * 200, b"L")], "belongs to no file"),
    "content of a directory": ([tar_entry(b"./a/", b"x")], "'./a/' is named as a directory and is a file"),
    "two names": (
        [
            tar_entry(b"pax", b"9 path=x\n", b"x"),
            tar_entry(b"././@LongLink", b"./y\0", b"L"),
            tar_entry(b"./z"),
        ],
        "an empty path, or two of one file",
    ),
    "empty long name": ([tar_entry(b"././@LongLink", b"\0", b"L"), tar_entry(b"./z")], "an empty path, or two"),
    "name of all files": ([tar_entry(b"pax", b"9 path=x\n", b"g"), tar_entry(b"./z")], "sets the path of every file"),
    "size of all files": ([tar_entry(b"pax", b"9 size=3\n", b"g"), tar_entry(b"./z")], "sets the size of every file"),
    "eStargz's own file": ([tar_entry(b"./stargz.index.json", b"{}")], "eStargz's own table"),
}


@pytest.mark.parametrize("case", _ENTRIES)
def test_entries_are_refused(tmp_path: Path, case: str) -> None:
    entries, defect = _ENTRIES[case]
    _refused(tmp_path, deb(*entries), defect)


def test_set_user_id_and_wide_permissions_are_not_taken(tmp_path: Path) -> None:
    modes = _layer(tmp_path, deb(tar_entry(b"./bin/su", b"x", mode=0o6777), tar_entry(b"./a/", kind=b"5", mode=0o7777)))
    assert (modes["usr/bin/su"], modes["a"]) == (0o755, 0o755)


def test_names_that_differ_by_case_are_two_files_as_linux_has_them(tmp_path: Path) -> None:
    assert {"a/x", "a/X"} <= _layer(tmp_path, deb(tar_entry(b"./a/x", b"1"), tar_entry(b"./a/X", b"2"))).keys()


def _members(data: bytes = b"", **changes: bytes | None) -> list[tuple[bytes, bytes]]:
    """The members of a package, some of them others; None leaves one out."""
    changed = {name.encode().replace(b"_", b"."): value for name, value in changes.items()}
    members = [(name, changed.get(name, content)) for name, content in deb_members(data + TAR_END, "gz")]
    return [(name, content) for name, content in members if content is not None]


_GOOD = tar_archive({"./a": b"a" * 3000})
_CONTROL_LINES = CONTROL.splitlines(keepends=True)

_ARCHIVES: dict[str, tuple[Callable[[], bytes], str]] = {
    "no ar": (lambda: b"!<arch>x" + sample_deb()[8:], "is not an ar archive"),
    "thin ar": (lambda: b"!<thin>\n" + sample_deb()[8:], "is not an ar archive"),
    "empty": (lambda: b"", "is not an ar archive"),
    "header's end": (
        lambda: b"!<arch>\n" + ar_member(b"debian-binary", b"2.0\n", end=b"xx"),
        "damaged member header at byte 8",
    ),
    "size that is not a number": (
        lambda: b"!<arch>\n" + ar_member(b"debian-binary", b"2.0\n", size=b"4x"),
        "damaged member header",
    ),
    "negative size": (
        lambda: b"!<arch>\n" + ar_member(b"debian-binary", b"2.0\n", size=b"-4"),
        "damaged member header",
    ),
    "size beyond the end": (
        lambda: b"!<arch>\n" + ar_member(b"debian-binary", b"2.0\n", size=b"999999999"),
        "is truncated in member debian-binary",
    ),
    "size that ends early": (
        lambda: b"!<arch>\n" + ar_member(b"debian-binary", b"2.0\n") + ar_member(b"control.tar.gz", b"x" * 99, b"7"),
        "damaged member header",
    ),
    "name that is not ASCII": (lambda: ar_archive([(b"debian\xff", b"2.0\n")]), "damaged member header"),
    "other format": (
        lambda: ar_archive([(b"debian-binary", b"3.0\n"), *_members()[1:]]),
        "not a Debian package of format 2",
    ),
    "wrong order": (lambda: ar_archive(deb_members(_GOOD)[::-1]), "not a Debian package of format 2"),
    "no data": (lambda: ar_archive(_members(data_tar_gz=None)), "has the members"),
    "data twice": (lambda: ar_archive(deb_members(_GOOD) + deb_members(_GOOD)[2:]), "has the members"),
    "unknown compression": (
        lambda: ar_archive([*_members()[:2], (b"data.tar.lzo", b"x")]),
        "compressed with 'lzo'; understood are xz, gz and zst",
    ),
    "cut gzip": (
        lambda: ar_archive(_members(data_tar_gz=gzip.compress(_GOOD)[:-3])),
        "truncated: its gzip data end early",
    ),
    "gzip's checksum": (
        lambda: ar_archive(_members(data_tar_gz=_flipped(gzip.compress(_GOOD), -8))),
        "corrupt gzip data",
    ),
    "bytes after gzip": (
        lambda: ar_archive(_members(data_tar_gz=gzip.compress(_GOOD) + b"x")),
        "after the end of its gzip",
    ),
    "cut xz": (
        lambda: ar_archive([*_members()[:2], (b"data.tar.xz", lzma.compress(_GOOD)[:-9])]),
        "truncated|corrupt xz",
    ),
    "xz's checksum": (
        lambda: ar_archive([*_members()[:2], (b"data.tar.xz", _flipped(lzma.compress(_GOOD), -40))]),
        "corrupt xz data",
    ),
    "cut zstd": (lambda: ar_archive([*_members()[:2], (b"data.tar.zst", zstandard.compress(_GOOD)[:-3])]), "truncated"),
    "bytes after zstd": (
        lambda: ar_archive([*_members()[:2], (b"data.tar.zst", zstandard.compress(_GOOD) + b"x")]),
        "after the end of its zstd",
    ),
    "no control file": (
        lambda: ar_archive(_members(control_tar_gz=gzip.compress(tar_archive({"./x": b""})))),
        "has no file `control`",
    ),
    "control without a version": (lambda: _with_control(_CONTROL_LINES[0] + _CONTROL_LINES[2]), "has no field Version"),
    "package that climbs": (
        lambda: _with_control(CONTROL.replace(b"demo", b"../../etc/x")),
        "impossible package name '../../etc/x'",
    ),
    "package that is hidden": (lambda: _with_control(CONTROL.replace(b"demo", b".x")), "impossible package name"),
    "control that is not UTF-8": (lambda: _with_control(CONTROL + b"X: \xff\n"), "are not UTF-8"),
    "control that is huge": (lambda: _with_control(b"x" * (17 << 20)), "its control has 17825792 bytes"),
    "other architecture": (lambda: _with_control(CONTROL.replace(b"amd64", b"arm64")), "is built for arm64"),
}


@pytest.mark.parametrize("case", _ARCHIVES)
def test_archives_are_refused(tmp_path: Path, case: str) -> None:
    make, defect = _ARCHIVES[case]
    _refused(tmp_path, make(), defect)


def _flipped(data: bytes, position: int) -> bytes:
    changed = bytearray(data)
    changed[position] ^= 0x55
    return bytes(changed)


def _with_control(control: bytes) -> bytes:
    return ar_archive(_members(_GOOD, control_tar_gz=gzip.compress(tar_archive({"./control": control}))))


def test_a_bomb_by_ratio_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    """Zstandard (RFC 8878, section 3.1.1.2.2) needs four bytes for each 128 KiB of zeros."""
    size = 3 << 30
    start = tar_header(b"./zeros", size=size)
    frame = bytes.fromhex("28b52ffd 00 38") + (len(start) << 3).to_bytes(3, "little") + start
    zeros = ((128 << 10) << 3 | 1 << 1).to_bytes(3, "little") + b"\0"
    data = frame + zeros * (size >> 17) + b"\x0b\0\0\0"
    _refused(
        tmp_path, ar_archive([*_members()[:2], (b"data.tar.zst", data)]), "over 2147483648 bytes: a decompression bomb"
    )


def test_a_stream_that_inflates_without_end_is_given_up() -> None:
    bomb = io.BytesIO(gzip.compress(bytes(5 << 20)))
    with (
        pytest.raises(DecompressionError, match="more than 4194304 bytes: a decompression bomb"),
        Decompressed(bomb, "gz", 4 << 20) as plain,
    ):
        while plain.read(1 << 20):
            pass


def test_a_bomb_by_count_is_refused(tmp_path: Path) -> None:
    root = tar_entry(b"./", kind=b"5", mode=0o755)
    _refused(tmp_path, deb(root * 200_001, form="gz"), "has more than 200000 entries")


def _boundaries(package: bytes) -> list[int]:
    """Where the archive's magic, a member's header or its content begins or ends, and a byte to either side.

    The last member is whole without its padding.
    """
    found, position, size = {0, 8}, 8, 0
    while position < len(package):
        size = int(package[position + 48 : position + 58])
        found |= {position, position + 16, position + 58, position + 60, position + 60 + size}
        position += 60 + size + size % 2
    every = {position + step for position in found for step in (-1, 0, 1)}
    return sorted(position for position in every if 0 <= position < len(package) - size % 2)


@pytest.mark.parametrize("form", ["xz", "gz", ""])
def test_truncation_at_every_boundary_of_the_package_is_refused(tmp_path: Path, form: str) -> None:
    package = sample_deb(form)
    end_of_tar = len(package) - 1024
    for position in _boundaries(package):
        if form or position < end_of_tar:
            _refused(tmp_path, package[:position], "ar archive|damaged member|truncated|has the members|format 2")


def test_truncation_at_every_block_of_the_tar_is_refused(tmp_path: Path) -> None:
    tar = tar_entry(b"./a", b"a" * 700) + pax_entry(b"x", b"b" * 600, path=b"./b") + tar_entry(b"./c", b"c")
    for position in range(1, len(tar)):
        if position % 512 in (0, 1, 511) and position not in (512 * 3, 512 * 8):  # where a tar without its end may end
            _refused(tmp_path, ar_archive(deb_members(tar[:position])), "ends in the middle|belongs to no file")


def test_the_package_that_these_are_made_of_is_taken(tmp_path: Path) -> None:
    modes = _layer(tmp_path, sample_deb())
    assert {"usr/bin/demo", "usr/bin/again", "usr/lib/demo.so", "usr/lib/demo.so.1"} <= modes.keys()
