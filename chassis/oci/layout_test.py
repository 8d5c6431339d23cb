"""Image layouts: what is written, from what, and what is refused."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from chassis.oci import digest
from chassis.oci.descriptor import (
    MEDIA_TYPE_CONFIG,
    MEDIA_TYPE_LAYER_GZIP,
    MEDIA_TYPE_MANIFEST,
    Descriptor,
    DescriptorError,
    LayerFile,
    Origin,
    Platform,
)
from chassis.oci.image_spec import read_spec
from chassis.oci.layer.outputs import LayerOutputs, write_layer
from chassis.oci.layout import (
    ImageError,
    ImageLayer,
    RunSettings,
    check_collisions,
    complete_layout,
    default_platform,
    read_base,
    write_documents,
    write_layout,
)
from chassis.oci.layout_reader import LayoutError, LayoutReader

_SETTINGS = RunSettings(
    env={"B": "2", "A": "1"},
    entrypoint=("/opt/venv/bin/python", "-m", "chassis.runtime"),
    user="65532:65532",
    working_dir="/app",
    labels={"y": "2", "x": "1"},
    exposed_ports=("45000/tcp",),
    path_first="/opt/venv/bin",
)


def _layer(directory: Path, name: str, files: dict[str, bytes]) -> ImageLayer:
    outputs = LayerOutputs(directory / f"{name}.blob", directory / f"{name}.json", directory / f"{name}.files")

    def fill(writer):
        for path, data in files.items():
            writer.add_bytes(path, data)
        return Origin("wheel", name, "1.0")

    layer = write_layer(outputs, fill)
    listed = json.loads(outputs.files.read_bytes())
    return ImageLayer(layer, outputs.blob, tuple(LayerFile.from_json(file, "test") for file in listed))


def _documents(layout: Path) -> tuple[dict, dict, dict]:
    index = json.loads((layout / "index.json").read_bytes())
    blobs = layout / "blobs" / "sha256"
    manifest = json.loads((blobs / digest.hex_of(index["manifests"][0]["digest"])).read_bytes())
    config = json.loads((blobs / digest.hex_of(manifest["config"]["digest"])).read_bytes())
    return index, manifest, config


def test_a_layout_has_all_that_the_specification_asks_for(tmp_path):
    layers = (_layer(tmp_path, "one", {"a": b"1"}), _layer(tmp_path, "two", {"b": b"2"}))
    out = tmp_path / "image"
    descriptor = write_layout(out, default_platform("arm64"), layers, _SETTINGS, ref_name="latest")
    index, manifest, config = _documents(out)
    assert json.loads((out / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    (entry,) = index["manifests"]
    assert entry["mediaType"] == manifest["mediaType"] == MEDIA_TYPE_MANIFEST
    assert entry["platform"] == {"architecture": "arm64", "os": "linux", "variant": "v8"}
    assert entry["annotations"] == {"org.opencontainers.image.ref.name": "latest"}
    assert entry["digest"] == descriptor.digest
    assert manifest["config"]["mediaType"] == MEDIA_TYPE_CONFIG
    assert [layer["digest"] for layer in manifest["layers"]] == [one.layer.descriptor.digest for one in layers]
    assert {layer["mediaType"] for layer in manifest["layers"]} == {MEDIA_TYPE_LAYER_GZIP}
    assert config["created"] == "1970-01-01T00:00:00Z"
    assert (config["architecture"], config["os"], config["variant"]) == ("arm64", "linux", "v8")
    assert config["rootfs"] == {"type": "layers", "diff_ids": [layer.layer.diff_id for layer in layers]}
    assert [entry["created_by"] for entry in config["history"]] == [
        "chassis: wheel one 1.0",
        "chassis: wheel two 1.0",
    ]
    runs = config["config"]
    path = "/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    assert runs["Env"] == ["A=1", "B=2", f"PATH={path}"]
    assert runs["Entrypoint"] == ["/opt/venv/bin/python", "-m", "chassis.runtime"]
    assert (runs["User"], runs["WorkingDir"]) == ("65532:65532", "/app")
    assert runs["ExposedPorts"] == {"45000/tcp": {}}
    assert list(runs["Labels"]) == ["x", "y"]
    for path in (out / "blobs" / "sha256").iterdir():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name


def test_layers_are_relative_links_to_the_paths_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("real").mkdir()
    layer = _layer(Path("real"), "one", {"a": b"1"})
    Path("link.blob").symlink_to(layer.blob.absolute())
    write_layout(Path("out/image"), default_platform("amd64"), (replace(layer, blob=Path("link.blob")),), RunSettings())
    link = Path("out/image/blobs/sha256") / digest.hex_of(layer.layer.descriptor.digest)
    assert str(link.readlink()) == "../../../../link.blob"
    assert link.read_bytes() == layer.blob.read_bytes()


def test_blobs_need_not_be_there(tmp_path):
    layer = _layer(tmp_path, "one", {"a": b"1"})
    layer.blob.unlink()
    write_layout(tmp_path / "image", default_platform("amd64"), (layer,), RunSettings())


def test_the_same_image_has_the_same_digest_anywhere(tmp_path):
    digests = set()
    for name in ("1", "somewhere/else"):
        place = tmp_path / name
        place.mkdir(parents=True)
        layer = _layer(place, "one", {"a": b"1"})
        digests.add(write_layout(place / "image", default_platform("amd64"), (layer,), _SETTINGS).digest)
    assert len(digests) == 1


def test_more_layers_than_runtimes_take_are_refused(tmp_path):
    layers = tuple(_layer(tmp_path, f"l{number}", {f"f{number}": b""}) for number in range(128))
    with pytest.raises(ImageError, match=r"128 layers.*no more than 127(?s:.*)wheel_layers"):
        write_layout(tmp_path / "image", default_platform("amd64"), layers, RunSettings())
    assert not (tmp_path / "image").exists()
    write_layout(tmp_path / "image", default_platform("amd64"), layers[1:], RunSettings())


def test_layers_that_disagree_are_refused_by_origin(tmp_path):
    one = _layer(tmp_path, "one", {"p/same": b"=", "p/x": b"1"})
    two = _layer(tmp_path, "two", {"p/same": b"=", "p/x": b"2"})
    with pytest.raises(ImageError, match=r"/p/x(?s:.*)wheel one 1\.0(?s:.*)wheel two 1\.0"):
        write_layout(tmp_path / "image", default_platform("amd64"), (one, two), RunSettings())
    assert not (tmp_path / "image").exists()


def _file(path: str, kind: str, mode: int = 0o644, digest: str = "", link: str = "") -> LayerFile:
    return LayerFile(path, kind, mode, 0, digest, link)


_DIGEST_A, _DIGEST_B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
_PAIRS = {
    "directories": ((_file("d", "dir", 0o755),), (_file("d", "dir", 0o755),), True),
    "modes of directories": ((_file("d", "dir", 0o1777),), (_file("d", "dir", 0o755),), False),
    "a file and a directory": ((_file("d", "dir", 0o755),), (_file("d", "file", digest=_DIGEST_A),), False),
    "same links": ((_file("l", "symlink", link="a"),), (_file("l", "symlink", link="a"),), True),
    "other links": ((_file("l", "symlink", link="a"),), (_file("l", "symlink", link="b"),), False),
    "a link and a directory": (
        (_file("lib", "symlink", link="usr/lib"),),
        (_file("lib", "dir", 0o755),),
        False,
    ),
    "a hard link to the same": (
        (_file("x", "file", digest=_DIGEST_A), _file("y", "hardlink", link="x")),
        (_file("y", "file", digest=_DIGEST_A),),
        True,
    ),
    "a hard link to another": (
        (_file("x", "file", digest=_DIGEST_A), _file("y", "hardlink", link="x")),
        (_file("y", "file", digest=_DIGEST_B),),
        False,
    ),
}


@pytest.mark.parametrize("case", _PAIRS)
def test_what_may_be_in_two_layers(tmp_path, case):
    first, second, agree = _PAIRS[case]
    layer = _layer(tmp_path, "one", {})
    layers = (replace(layer, files=first), replace(layer, files=second))
    if agree:
        check_collisions(layers)
    else:
        with pytest.raises(ImageError, match="installed differently"):
            check_collisions(layers)


def _base(directory: Path, architecture: str = "amd64") -> Path:
    out = directory / f"base_{architecture}"
    settings = RunSettings(env={"PATH": "/sbin", "LANG": "C"}, cmd=("sh",), user="7", labels={"base": "yes"})
    directory.mkdir(parents=True, exist_ok=True)
    write_layout(out, default_platform(architecture), (_layer(directory, "base", {"etc/x": b"x"}),), settings)
    return out


def test_an_image_continues_its_base(tmp_path):
    base = read_base(_base(tmp_path / "b"), Platform("amd64"))
    layer = _layer(tmp_path, "top", {"a": b"a"})
    out = tmp_path / "image"
    settings = replace(_SETTINGS, user="", working_dir="")
    write_layout(out, Platform("amd64"), (layer,), settings, base)
    _, manifest, config = _documents(out)
    assert len(manifest["layers"]) == len(config["rootfs"]["diff_ids"]) == len(config["history"]) == 2
    runs = config["config"]
    assert runs["Env"] == ["A=1", "B=2", "LANG=C", "PATH=/opt/venv/bin:/sbin"]
    assert runs["User"] == "7" and runs["Labels"] == {"base": "yes", "x": "1", "y": "2"}
    assert "Cmd" not in runs
    reader = LayoutReader(out)
    image, _ = reader.image()
    for blob in image.blobs:
        assert digest.of_file(reader.blob_path(blob)) == (blob.digest, blob.size)


def test_a_base_of_another_architecture_is_refused(tmp_path):
    with pytest.raises(ImageError, match="is for arm64, but the image is for amd64"):
        read_base(_base(tmp_path, "arm64"), Platform("amd64"))


def test_docker_layers_of_a_base_are_named_as_oci_does(tmp_path):
    path = _base(tmp_path)
    index, manifest, _ = _documents(path)
    manifest["layers"][0]["mediaType"] = "application/vnd.docker.image.rootfs.diff.tar.gzip"
    data = json.dumps(manifest).encode()
    index["manifests"][0] |= {"digest": digest.of_bytes(data), "size": len(data)}
    (path / "blobs" / "sha256" / hashlib.sha256(data).hexdigest()).write_bytes(data)
    (path / "index.json").write_text(json.dumps(index))
    base = read_base(path, Platform("amd64"))
    assert [layer.media_type for layer in base.layers] == [MEDIA_TYPE_LAYER_GZIP]


@pytest.mark.parametrize("damage", ["manifest", "config", "layer", "missing layer", "no layout"])
def test_a_damaged_base_is_refused(tmp_path, damage):
    path = _base(tmp_path)
    index, manifest, _ = _documents(path)
    blobs = path / "blobs" / "sha256"
    named = {
        "manifest": index["manifests"][0],
        "config": manifest["config"],
        "layer": manifest["layers"][0],
        "missing layer": manifest["layers"][0],
    }
    if damage == "no layout":
        (path / "oci-layout").unlink()
    else:
        blob = blobs / digest.hex_of(named[damage]["digest"])
        data = bytearray(blob.read_bytes())
        blob.unlink()
        if damage == "layer":
            blob.write_bytes(data[:-1])
        elif damage != "missing layer":
            data[len(data) // 2] ^= 1
            blob.write_bytes(data)
    with pytest.raises(LayoutError):
        read_base(path, Platform("amd64"))


def test_a_layout_is_not_written_over_another(tmp_path):
    layer = _layer(tmp_path, "one", {"a": b"1"})
    write_layout(tmp_path / "image", default_platform("amd64"), (layer,), RunSettings())
    with pytest.raises(ImageError, match="is not empty"):
        write_layout(tmp_path / "image", default_platform("amd64"), (layer,), _SETTINGS)


def _tree(folder: Path) -> dict[str, str | bytes]:
    """Files and links below a folder, with what they hold."""
    return {
        str(path.relative_to(folder)): str(path.readlink()) if path.is_symlink() else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def test_documents_and_their_completion_are_the_whole_layout(tmp_path):
    base_layout = _base(tmp_path / "b")
    layer = _layer(tmp_path, "top", {"a": b"a"})
    platform = Platform("amd64")
    write_layout(tmp_path / "whole", platform, (layer,), _SETTINGS, read_base(base_layout, platform))
    kept = layer.blob.rename(tmp_path / "elsewhere")
    base = read_base(base_layout, platform, documents_only=True)
    write_documents(tmp_path / "documents", platform, (replace(layer, blob=None),), _SETTINGS, base)
    kept.rename(layer.blob)
    complete_layout(tmp_path / "image", tmp_path / "documents", [layer.blob], base_layout)
    assert _tree(tmp_path / "image") == _tree(tmp_path / "whole")
    assert len(_tree(tmp_path / "documents")) == 4


def test_documents_are_completed_by_the_blobs_that_they_name_alone(tmp_path):
    layers = (_layer(tmp_path, "one", {"a": b"1"}), _layer(tmp_path, "two", {"b": b"2" * 4096}))
    write_documents(tmp_path / "documents", Platform("amd64"), layers, _SETTINGS)
    blobs = [layer.blob for layer in layers]
    for given, message in (
        (blobs[:1], "has 2 layers, 1 blobs were given"),
        ([*blobs, blobs[0]], "has 2 layers, 3 blobs"),
        (blobs[::-1], r"two\.blob: has \d+ bytes, layer sha256:"),
    ):
        with pytest.raises(ImageError, match=message):
            complete_layout(tmp_path / "image", tmp_path / "documents", given)
        assert not (tmp_path / "image").exists()


_BAD_SPECS = {
    "no layers": ({"architecture": "arm64"}, "`layers` is missing"),
    "no architecture": ({"layers": []}, "`architecture` is missing"),
    "unknown key": ({"architecture": "arm64", "layers": [], "colour": 1}, "unknown key 'colour'"),
    "bad env": ({"architecture": "arm64", "layers": [], "config": {"env": {"A": 1}}}, "`env` is not an object"),
    "bad entrypoint": (
        {"architecture": "arm64", "layers": [], "config": {"entrypoint": "x"}},
        "`entrypoint` is no",
    ),
    "no descriptor": ({"architecture": "arm64", "layers": [{"files": "f"}]}, "`descriptor` is needed"),
    "a list": ([], "object is expected"),
}


@pytest.mark.parametrize("case", _BAD_SPECS)
def test_bad_specifications_are_refused(tmp_path, case):
    spec, message = _BAD_SPECS[case]
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(spec))
    with pytest.raises(ImageError, match=message):
        read_spec(path)
    if isinstance(spec, dict):
        with pytest.raises(ImageError, match=message):
            read_spec(json.dumps(spec))


def test_a_specification_of_the_command_line_that_is_cut_off_is_refused():
    with pytest.raises(DescriptorError, match=r"the JSON of the command line cannot be read: .*column"):
        read_spec('{"architecture": "arm64", "layers": [')


def test_descriptors_survive_json():
    descriptor = Descriptor(MEDIA_TYPE_MANIFEST, _DIGEST_A, 3, {"a": "b"}, Platform("arm64", "linux", "v8", ("cuda",)))
    assert Descriptor.from_json(json.loads(json.dumps(descriptor.to_json())), "test") == descriptor
