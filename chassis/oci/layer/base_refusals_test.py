"""Debian packages that are broken, hostile or do not fit together."""

from __future__ import annotations

import gzip
import lzma
import tarfile

import pytest

from chassis.oci.layer.deb import DebError
from chassis.oci.layer.sample_packages import NOISE, base_layer, deb, entry, tar

_BAD_ENTRIES = {
    "device": ({"./dev/x": entry(tarfile.CHRTYPE)}, "a device or a pipe"),
    "pipe": ({"./x": entry(tarfile.FIFOTYPE)}, "a device or a pipe"),
    "climbs": ({"./../x": b""}, "climbs out"),
    "absolute": ({"/x": b""}, "absolute"),
    "link out": ({"./x": entry(tarfile.SYMTYPE, link="../../etc/passwd")}, "points out of the image"),
    "twice": ({"./x": b"1", "./x/": b"2", "./y": b""}, "twice|installs too|named as a directory"),
    "file under a link": ({"./d": entry(tarfile.SYMTYPE, link="/etc"), "./d/x": b""}, "is not a directory"),
    "hard link to nothing": ({"./x": entry(tarfile.LNKTYPE, link="./y")}, "not a file added before"),
    "newline": ({"./a\nb": b""}, "control character"),
    "sparse": ({"./x": entry(tarfile.GNUTYPE_SPARSE)}, "unknown type b'S'"),
}


@pytest.mark.parametrize("case", _BAD_ENTRIES)
def test_bad_entries_are_refused_by_package(tmp_path, case):
    entries, message = _BAD_ENTRIES[case]
    package = deb(tmp_path, "bad", entries)
    with pytest.raises(DebError, match=message) as caught:
        base_layer(tmp_path / "out", [package])
    assert package.name in str(caught.value)
    assert list((tmp_path / "out").iterdir()) == []


def test_packages_that_do_not_fit_together_are_refused(tmp_path):
    first = deb(tmp_path, "first", {"./etc/x": b"1"})
    second = deb(tmp_path, "second", {"./etc/x": b"2"})
    with pytest.raises(DebError, match=r"second_.*installs /etc/x, which first installs too"):
        base_layer(tmp_path / "1", [first, second])
    other = deb(tmp_path, "other", {}, architecture="arm64")
    with pytest.raises(DebError, match=r"other_.*is built for arm64, but the base is for amd64"):
        base_layer(tmp_path / "2", [other])
    with pytest.raises(DebError, match="there twice"):
        base_layer(tmp_path / "3", [first, first])
    base_layer(tmp_path / "4", [deb(tmp_path, "any", {}, architecture="all")])


_BAD_MEMBERS: dict[str, tuple[dict[str, bytes], str]] = {
    "format": ({"debian-binary": b"3.0\n"}, "format 2"),
    "no tar": ({"data.tar.xz": lzma.compress(b"x" * 700)}, "checksum is wrong|octal"),
    "no xz": ({"data.tar.xz": b"not xz at all"}, "corrupt xz"),
    "cut xz": ({"data.tar.xz": lzma.compress(tar({"./a": NOISE}))[:-50]}, "truncated"),
    "bytes after xz": ({"data.tar.xz": lzma.compress(tar({})) + b"tail"}, "after the end|corrupt"),
    "cut tar": ({"data.tar.xz": lzma.compress(tar({"./a": NOISE})[:5000])}, "ends in the middle"),
    "two data": ({"data.tar.gz": gzip.compress(tar({}))}, "has the members"),
    "unknown form": ({"extra": b""}, "has the members"),
}


@pytest.mark.parametrize("case", _BAD_MEMBERS)
def test_broken_packages_are_refused(tmp_path, case):
    members, message = _BAD_MEMBERS[case]
    package = deb(tmp_path, "bad", {"./a": b"a"}, **members)
    with pytest.raises(DebError, match=message) as caught:
        base_layer(tmp_path / "out", [package])
    assert package.name in str(caught.value)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_tar_header_with_a_wrong_checksum_is_refused(tmp_path):
    content = bytearray(tar({"./a": b"a", "./b": b"b"}))
    content[1024 + 3] ^= 1
    package = deb(tmp_path, "bad", {}, **{"data.tar.xz": lzma.compress(bytes(content))})
    with pytest.raises(DebError, match="checksum is wrong"):
        base_layer(tmp_path / "out", [package])


def test_truncation_anywhere_is_refused(tmp_path):
    package = deb(tmp_path, "cut", {"./a": b"a" * 2000})
    data = package.read_bytes()
    for length in range(0, len(data) - 2, 37):
        package.write_bytes(data[:length])
        with pytest.raises(DebError):
            base_layer(tmp_path / "out", [package])
    assert list((tmp_path / "out").iterdir()) == []
