"""Tests of download.py with the real apt and an archive on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from chassis.debian.apt import Apt, AptError
from chassis.debian.download import download, sha256
from chassis.debian.local_archive import LocalArchive


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalArchive:
    monkeypatch.setenv("CHASSIS_DEBIAN_UNVERIFIED", "1")
    made = LocalArchive(tmp_path / "archive")
    made.add("app", {"usr/share/app/data": "x" * 5000}, version="1:2.0+b1", Depends="lib")
    made.add("lib", {"usr/lib/lib": "y" * 5000})
    made.publish()
    return made


@pytest.fixture
def apt(archive: LocalArchive, tmp_path: Path) -> Apt:
    ready = Apt(tmp_path / "apt", archive.mirror, archive.suite, archive.architecture)
    ready.update()
    return ready


def test_packages_arrive_whole_and_progress_ends_at_the_total(apt: Apt, tmp_path: Path) -> None:
    packages = apt.resolve(["app"])
    seen: list[tuple[int, int]] = []
    paths = download(apt, packages, tmp_path / "d", lambda done, total: seen.append((done, total)))
    assert [sha256(path) for path in paths] == [package.sha256 for package in packages]
    total = sum(package.size for package in packages)
    assert seen[-1] == (total, total)


def test_what_is_there_is_kept_though_the_mirror_is_gone(apt: Apt, archive: LocalArchive, tmp_path: Path) -> None:
    packages = apt.resolve(["app"])
    first = download(apt, packages, tmp_path / "d")
    for package in packages:
        (archive.directory / package.path).unlink()
    assert download(apt, packages, tmp_path / "d") == first


def test_only_what_is_missing_or_damaged_is_fetched_again(apt: Apt, tmp_path: Path) -> None:
    packages = apt.resolve(["app"])
    app, lib = download(apt, packages, tmp_path / "d")
    inode = lib.stat().st_ino
    app.write_bytes(app.read_bytes()[:-1] + b"?")
    assert download(apt, packages, tmp_path / "d") == [app, lib]
    assert sha256(app) == packages[0].sha256
    assert lib.stat().st_ino == inode


def test_a_package_that_the_index_does_not_vouch_for_is_refused_and_removed(
    apt: Apt, archive: LocalArchive, tmp_path: Path
) -> None:
    packages = apt.resolve(["app"])
    corrupted = archive.directory / packages[0].path
    data = bytearray(corrupted.read_bytes())
    data[len(data) // 2] ^= 1
    corrupted.write_bytes(bytes(data))
    with pytest.raises(AptError) as error:
        download(apt, packages, tmp_path / "d")
    assert "app" in str(error.value)
    assert not (tmp_path / "d" / packages[0].filename).exists()


def test_a_package_that_is_gone_from_the_mirror_is_an_error_that_names_it(
    apt: Apt, archive: LocalArchive, tmp_path: Path
) -> None:
    packages = apt.resolve(["lib"])
    (archive.directory / packages[0].path).unlink()
    with pytest.raises(AptError, match=r"lib_1\.0"):
        download(apt, packages, tmp_path / "d")
