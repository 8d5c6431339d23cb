"""Wheels that share a layer: what a layer of each would install, in parts that are told apart."""

from __future__ import annotations

import base64
import hashlib
import json
import zipfile
from pathlib import Path

import pytest

from chassis.oci.descriptor import LayerDescriptor
from chassis.oci.layer.merged import add_wheels
from chassis.oci.layer.outputs import LayerOutputs, write_layer
from chassis.oci.layer.wheel import add_wheel
from chassis.oci.layer.wheel_source import WheelError

_SITE = "opt/venv/lib/python3.11/site-packages"
_SHARED = {"nvidia/__init__.py": b"# one for all\n"}


def _wheel(directory: Path, name: str, version: str, files: dict[str, bytes], mode: int = 0o644) -> Path:
    info = f"{name}-{version}.dist-info"
    files = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip('=')},{len(data)}\n"
        for path, data in files.items()
    ]
    files[f"{info}/RECORD"] = "".join([*rows, f"{info}/RECORD,,\n"]).encode()
    path = directory / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in files.items():
            entry = zipfile.ZipInfo(member)
            entry.external_attr = (0o100000 | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return path


def _layer(out: Path, *wheels: Path) -> tuple[LayerDescriptor, list[dict]]:
    out.mkdir()
    outputs = LayerOutputs(out / "blob", out / "descriptor", out / "files")
    if len(wheels) == 1:
        write_layer(outputs, lambda writer: add_wheel(writer, wheels[0], "opt/venv", "3.11"))
    else:
        write_layer(outputs, lambda writer: add_wheels(writer, wheels, "opt/venv", "3.11"))
    descriptor = LayerDescriptor.from_json(json.loads(outputs.descriptor.read_bytes()), "descriptor")
    return descriptor, json.loads(outputs.files.read_bytes())


@pytest.fixture
def wheels(tmp_path: Path) -> list[Path]:
    """Three wheels, two of which share a file."""
    return [
        _wheel(tmp_path, "zope", "3", {"zope/big.txt": b"line\n" * 100_000}),
        _wheel(tmp_path, "nvidia_a", "1", _SHARED | {"nvidia/a/lib.so": b"\x7fELF a"}),
        _wheel(tmp_path, "nvidia_b", "2.0", _SHARED | {"nvidia/b/lib.so": b"\x7fELF b"}),
    ]


def test_holds_what_a_layer_of_each_would_install(tmp_path, wheels):
    merged, files = _layer(tmp_path / "merged", *wheels)
    apart = {}
    for number, wheel in enumerate(wheels):
        apart |= {file["path"]: file for file in _layer(tmp_path / str(number), wheel)[1]}
    assert {file["path"]: file for file in files} == apart
    assert len(files) == len(apart)
    assert str(merged.origin) == "wheels nvidia-a 1, nvidia-b 2.0, zope 3"
    assert {file["mode"] for file in files if file["type"] == "dir"} == {0o755}


def test_parts_tell_the_packages_apart(tmp_path, wheels):
    merged, files = _layer(tmp_path / "merged", *wheels)
    assert [(part.name, part.version) for part in merged.parts] == [
        ("zope", "3"),
        ("nvidia-b", "2.0"),
        ("nvidia-a", "1"),
    ]
    assert sum(part.entries for part in merged.parts) == len(files)
    start = 0
    for part in merged.parts:
        own = [file["path"] for file in files[start : start + part.entries]]
        assert own[-1].startswith(f"{_SITE}/{part.name.replace('-', '_')}-{part.version}.dist-info/")
        assert f"{_SITE}/zope/big.txt" not in own or part.name == "zope"
        start += part.entries
    assert 0 < sum(part.size for part in merged.parts) < merged.descriptor.size
    assert LayerDescriptor.from_json(merged.to_json(), "again") == merged


def test_the_order_of_the_wheels_does_not_matter(tmp_path, wheels):
    first, _ = _layer(tmp_path / "first", *wheels)
    second, _ = _layer(tmp_path / "second", *reversed(wheels))
    assert first == second


@pytest.mark.parametrize(
    ("content", "mode"),
    [(b"# another\n", 0o644), (_SHARED["nvidia/__init__.py"], 0o755)],
    ids=["content", "mode"],
)
def test_of_two_contents_the_later_wheels_counts_as_in_layers_of_their_own(tmp_path, wheels, content, mode):
    other = _wheel(tmp_path, "other", "1", {"nvidia/__init__.py": content}, mode)
    _, files = _layer(tmp_path / "merged", other, *wheels)
    apart = {}
    for number, wheel in enumerate(sorted([other, *wheels])):
        apart |= {file["path"]: file for file in _layer(tmp_path / str(number), wheel)[1]}
    assert {file["path"]: file for file in files} == apart
    assert len(files) == len(apart)
    shared = apart[f"{_SITE}/nvidia/__init__.py"]
    assert (shared["digest"], shared["mode"]) == (f"sha256:{hashlib.sha256(content).hexdigest()}", mode)


def test_a_hidden_file_is_checked_against_its_own_record(tmp_path, wheels):
    other = _wheel(tmp_path, "a_first", "1", {"nvidia/__init__.py": b"# another\n"})
    with zipfile.ZipFile(other) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(other, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, b"# changed\n" if name == "nvidia/__init__.py" else data)
    with pytest.raises(WheelError, match=r"a_first-1.*'nvidia/__init__\.py' differs from its SHA-256 in RECORD"):
        _layer(tmp_path / "merged", *wheels, other)
    assert list((tmp_path / "merged").iterdir()) == []


def test_a_wheel_that_is_there_twice_is_refused(tmp_path, wheels):
    with pytest.raises(WheelError, match="is there twice"):
        _layer(tmp_path / "merged", wheels[0], wheels[0])
