"""A Debian package to a base layer, against Python's own `tarfile`."""

from __future__ import annotations

import gzip
import hashlib
import lzma
from functools import cache
from pathlib import Path

import zstandard
from isal import igzip

from chassis.errors import ChassisError
from chassis.oci.layer.debian_base import BaseOptions, add_base
from chassis.oci.layer.outputs import LayerOutputs, write_layer
from tests.fuzz.findings import Finding, check_same, check_surroundings, prepare
from tests.fuzz.recipes import package_of
from tests.fuzz.tar_target import reference_rows
from tests.hostile.samples import DEB_NAME, deb

_MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")


def check(data: bytes, folder: Path) -> bool:
    """Runs one input in the new directory `folder`; returns whether the package was taken.

    Raises:
      Finding: something happened that never must.
    """
    prepare(folder)
    package = package_of(data)
    try:
        plain = _layer(package, folder)
    except ChassisError as error:
        if not str(error).startswith(DEB_NAME):
            raise Finding(f"an error does not name the package: {error}") from None
        if list((folder / "out").iterdir()):
            raise Finding("a refused package left files behind") from None
        check_surroundings(folder, DEB_NAME, "out")
        return False
    check_surroundings(folder, DEB_NAME, "out")
    found = _in_layer(plain)
    expected = _installed(package)
    for path, row in expected.items():
        check_same(f"/{path}", found.get(path), row)
    made_by_the_base = _of_an_empty_package(folder)
    for path in found.keys() - expected.keys():
        if path not in made_by_the_base and path not in _MERGED:
            raise Finding(f"/{path} is in the layer and not in the package")
    return True


def _layer(package: bytes, folder: Path) -> bytes:
    path = folder / DEB_NAME
    path.write_bytes(package)
    outputs = LayerOutputs(folder / "out" / "blob", folder / "out" / "descriptor", folder / "out" / "files")
    layer = write_layer(outputs, lambda writer: add_base(writer, [path], BaseOptions("amd64", keep_docs=True)))
    plain = igzip.decompress(outputs.blob.read_bytes())
    check_same("diff_id", layer.diff_id, f"sha256:{hashlib.sha256(plain).hexdigest()}")
    return plain


@cache
def _made(package: bytes, folder: Path) -> frozenset[str]:
    folder.mkdir()
    return frozenset(_in_layer(_layer(package, folder)))


def _of_an_empty_package(folder: Path) -> frozenset[str]:
    """The files and links that a base has without any package; made once."""
    if not _BASE:
        _BASE.append(_made(deb(), folder / "empty"))
    return _BASE[0]


_BASE: list[frozenset[str]] = []


def _in_layer(plain: bytes) -> dict[str, tuple[str, str, str]]:
    found = {}
    for path, kind, _, _, link, content in reference_rows(plain):
        if kind != "dir":
            found[path] = (kind, link, content)
    return found


def _installed(package: bytes) -> dict[str, tuple[str, str, str]]:
    """What the package's files are on a merged /usr; the last of a name stands."""
    expected = {}
    for path, kind, _, _, link, content in reference_rows(_data_tar(package)):
        name = _merged(path.removeprefix("./"))
        if kind == "hardlink":
            expected[name] = (kind, _merged(link.removeprefix("./")), "")
        elif kind != "dir" and name not in ("", "."):
            expected[name] = (kind, link, content)
    return expected


def _merged(path: str) -> str:
    return f"usr/{path}" if path.split("/")[0] in _MERGED else path


def _data_tar(package: bytes) -> bytes:
    position = 8
    while position < len(package):
        name = package[position : position + 16].rstrip(b" ").removesuffix(b"/").decode()
        size = int(package[position + 48 : position + 58])
        data = package[position + 60 : position + 60 + size]
        if name.startswith("data.tar"):
            unpack = {
                "data.tar.xz": lzma.decompress,
                "data.tar.gz": gzip.decompress,
                "data.tar.zst": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
                "data.tar": bytes,
            }[name]
            return unpack(data)
        position += 60 + size + size % 2
    raise Finding("a package was taken that has no data")
