"""The layer writer against Python's tarfile, gzip and GNU tar, in every form of compression."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import random
import resource
import subprocess
import tarfile
import tracemalloc
import zlib
from pathlib import Path

import pytest

from chassis.errors import ChassisError
from chassis.oci.descriptor import Origin
from chassis.oci.layer import toc
from chassis.oci.layer.deflate_source import ContentError, DeflateSource
from chassis.oci.layer.error import LayerError
from chassis.oci.layer.outputs import LayerOutputs, write_layer
from chassis.oci.layer.writer import COMPRESSIONS, LayerWriter

_ORIGIN = Origin("code", "test")
_LONG = "a/" + "long-directory-name/" * 9 + "file-with-a-name.py"
_UNICODE = "opt/Főtanúsítvány.crt"


def _deflated(data: bytes, level: int = 6) -> DeflateSource:
    stream = zlib.compressobj(level, zlib.DEFLATED, -15)
    raw = stream.compress(data) + stream.flush()
    return DeflateSource(io.BytesIO(raw).read, len(raw), len(data), zlib.crc32(data))


def _contents() -> dict[str, bytes]:
    rng = random.Random(7)
    return {
        "small.txt": b"hello\n",
        "empty": b"",
        "exact-block": b"x" * 512,
        _LONG: b"long name",
        _UNICODE: b"unicode name",
        "app/text": b"0123456789abcdef" * 200_000,
        "app/noise": rng.randbytes(3_500_001),
    }


def _fill(writer: LayerWriter) -> Origin:
    for name, data in _contents().items():
        writer.add_deflated("spliced/" + name, _deflated(data))
        writer.add_bytes("bytes/" + name, data, mode=0o755)
        writer.add_stream("stream/" + name, io.BytesIO(data), len(data))
        stored = DeflateSource(io.BytesIO(data).read, len(data), len(data), zlib.crc32(data), deflated=False)
        writer.add_deflated("stored/" + name, stored)
    writer.add_symlink("bytes/link", "../spliced/small.txt")
    writer.add_symlink("bytes/far", "/" + "d/" * 60 + "f")
    writer.add_hardlink("bytes/hard", "bytes/small.txt")
    writer.add_directory("tmp", 0o1777)
    return _ORIGIN


def _write(directory: Path, fill=_fill, **options) -> tuple[dict, list, bytes]:
    outputs = LayerOutputs(directory / "blob", directory / "descriptor.json", directory / "files.json")
    write_layer(outputs, fill, **options)
    return (
        json.loads(outputs.descriptor.read_bytes()),
        json.loads(outputs.files.read_bytes()),
        outputs.blob.read_bytes(),
    )


def _plain(blob: bytes, compression: str) -> bytes:
    if compression == "zstd":
        import zstandard

        return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(blob)).read()
    return blob if compression == "none" else gzip.decompress(blob)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_every_form_inflates_to_its_diff_id_and_holds_what_was_added(tmp_path, compression):
    if compression == "zstd":
        pytest.importorskip("zstandard", reason="only this form of compression needs the package")
    descriptor, files, blob = _write(tmp_path, compression=compression)
    tar = _plain(blob, compression)
    assert descriptor["digest"] == "sha256:" + hashlib.sha256(blob).hexdigest()
    assert descriptor["size"] == len(blob)
    assert descriptor["diff_id"] == "sha256:" + hashlib.sha256(tar).hexdigest()
    assert descriptor["uncompressed_size"] == len(tar)
    listed = {file["path"]: file for file in files}
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        members = {member.name: member for member in archive if member.name != toc.NAME}
        assert list(members) == list(listed)
        for prefix in ("spliced/", "bytes/", "stream/", "stored/"):
            for name, data in _contents().items():
                assert archive.extractfile(prefix + name).read() == data
                assert listed[prefix + name]["digest"] == "sha256:" + hashlib.sha256(data).hexdigest()
                assert listed[prefix + name]["size"] == len(data)
        assert members["bytes/small.txt"].mode == listed["bytes/small.txt"]["mode"] == 0o755
        assert members["bytes/link"].linkname == listed["bytes/link"]["link"] == "../spliced/small.txt"
        assert len(members["bytes/far"].linkname) == 122
        assert members["bytes/hard"].islnk()
        assert members["tmp"].mode == 0o1777
        assert members["spliced/a"].isdir() and members["spliced/a"].mode == 0o755
        assert {(m.uid, m.gid, m.mtime, m.uname) for m in members.values()} == {(0, 0, 0, "")}


def test_gzip_and_gnu_tar_read_the_layer(tmp_path):
    _write(tmp_path)
    subprocess.run(["gzip", "-t"], stdin=(tmp_path / "blob").open("rb"), check=True)
    root = tmp_path / "root"
    root.mkdir()
    subprocess.run(["tar", "-xzf", tmp_path / "blob", "-C", root], check=True, env={"LC_ALL": "C.UTF-8", **os.environ})
    for name, data in _contents().items():
        assert (root / "spliced" / name).read_bytes() == data


@pytest.mark.parametrize("chunk_size", [0, 1 << 20, 700_001])
def test_every_toc_entry_is_found_at_its_offset(tmp_path, chunk_size):
    descriptor, _, blob = _write(tmp_path, chunk_size=chunk_size)
    assert blob[-51:-41] == bytes.fromhex("1f8b08040000000000ff")
    assert blob[-51:] == toc.footer(int(blob[-35:-19], 16))
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob[int(blob[-35:-19], 16) :]))) as archive:
        table = archive.extractfile(toc.NAME).read()
    assert descriptor["annotations"][toc.ANNOTATION_DIGEST] == "sha256:" + hashlib.sha256(table).hexdigest()
    entries = json.loads(table)["entries"]
    offsets = [entry["offset"] for entry in entries if "offset" in entry]
    assert offsets == sorted(set(offsets))
    content: dict[str, bytes] = {}
    sizes: dict[str, int] = {}
    for entry in entries:
        if entry["type"] not in ("reg", "chunk"):
            continue
        sizes[entry["name"]] = entry.get("size", sizes.get(entry["name"], 0))
        if "offset" not in entry:
            assert sizes[entry["name"]] == 0
            continue
        assert blob[entry["offset"] :].startswith(b"\x1f\x8b")
        member = zlib.decompressobj(31)
        data = member.decompress(blob[entry["offset"] :])
        assert member.eof
        # What follows a small file may share its member; its size says where it ends.
        data = data[: entry.get("chunkSize") or sizes[entry["name"]] - entry.get("chunkOffset", 0)]
        assert entry["chunkDigest"] == "sha256:" + hashlib.sha256(data).hexdigest()
        assert entry.get("chunkOffset", 0) == len(content.get(entry["name"], b""))
        content[entry["name"]] = content.get(entry["name"], b"") + data
    expected = {prefix + name: data for prefix in ("spliced/", "bytes/") for name, data in _contents().items() if data}
    assert {name: content[name] for name in expected} == expected
    chunks = [entry for entry in entries if entry["type"] == "chunk"]
    assert bool(chunks) == bool(chunk_size)


def test_same_entries_give_the_same_bytes_under_another_umask_and_zone(tmp_path, monkeypatch):
    first, second = tmp_path / "1", tmp_path / "2"
    outputs = _write(first)
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    monkeypatch.setenv("LC_ALL", "C")
    before = os.umask(0o077)
    try:
        assert _write(second) == outputs
    finally:
        os.umask(before)
    assert (second / "blob").stat().st_mode & 0o777 == 0o644


def _patterned(size: int) -> bytes:
    """Content that compresses, no two parts of it alike."""
    return b"".join(b"%08d weights and biases\n" % number for number in range(size // 28 + 1))[:size]


@pytest.mark.parametrize(("compression", "most"), [("estargz", 4 << 20), ("gzip", 4 << 20)])
def test_a_large_content_is_compressed_in_members_of_bounded_size(tmp_path, compression, most):
    content = _patterned(9_000_001)
    fill = lambda w: w.add_stream("f", io.BytesIO(content), len(content)) or _ORIGIN  # noqa: E731
    _, _, blob = _write(tmp_path, fill, compression=compression)
    sizes, rest = [], blob
    while rest:
        member = zlib.decompressobj(31)
        sizes.append(len(member.decompress(rest)))
        assert member.eof
        rest = member.unused_data
    assert sizes[1:4] == [most, most, len(content) - 2 * most]
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob))) as archive:
        assert archive.extractfile("f").read() == content


@pytest.mark.parametrize("chunk_size", [0, 300_000, 1 << 20])
def test_the_number_of_processors_makes_no_difference(tmp_path, monkeypatch, chunk_size):
    content = _patterned(9_000_001)
    blobs = []
    for count in (1, 2, 64):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, count=count: set(range(count)))
        fill = lambda w: w.add_stream("f", io.BytesIO(content), len(content)) or _ORIGIN  # noqa: E731
        blobs.append(_write(tmp_path, fill, chunk_size=chunk_size))
    assert blobs[0] == blobs[1] == blobs[2]


class _Endless(io.RawIOBase):
    """Content of any length that compresses."""

    def __init__(self) -> None:
        self._block = _patterned(1 << 20)

    def read(self, size=-1):
        return self._block[:size]


@pytest.mark.parametrize("size", [32 << 20, 160 << 20])
def test_memory_does_not_grow_with_a_content(tmp_path, monkeypatch, size):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    with LayerWriter(tmp_path / "blob") as writer:
        tracemalloc.start()
        try:
            with pytest.raises(LayerError, match="is longer than"):
                writer.add_stream("f", _Endless(), size)
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert most < 64 << 20


def test_a_large_content_that_ends_early_is_refused_and_leaves_nothing(tmp_path):
    content = _patterned(9_000_001)
    with pytest.raises(LayerError, match="ends 5 bytes early"):
        _write(tmp_path, lambda w: w.add_stream("f", io.BytesIO(content), len(content) + 5) or _ORIGIN)
    assert list(tmp_path.iterdir()) == []


def test_noise_is_stored_and_text_is_compressed(tmp_path):
    noise = random.Random(1).randbytes(2 << 20)
    _, _, blob = _write(tmp_path, lambda w: w.add_stream("noise", io.BytesIO(noise), len(noise)) or _ORIGIN)
    assert len(noise) < len(blob) < len(noise) * 1.001
    text = b"weights and biases\n" * 200_000
    _, _, blob = _write(tmp_path, lambda w: w.add_stream("text", io.BytesIO(text), len(text)) or _ORIGIN)
    assert len(blob) < len(text) / 20


_BAD_SOURCES = {
    "longer than stated": (lambda d, s: DeflateSource(s.read, s.stored_size, s.size - 1, s.crc), "more than"),
    "shorter than stated": (
        lambda d, s: DeflateSource(s.read, s.stored_size, s.size + 1, s.crc),
        "the directory states",
    ),
    "another checksum": (lambda d, s: DeflateSource(s.read, s.stored_size, s.size, s.crc ^ 1), "CRC-32"),
    "stream cut": (lambda d, s: DeflateSource(s.read, s.stored_size - 5, s.size, s.crc), "ends before"),
    "archive cut": (lambda d, s: DeflateSource(s.read, s.stored_size + 5, s.size, s.crc), "truncated"),
    "garbage": (lambda d, s: DeflateSource(io.BytesIO(b"\xff" * 99).read, 99, s.size, s.crc), "corrupt"),
}


@pytest.mark.parametrize("case", _BAD_SOURCES)
@pytest.mark.parametrize("length", [50, 5_000_000])
def test_a_source_that_lies_is_refused_and_leaves_nothing(tmp_path, case, length):
    make, message = _BAD_SOURCES[case]
    data = random.Random(3).randbytes(length)
    with pytest.raises(ContentError, match=message):
        _write(tmp_path, lambda w: w.add_deflated("f", make(data, _deflated(data))) or _ORIGIN)
    assert list(tmp_path.iterdir()) == []


def test_bytes_after_the_deflate_stream_are_refused(tmp_path):
    raw = zlib.compress(b"abc", wbits=-15) + b"tail"
    source = DeflateSource(io.BytesIO(raw).read, len(raw), 3, zlib.crc32(b"abc"))
    with pytest.raises(ContentError, match="after the end"):
        _write(tmp_path, lambda w: w.add_deflated("f", source) or _ORIGIN)


_BAD_PATHS = [
    "",
    "/etc/passwd",
    "a/../b",
    "..",
    "a//b",
    "./a",
    "a/",
    "nul\0",
    "line\nfeed",
    "\ud800",
    "n" * 256,
    "d/" * 2100 + "f",
]


@pytest.mark.parametrize("path", _BAD_PATHS, ids=lambda path: ascii(path[:20]))
def test_bad_paths_are_refused(tmp_path, path):
    with LayerWriter(tmp_path / "blob") as writer, pytest.raises(ChassisError):
        writer.add_bytes(path, b"")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", ["", "../../etc", "..", "a\nb", "x/../../../y"])
def test_links_out_of_the_image_are_refused(tmp_path, target):
    with LayerWriter(tmp_path / "blob") as writer, pytest.raises(ChassisError, match=r"lnk|target"):
        writer.add_symlink("lnk" if target != "../../etc" else "d/lnk", target)


def test_collisions_within_a_layer_are_refused(tmp_path):
    with LayerWriter(tmp_path / "blob") as writer:
        writer.add_bytes("a", b"")
        writer.add_symlink("link", "dir")
        writer.add_directory("dir")
        writer.add_directory("dir")
        for act in (
            lambda: writer.add_bytes("a", b""),
            lambda: writer.add_bytes("a/b", b""),
            lambda: writer.add_bytes("link/b", b""),
            lambda: writer.add_symlink("dir", "x"),
            lambda: writer.add_hardlink("h", "missing"),
            lambda: writer.add_bytes("stargz.index.json", b""),
            lambda: writer.add_symlink("stargz.index.json", "a"),
            lambda: writer.add_hardlink("stargz.index.json", "a"),
            lambda: writer.add_bytes("stargz.index.json/b", b""),
        ):
            with pytest.raises(LayerError):
                act()


def test_a_stream_of_another_length_is_refused(tmp_path):
    for size in (2, 4):
        with LayerWriter(tmp_path / "blob") as writer, pytest.raises(LayerError, match="while it was read"):
            writer.add_stream("f", io.BytesIO(b"abc"), size)


def test_a_full_disk_is_an_error_that_leaves_nothing(tmp_path):
    noise = random.Random(1).randbytes(1 << 20)

    def fill(writer):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
        try:
            for number in range(4):
                writer.add_bytes(str(number), noise)
            return writer.finish(_ORIGIN) and _ORIGIN
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    with pytest.raises(LayerError, match="blob: "):
        _write(tmp_path, fill)
    assert list(tmp_path.iterdir()) == []
