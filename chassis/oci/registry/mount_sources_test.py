"""What is remembered of earlier pushes."""

from __future__ import annotations

from pathlib import Path

import pytest

from chassis.oci.registry import mount_sources
from chassis.oci.registry.mount_sources import MountSources, named_sources, remembered
from chassis.oci.registry.reference import Repository

ONE, TWO, THREE = (f"sha256:{digit * 64}" for digit in "123")


def sources(file: Path | None, path: str, *fallback: str) -> MountSources:
    return MountSources(Repository("registry.example", path), file, fallback)


def test_another_repository_finds_what_one_has(tmp_path: Path) -> None:
    file = tmp_path / "cache/registry"
    sources(file, "team/one").add([ONE, TWO])
    assert sources(file, "team/two").find(ONE) == "team/one"
    assert sources(file, "team/two").find(THREE) == ""
    assert sources(file, "team/one").find(ONE) == ""  # it was asked and did not have it


def test_a_blob_is_listed_once(tmp_path: Path) -> None:
    file = tmp_path / "registry"
    for path in ("one", "two", "one"):
        sources(file, path).add([ONE])
    assert file.read_text() == f"{ONE} one\n"


def test_a_repository_that_is_named_is_asked_for_what_is_not_known(tmp_path: Path) -> None:
    file = tmp_path / "registry"
    sources(file, "one").add([ONE])
    named = sources(file, "two", "two", "base")
    assert [named.find(ONE), named.find(TWO)] == ["one", "base"]


@pytest.mark.parametrize("damage", [b"\xff\xfe", b"sha256:1 one\n", f"{ONE} ../x y\n".encode(), b"\0" * 100])
def test_a_damaged_file_is_no_failure(tmp_path: Path, damage: bytes) -> None:
    file = tmp_path / "registry"
    file.write_bytes(damage)
    assert sources(file, "two").find(ONE) == ""
    sources(file, "one").add([TWO])


def test_a_place_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    memory = sources(tmp_path / "file/registry", "one")
    memory.add([ONE])
    assert memory.find(TWO) == ""


def test_the_file_keeps_the_newer_half_when_it_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mount_sources, "_MAX_BYTES", 100)
    file = tmp_path / "registry"
    sources(file, "one").add([ONE, TWO])
    sources(file, "one").add([THREE])
    assert file.read_text() == f"{TWO} one\n{THREE} one\n"


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        ({"CHASSIS_CACHE": "/c", "HOME": "/h"}, "/c/pushed/h.example_5000"),
        ({"XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/x/chassis/pushed/h.example_5000"),
        ({"HOME": "/h"}, "/h/.cache/chassis/pushed/h.example_5000"),
        ({}, "None"),
    ],
)
def test_the_place_is_the_users_cache(environment: dict[str, str], place: str) -> None:
    assert str(remembered(Repository("h.example:5000", "x"), environment)) == place


def test_sources_in_other_registries_are_left_out() -> None:
    names = ["base", "team/base", "h.example:5000/a/b", "other.example/a", "localhost/x"]
    assert named_sources(Repository("h.example:5000", "x"), names) == ["base", "team/base", "a/b"]
