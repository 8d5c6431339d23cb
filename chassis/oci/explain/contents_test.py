"""What a layer holds: the same from every source, and errors if a blob lies."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

import pytest

from chassis.errors import ChassisError
from chassis.oci.descriptor import Descriptor
from chassis.oci.explain.contents import read_contents
from chassis.oci.explain.estargz_table import read_table
from chassis.oci.explain.sample_layouts import SITE, Sample, files, foreign, sample, wheel
from chassis.oci.layer import toc
from chassis.oci.layer.writer import COMPRESSIONS
from chassis.oci.layout_reader import LayoutReader

_CONTENTS = {
    "demo/__init__.py": b"VERSION = 1\n" * 100,
    "demo/empty.py": b"",
    "demo/noise": random.Random(1).randbytes(70_000),
}


def _layer(layout: LayoutReader, number: int = 0) -> tuple[Descriptor, str]:
    manifest, config = layout.image()
    return manifest.blobs[1 + number], config.diff_ids[number]


@pytest.fixture
def demo(tmp_path: Path) -> Sample:
    """A layout of one wheel."""
    return sample(tmp_path / "demo", wheel("demo", "1.0", _CONTENTS))


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_blob_and_list_tell_the_same(tmp_path, compression):
    made = sample(tmp_path / "image", wheel("demo", "1.0", _CONTENTS), compression=compression)
    descriptor, diff_id = _layer(made.reader)
    told = read_contents(made.reader, descriptor, diff_id, made.known[descriptor.digest])
    found = read_contents(made.reader, descriptor, diff_id, None)
    assert told.source == "list"
    assert found.source == ("table" if compression == "estargz" else "archive")
    assert found.files == told.files
    assert found.plain_size == told.plain_size
    record = f"{SITE}/demo-1.0.dist-info/RECORD"
    assert found.documents == {
        record: b"demo/__init__.py,,\ndemo/empty.py,,\ndemo/noise,,\ndemo-1.0.dist-info/RECORD,,"
    }


def test_the_table_tells_what_a_file_takes_in_the_blob(demo):
    descriptor, diff_id = _layer(demo.reader)
    stored = read_contents(demo.reader, descriptor, diff_id, None).stored
    assert 70_000 < stored[f"{SITE}/demo/noise"] < 72_000
    assert stored[f"{SITE}/demo/__init__.py"] < 500
    assert stored[f"{SITE}/demo/empty.py"] == 0
    assert sum(stored.values()) < descriptor.size


def test_the_list_is_enough_where_the_blob_is_missing(demo):
    descriptor, diff_id = _layer(demo.reader)
    (demo.path / "blobs/sha256" / descriptor.digest[7:]).unlink()
    assert read_contents(demo.reader, descriptor, diff_id, demo.known[descriptor.digest]).source == "list"
    nothing = read_contents(demo.reader, descriptor, diff_id, None)
    assert nothing.source == "nothing"
    assert nothing.files == ()
    assert nothing.plain_size == demo.known[descriptor.digest].layer.uncompressed_size


def test_without_its_annotation_the_blob_is_read_whole(demo):
    descriptor, diff_id = _layer(demo.reader)
    plain = dataclasses.replace(descriptor, annotations={})
    found = read_contents(demo.reader, plain, diff_id, None)
    assert found.source == "archive"
    assert found.files == demo.known[descriptor.digest].files


def test_a_table_of_another_digest_is_refused(demo):
    descriptor, diff_id = _layer(demo.reader)
    other = dataclasses.replace(descriptor, annotations={toc.ANNOTATION_DIGEST: "sha256:" + "0" * 64})
    with pytest.raises(ChassisError, match=r"table of contents has the digest sha256:.*its descriptor says sha256:0"):
        read_contents(demo.reader, other, diff_id, None)


def test_a_blob_of_another_diff_id_is_refused(tmp_path):
    layout = LayoutReader(foreign(tmp_path / "image", {"etc/a": b"1"}, history=("COPY a /etc",)))
    descriptor, _ = _layer(layout)
    with pytest.raises(ChassisError, match=r"its diff_id .* is sha256:.*, expected sha256:0.*damaged"):
        read_contents(layout, descriptor, "sha256:" + "0" * 64, None)


def test_paths_that_climb_are_refused(tmp_path):
    layout = LayoutReader(foreign(tmp_path / "image", {"etc/../../a": b"1"}, history=("x",)))
    with pytest.raises(ChassisError, match="climbs"):
        read_contents(layout, *_layer(layout), None)


def test_a_damaged_blob_is_an_error_or_tells_the_truth(demo):
    descriptor, _ = _layer(demo.reader)
    blob = (demo.path / "blobs/sha256" / descriptor.digest[7:]).read_bytes()
    expected = {file.path for file in demo.known[descriptor.digest].files}
    chance = random.Random(2)
    refused = 0
    for _ in range(400):
        damaged = bytearray(blob)
        for _ in range(chance.randint(1, 3)):
            damaged[-chance.randint(1, 700)] = chance.randrange(256)
        place = demo.path / "damaged"
        place.write_bytes(damaged)
        try:
            with place.open("rb") as stream:
                table = read_table(stream, descriptor, lambda path: path.endswith("RECORD"))
        except ChassisError:
            refused += 1
        else:
            assert table is None or {file.path for file in table.files} == expected
    assert refused > 100


def test_a_chunked_file_is_summed_up_and_read(tmp_path):
    from chassis.oci.layer.outputs import LayerOutputs, write_layer

    status = b"Package: demo\nVersion: 1\n" + b"Description: long\n" * 9000
    outputs = LayerOutputs(tmp_path / "blob", tmp_path / "descriptor", tmp_path / "files")
    fill = files("base", "base", "", {"var/lib/dpkg/status": status})
    layer = write_layer(outputs, fill, chunk_size=1 << 14)
    with outputs.blob.open("rb") as blob:
        table = read_table(blob, layer.descriptor, lambda path: True)
    assert table is not None
    assert table.documents == {"var/lib/dpkg/status": status}
    assert [file.size for file in table.files if file.type == "file"] == [len(status)]
