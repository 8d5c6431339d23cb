"""Unpacking of images: what comes out, and that nothing hostile gets out."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import random
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest
import zstandard

from chassis.errors import ChassisError
from chassis.oci.file_tree import UnpackError, remove_tree, resolve_within
from chassis.oci.layer_stream import LayerStreamError
from chassis.oci.layout_reader import LayoutError, LayoutReader
from chassis.oci.rootfs import Viewer, unpack
from chassis.oci.tar_reader import TarError

_TYPES = {
    "file": tarfile.REGTYPE,
    "dir": tarfile.DIRTYPE,
    "symlink": tarfile.SYMTYPE,
    "hardlink": tarfile.LNKTYPE,
    "fifo": tarfile.FIFOTYPE,
    "device": tarfile.CHRTYPE,
}
MIB = 1 << 20


def tar(*entries: tuple, form: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar of entries `(path, content)` for files, or `(path, type, link or mode)`."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for path, kind, *rest in entries:
            info = tarfile.TarInfo(path)
            if isinstance(kind, bytes):
                info.size, info.mode = len(kind), rest[0] if rest else 0o644
                archive.addfile(info, io.BytesIO(kind))
                continue
            info.type = _TYPES[kind]
            info.mode = 0o755
            for value in rest:
                if isinstance(value, int):
                    info.mode = value
                else:
                    info.linkname = value
            archive.addfile(info)
    return out.getvalue()


def gzip_members(data: bytes) -> bytes:
    """Gzip of many members, as eStargz layers are."""
    return b"".join(gzip.compress(data[i : i + 700]) for i in range(0, len(data), 700))


class Layout:
    """Writes an OCI layout of given layers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.blobs = path / "blobs" / "sha256"
        self.blobs.mkdir(parents=True)

    def blob(self, data: bytes, media_type: str) -> dict:
        name = hashlib.sha256(data).hexdigest()
        (self.blobs / name).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{name}", "size": len(data)}

    def write(self, tars: Sequence[bytes], compress=gzip.compress, suffix: str = "+gzip", **changes) -> LayoutReader:
        media = "application/vnd.oci.image.layer.v1.tar" + suffix
        layers = [self.blob(compress(data), media) for data in tars]
        diff_ids = [f"sha256:{hashlib.sha256(data).hexdigest()}" for data in tars]
        config = {
            "architecture": "arm64",
            "os": "linux",
            "config": {"Env": ["A=b=c"], "Entrypoint": ["/bin/x"], "User": "65532:65532"},
            "rootfs": {"type": "layers", "diff_ids": changes.get("diff_ids", diff_ids)},
        }
        manifest = {
            "schemaVersion": 2,
            "config": self.blob(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"),
            "layers": changes.get("layers", layers),
        }
        entry = self.blob(json.dumps(manifest).encode(), "application/vnd.oci.image.manifest.v1+json")
        (self.path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
        (self.path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        return LayoutReader(self.path)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "image")


def listing(root: Path) -> dict[str, str]:
    """Every path under `root` with its content, `->` and target for links, "/" for directories."""
    found = {}
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = Path(folder, name)
            key = str(path.relative_to(root))
            if path.is_symlink():
                found[key] = f"-> {path.readlink()}"
            else:
                found[key] = "/" if path.is_dir() else path.read_text()
    return found


@pytest.mark.parametrize(
    ("compress", "suffix"),
    [
        (gzip.compress, "+gzip"),
        (gzip_members, "+gzip"),
        (zstandard.compress, "+zstd"),
        (lambda data: zstandard.compress(data[:999]) + zstandard.compress(data[999:]), "+zstd"),
        (bytes, ""),
    ],
    ids=["gzip", "gzip of many members", "zstd", "zstd of two frames", "plain"],
)
def test_every_compression_unpacks_to_the_same_tree(layout: Layout, tmp_path: Path, compress, suffix: str) -> None:
    long = "/".join(["deeper"] * 40)
    data = tar(
        ("./", "dir"),
        ("a/b.txt", b"hello"),
        (f"{long}/é.txt", b"long"),
        ("link", "symlink", "a/b.txt"),
        ("hard", "hardlink", "a/b.txt"),
        ("empty", b""),
        ("big", b"x" * (3 * MIB + 17)),
        ("pipe", "fifo"),
        ("null", "device"),
    )
    root = unpack(layout.write([data], compress, suffix), tmp_path / "root")
    found = listing(root.path)
    assert found[f"{long}/é.txt"] == "long"
    assert found["link"] == "-> a/b.txt"
    assert found["empty"] == ""
    assert len(found["big"]) == 3 * MIB + 17
    assert (root.path / "hard").stat().st_ino == (root.path / "a/b.txt").stat().st_ino
    assert "pipe" not in found
    assert "null" not in found
    assert root.config.environment == {"A": "b=c"}


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_tar_format_is_read(layout: Layout, tmp_path: Path, form: int) -> None:
    name = "/".join(["x" * 90, "y" * 90]) if form == tarfile.USTAR_FORMAT else "z/" + "x" * 200
    unpack(layout.write([tar((name, b"1"), form=form)]), tmp_path / "root")
    assert (tmp_path / "root" / name).read_bytes() == b"1"


def test_whiteouts_hide_lower_layers_only(layout: Layout, tmp_path: Path) -> None:
    lower = tar(("a/one", b"1"), ("a/two", b"2"), ("b/one", b"1"), ("b/sub/x", b"x"), ("c", b"c"), ("d/x", b"x"))
    upper = tar(
        ("a/.wh.one", b""),
        ("b/new", b"n"),
        ("b/.wh..wh..opq", b""),
        ("b/newer", b"n"),
        ("c", b"C"),
        (".wh.c", b""),
        (".wh.d", b""),
        (".wh.never-there", b""),
    )
    unpack(layout.write([lower, upper]), tmp_path / "root")
    assert listing(tmp_path / "root") == {
        "a": "/", "a/two": "2", "b": "/", "b/new": "n", "b/newer": "n", "c": "C",
    }  # fmt: skip


def test_upper_layers_replace_what_lower_layers_have(layout: Layout, tmp_path: Path) -> None:
    lower = tar(("a", b"file"), ("b/in", b"dir"), ("c", "symlink", "a"), ("d", b"old"), ("usr/lib", "dir"))
    upper = tar(("a/in", b"now a dir"), ("b", b"now a file"), ("c", b"now a file"), ("d", "symlink", "b"))
    unpack(layout.write([lower, upper]), tmp_path / "root")
    assert listing(tmp_path / "root") == {
        "a": "/",
        "a/in": "now a dir",
        "b": "now a file",
        "c": "now a file",
        "d": "-> b",
        "usr": "/",
        "usr/lib": "/",
    }


def test_files_below_a_merged_directory_go_where_its_link_leads_within_the_root(layout: Layout, tmp_path: Path) -> None:
    base = tar(("usr/lib", "dir"), ("lib", "symlink", "usr/lib"), ("abs", "symlink", "/usr/lib"))
    unpack(layout.write([base, tar(("lib/x.so", b"1"), ("abs/y.so", b"2"))]), tmp_path / "root")
    assert (tmp_path / "root/usr/lib/x.so").read_bytes() == b"1"
    assert (tmp_path / "root/usr/lib/y.so").read_bytes() == b"2"


def test_a_link_to_the_machine_leads_into_the_root_instead(layout: Layout, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    data = tar(
        ("abs", "symlink", str(outside)),
        ("abs/absolute", b"!"),
        ("rel", "symlink", "../../../../../.." + str(outside)),
        ("rel/relative", b"!"),
        ("loop", "symlink", "abs"),
        ("loop/chained", b"!"),
        ("/leading/slash", b"!"),
    )
    unpack(layout.write([data]), tmp_path / "root")
    assert list(outside.iterdir()) == []
    inside = tmp_path / "root" / str(outside)[1:]
    assert sorted(path.name for path in inside.iterdir()) == ["absolute", "chained", "relative"]
    assert (tmp_path / "root/leading/slash").exists()


def test_a_file_over_a_link_replaces_the_link_and_not_what_it_names(layout: Layout, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("safe")
    unpack(layout.write([tar(("x", "symlink", str(victim)), ("x", b"evil"))]), tmp_path / "root")
    assert victim.read_text() == "safe"
    assert (tmp_path / "root/x").read_text() == "evil"


@pytest.mark.parametrize(
    ("entries", "word"),
    [
        ([("../evil", b"!")], r"climbs"),
        ([("a/../../evil", b"!")], r"climbs"),
        ([("hard", "hardlink", "../../etc/passwd")], r"climbs"),
        ([("hard", "hardlink", "/etc/passwd")], r"not a file of the image"),
        ([("out", "symlink", "/etc"), ("hard", "hardlink", "out/passwd")], r"not a file of the image"),
        ([("l", "symlink", "/etc/passwd"), ("hard", "hardlink", "l")], r"not a file of the image"),
        ([("a", "symlink", "b"), ("b", "symlink", "a"), ("a/x", b"!")], r"symbolic links"),
        ([("a", "symlink", "a/a"), ("a/x", b"!")], r"symbolic links"),
        ([("d", "dir"), ("hard", "hardlink", "d")], r"not a file of the image"),
        ([("x/.wh.", b"")], r"whiteout"),
        ([("x/.wh...", b"")], r"whiteout"),
        ([("n" * 300, b"")], r"cannot be unpacked"),
        ([("/".join("d" * 300) + "/f", b"")], r"nested"),
        (
            [
                ("/".join("d" * 200), "dir"),
                ("l", "symlink", "/".join("d" * 200)),
                ("l/" + "/".join("e" * 99), b""),
            ],
            r"nested",
        ),
    ],
)
def test_hostile_entries_are_refused_and_leave_nothing(
    layout: Layout, tmp_path: Path, entries: list, word: str
) -> None:
    with pytest.raises(UnpackError, match=word):
        unpack(layout.write([tar(*entries)]), tmp_path / "root")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["image"]


def test_modes_lose_setuid_and_survive_unwritable_directories(layout: Layout, tmp_path: Path) -> None:
    data = tar(("s", b"", 0o6755), ("ro", "dir", 0o555), ("ro/f", b"", 0o400), ("t", "dir", 0o1777))
    unpack(layout.write([data]), tmp_path / "root")
    modes = {name: (tmp_path / "root" / name).stat().st_mode & 0o7777 for name in ("s", "ro", "ro/f", "t")}
    assert modes == {"s": 0o755, "ro": 0o555, "ro/f": 0o400, "t": 0o1777}
    remove_tree(tmp_path / "root")
    assert not (tmp_path / "root").exists()


def test_a_viewer_gets_the_permissions_that_it_has(layout: Layout, tmp_path: Path) -> None:
    data = tar(("secret", b"", 0o600), ("shared", b"", 0o644), ("run", b"", 0o755))
    unpack(layout.write([data]), tmp_path / "root", viewer=Viewer(65532, 65532))
    modes = {name: (tmp_path / "root" / name).stat().st_mode & 0o777 for name in ("secret", "shared", "run")}
    assert modes == {"secret": 0, "shared": 0o444, "run": 0o555}


def test_estargz_files_are_left_out(layout: Layout, tmp_path: Path) -> None:
    unpack(
        layout.write([tar(("stargz.index.json", b"{}"), (".no.prefetch.landmark", b"\xf0"), ("f", b""))]),
        tmp_path / "root",
    )
    assert listing(tmp_path / "root") == {"f": ""}


def test_a_changed_blob_is_named_by_both_digests(layout: Layout, tmp_path: Path) -> None:
    reader = layout.write([tar(("f", b"1"))], bytes, "")
    blob = next(path for path in layout.blobs.iterdir() if path.stat().st_size >= 10240)
    blob.write_bytes(tar(("f", b"2")))
    with pytest.raises(ChassisError, match=f"layer sha256:{blob.name}: its digest is sha256:"):
        unpack(reader, tmp_path / "root")
    assert not (tmp_path / "root").exists()


def test_a_wrong_diff_id_is_an_error(layout: Layout, tmp_path: Path) -> None:
    reader = layout.write([tar(("f", b"1"))], diff_ids=["sha256:" + "0" * 64])
    with pytest.raises(ChassisError, match=r"diff_id .* expected sha256:0000"):
        unpack(reader, tmp_path / "root")


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (lambda data: gzip.compress(data)[:-30], (LayerStreamError, TarError)),
        (lambda data: gzip.compress(data) + b"garbage", LayerStreamError),
        (lambda data: gzip.compress(data[:700]), TarError),
        (lambda data: gzip.compress(data[:100] + b"7" + data[101:]), TarError),
        (lambda data: data, LayerStreamError),
    ],
    ids=["cut gzip", "bytes after the gzip", "cut tar", "wrong checksum", "no gzip"],
)
def test_damaged_layers_are_refused(layout: Layout, tmp_path: Path, damage, error) -> None:
    with pytest.raises(error, match="layer sha256:"):
        unpack(layout.write([tar(("f", b"1" * 2000))], damage), tmp_path / "root")
    assert not (tmp_path / "root").exists()


def test_the_sum_of_all_layers_is_bounded(layout: Layout, tmp_path: Path) -> None:
    bomb = tar(("zeros", bytes(8 * MIB)))
    with pytest.raises(UnpackError, match="limit"):
        unpack(layout.write([bomb, bomb]), tmp_path / "root", max_bytes=12 * MIB)
    assert not (tmp_path / "root").exists()


def test_missing_and_changed_blobs_are_named(layout: Layout, tmp_path: Path) -> None:
    reader = layout.write([tar(("f", b"1"))], bytes, "")
    blob = next(path for path in layout.blobs.iterdir() if path.stat().st_size >= 10240)
    blob.write_bytes(blob.read_bytes() + b"more")
    with pytest.raises(LayoutError, match="changed since the image was built"):
        unpack(reader, tmp_path / "root")
    blob.unlink()
    with pytest.raises(LayoutError, match=f"{blob.name} is missing"):
        unpack(reader, tmp_path / "root")


def test_a_directory_without_the_marker_is_no_layout(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match="not an OCI image layout"):
        LayoutReader(tmp_path)


def test_random_damage_never_does_more_than_raise(layout: Layout, tmp_path: Path) -> None:
    chance = random.Random(20261123)
    entries = [
        ("d/f", b"1" * 600),
        ("l", "symlink", "d"),
        ("l/g", b"2"),
        ("h", "hardlink", "d/f"),
        ("é" * 80, b""),
    ]
    whole = tar(*entries)
    refused = 0
    for number in range(300):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 8)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        root = tmp_path / f"root{number}"
        try:
            unpack(layout.write([bytes(data)], bytes, ""), root)
            remove_tree(root)
        except ChassisError:
            refused += 1
        assert {path.name for path in tmp_path.iterdir()} == {"image"}
    assert refused > 100


def test_paths_in_the_image_resolve_within_it(tmp_path: Path) -> None:
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/python3.11").touch()
    (tmp_path / "bin").symlink_to("usr/bin")
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv/python").symlink_to("/bin/python3.11")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "up").symlink_to("../../../../usr")
    assert resolve_within(tmp_path, "/venv/python") == "/usr/bin/python3.11"
    assert resolve_within(tmp_path, "up/bin/../bin/python3.11") == "/usr/bin/python3.11"
    with pytest.raises(UnpackError, match="circle"):
        resolve_within(tmp_path, "/circle")
    with pytest.raises(UnpackError, match="there is no /usr/bin/sh"):
        resolve_within(tmp_path, "/bin/sh")
