"""Tests of module_registry.py: what a registry has of a release. e2e/own_registry has its rules from one."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from chassis.tools.module_registry import RegistryEntryError, enter

_MODULE = b"""\"A module.\"

module(
    name = "demo",
    version = "1.2",
)

bazel_dep(name = "other", version = "9")
"""


def _release(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def test_an_entry_has_what_bazel_reads(tmp_path: Path) -> None:
    archive = _release(tmp_path / "demo.tar.gz", {"demo-1.2/MODULE.bazel": _MODULE, "demo-1.2/a/MODULE.bazel": b""})
    place = enter(archive, "https://files.example/demo.tar.gz", tmp_path / "registry")
    assert place == tmp_path / "registry/modules/demo/1.2"
    assert (place / "MODULE.bazel").read_bytes() == _MODULE
    digest = base64.b64encode(hashlib.sha256(archive.read_bytes()).digest()).decode()
    assert json.loads((place / "source.json").read_text()) == {
        "integrity": f"sha256-{digest}",
        "strip_prefix": "demo-1.2",
        "url": "https://files.example/demo.tar.gz",
    }
    assert json.loads((place.parent / "metadata.json").read_text())["versions"] == ["1.2"]
    assert (tmp_path / "registry/bazel_registry.json").is_file()


def test_versions_stand_beside_each_other_and_do_not_change(tmp_path: Path) -> None:
    first = _release(tmp_path / "one.tar.gz", {"MODULE.bazel": _MODULE})
    second = _release(tmp_path / "two.tar.gz", {"MODULE.bazel": _MODULE.replace(b'"1.2"', b'"1.3"')})
    other = _release(tmp_path / "other.tar.gz", {"MODULE.bazel": _MODULE, "more": b""})
    for archive in (first, second, first):
        enter(archive, "https://files.example/x.tar.gz", tmp_path / "registry")
    metadata = tmp_path / "registry/modules/demo/metadata.json"
    assert sorted(json.loads(metadata.read_text())["versions"]) == ["1.2", "1.3"]
    with pytest.raises(RegistryEntryError, match="a version never changes"):
        enter(other, "https://files.example/x.tar.gz", tmp_path / "registry")


@pytest.mark.parametrize("files", [{"README": b""}, {"MODULE.bazel": b"bazel_dep()"}])
def test_what_is_no_release_is_refused(files: dict[str, bytes], tmp_path: Path) -> None:
    with pytest.raises(RegistryEntryError, match=r"MODULE\.bazel"):
        enter(_release(tmp_path / "x.tar.gz", files), "https://files.example/x.tar.gz", tmp_path / "registry")
    assert not (tmp_path / "registry").exists()
