"""Layers are read the same through their table of contents and as a stream, and no further than asked."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from chassis.doctor.layer_content import LayerContentError, walk_layer
from chassis.errors import ChassisError
from chassis.oci.descriptor import LayerDescriptor, LayerFile, Origin
from chassis.oci.layer.outputs import LayerOutputs, write_layer
from chassis.oci.layer.wheel import add_wheel
from chassis.oci.layer.writer import COMPRESSIONS, LayerWriter

_CONTENTS = {
    "app/empty": b"",
    "app/small.txt": b"hello",
    "app/random.bin": bytes((i * i * 31 + i // 7) & 255 for i in range(300_000)),
    "app/zeros.bin": bytes(2_500_000),
}


def _build(directory: Path, compression: str = "estargz", chunk_size: int = 0) -> tuple[Path, LayerDescriptor]:
    def fill(writer: LayerWriter) -> Origin:
        for path, data in _CONTENTS.items():
            writer.add_bytes(path, data)
        writer.add_symlink("app/link", "small.txt")
        writer.add_hardlink("app/other.txt", "app/small.txt")
        return Origin("data", "x")

    blob = directory / "x.layer"
    outputs = LayerOutputs(blob, directory / "x.json", directory / "x.files")
    return blob, write_layer(outputs, fill, compression, chunk_size)  # type: ignore[arg-type]


def _read_all(blob: Path, layer: LayerDescriptor, trusted: bool) -> dict[LayerFile, bytes]:
    found = {}
    for content in walk_layer(blob, layer.descriptor, trusted):
        data = b"".join(iter(lambda read=content.read: read(70_000), b""))
        file = content.file
        found[LayerFile(file.path, file.type, file.mode, file.size, content.digest(), file.link)] = data
    return found


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("trusted", [True, False])
def test_every_path_is_found_with_its_content(compression: str, trusted: bool, tmp_path: Path) -> None:
    blob, layer = _build(tmp_path, compression)
    found = _read_all(blob, layer, trusted)
    assert {file.path: data for file, data in found.items() if file.type == "file"} == _CONTENTS
    listed = [LayerFile.from_json(row, "files") for row in json.loads((tmp_path / "x.files").read_text())]
    assert list(found) == listed


def test_file_that_shares_its_member_with_what_follows_ends_where_it_ends(tmp_path: Path) -> None:
    contents = {
        "small-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: small\nVersion: 1.0\n",
        "small-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in (*contents, "small-1.0.dist-info/RECORD"))
    wheel = tmp_path / "small-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in (contents | {"small-1.0.dist-info/RECORD": record.encode()}).items():
            archive.writestr(name, data)
    outputs = LayerOutputs(tmp_path / "x.layer", tmp_path / "x.json", tmp_path / "x.files")
    layer = write_layer(outputs, lambda writer: add_wheel(writer, wheel, "venv", "3.11"))
    found = {file.path: data for file, data in _read_all(outputs.blob, layer, trusted=True).items()}
    assert found.items() >= {f"venv/lib/python3.11/site-packages/{n}": data for n, data in contents.items()}.items()


def test_file_in_chunks_is_put_together(tmp_path: Path) -> None:
    blob, layer = _build(tmp_path, chunk_size=1 << 16)
    found = {file.path: data for file, data in _read_all(blob, layer, trusted=True).items()}
    assert found["app/zeros.bin"] == _CONTENTS["app/zeros.bin"]
    assert found["app/random.bin"] == _CONTENTS["app/random.bin"]


def test_content_that_nobody_reads_costs_nothing_to_pass(tmp_path: Path) -> None:
    blob, layer = _build(tmp_path)
    data = bytearray(blob.read_bytes())
    heads = {}
    for content in walk_layer(blob, layer.descriptor, trusted=True):
        heads[content.file.path] = content.read(4)
    # The middle of the large file is damaged: only who reads that far would see it.
    data[len(data) // 2] ^= 0xFF
    blob.write_bytes(data)
    again = {content.file.path: content.read(4) for content in walk_layer(blob, layer.descriptor, trusted=True)}
    assert again == heads


def test_digest_is_that_of_the_whole_content_however_much_was_read(tmp_path: Path) -> None:
    blob, layer = _build(tmp_path)
    partly = {}
    for content in walk_layer(blob, layer.descriptor, trusted=False):
        content.read(3)
        partly[content.file.path] = content.digest()
    whole = {file.path: file.digest for file in _read_all(blob, layer, trusted=True)}
    assert partly == whole


@pytest.mark.parametrize("keep", [0, 10, 60, 5_000])
@pytest.mark.parametrize("trusted", [True, False])
def test_layer_cut_short_is_an_error_that_names_it(keep: int, trusted: bool, tmp_path: Path) -> None:
    blob, layer = _build(tmp_path)
    blob.write_bytes(blob.read_bytes()[:keep])
    with pytest.raises(LayerContentError, match=f"x\\.layer: the layer is damaged: it has {keep} bytes"):
        _read_all(blob, layer, trusted)


@pytest.mark.parametrize("keep", [10, 60, 5_000])
@pytest.mark.parametrize("trusted", [True, False])
def test_layer_cut_short_with_its_descriptor_is_an_error_too(keep: int, trusted: bool, tmp_path: Path) -> None:
    blob, layer = _build(tmp_path)
    blob.write_bytes(blob.read_bytes()[:keep])
    layer = replace(layer, descriptor=replace(layer.descriptor, size=keep))
    with pytest.raises(ChassisError, match=r"x\.layer"):
        _read_all(blob, layer, trusted)


def test_table_that_is_not_the_one_named_is_refused(tmp_path: Path) -> None:
    blob, layer = _build(tmp_path)
    annotations = dict.fromkeys(layer.descriptor.annotations, "sha256:" + "0" * 64)
    layer = replace(layer, descriptor=replace(layer.descriptor, annotations=annotations))
    with pytest.raises(LayerContentError, match="not the one that its descriptor names"):
        _read_all(blob, layer, trusted=True)


def test_missing_layer_is_an_error_that_names_it(tmp_path: Path) -> None:
    blob, layer = _build(tmp_path)
    blob.unlink()
    with pytest.raises(LayerContentError, match=r"x\.layer: the layer cannot be read"):
        _read_all(blob, layer, trusted=True)
