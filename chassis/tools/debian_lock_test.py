"""Tests of debian_lock, run as the program that it is, with the real apt and an archive on disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chassis.debian.local_archive import LocalArchive, SigningKey, path_without_verifiers


@pytest.fixture
def archive(tmp_path: Path) -> LocalArchive:
    made = LocalArchive(tmp_path / "archive", "bookworm", "arm64")
    made.add("app", Depends="lib, debconf")
    made.add("lib")
    made.add("debconf", Depends="perl")
    made.add("perl")
    made.publish()
    return made


def _run(
    archive: LocalArchive, workspace: Path, *arguments: str, verify: bool = False, path: str = os.environ["PATH"]
) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "BUILD_WORKSPACE_DIRECTORY": str(workspace),
        "PATH": path,
        "CHASSIS_DEBIAN_MIRROR": archive.mirror.uri,
        "CHASSIS_DEBIAN_UNVERIFIED": "" if verify else "1",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    command = [sys.executable, "-m", "chassis.tools.debian_lock", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


_NEW = ("--architecture=arm64", "--package=app", "--exclude=debconf", "--output=base.lock")


def test_a_lock_is_made_and_renewed_from_its_own_header(archive: LocalArchive, tmp_path: Path) -> None:
    made = _run(archive, tmp_path, *_NEW, "--allow_unverified")
    assert made.returncode == 0, made.stderr
    text = (tmp_path / "base.lock").read_text()
    assert [line.split()[0] for line in text.splitlines() if line[0] != "#"] == ["app", "lib"]
    archive.add("lib", version="1.1")
    archive.publish()
    renewed = _run(archive, tmp_path, "--renew=base.lock", "--allow_unverified")
    assert "~ lib 1.0 -> 1.1" in renewed.stdout
    assert "app 1.0 sha256:" in (tmp_path / "base.lock").read_text()


def test_an_archive_whose_signature_was_not_checked_makes_no_lock(archive: LocalArchive, tmp_path: Path) -> None:
    result = _run(archive, tmp_path, *_NEW)
    assert result.returncode == 1
    assert "--allow_unverified" in result.stderr
    assert not (tmp_path / "base.lock").exists()


def test_an_archive_with_the_wrong_signature_makes_no_lock_with_or_without_gpgv(
    archive: LocalArchive, tmp_path: Path
) -> None:
    archive.sign(SigningKey())
    for path in (os.environ["PATH"], path_without_verifiers(tmp_path / "bin")):
        result = _run(archive, tmp_path, *_NEW, "--allow_unverified", verify=True, path=path)
        assert result.returncode == 1
        assert "CHASSIS_DEBIAN_UNVERIFIED=1" in result.stderr
        assert not (tmp_path / "base.lock").exists()


def test_a_package_that_is_not_there_leaves_the_lock_as_it_was(archive: LocalArchive, tmp_path: Path) -> None:
    (tmp_path / "base.lock").write_text("# suite: bookworm\n# architecture: arm64\n# packages: ghost\n")
    result = _run(archive, tmp_path, "--renew=base.lock", "--allow_unverified")
    assert result.returncode == 1
    assert "ghost" in result.stderr and "Traceback" not in result.stderr
    assert "ghost" in (tmp_path / "base.lock").read_text()


def test_missing_flags_are_named(archive: LocalArchive, tmp_path: Path) -> None:
    result = _run(archive, tmp_path, "--architecture=arm64")
    assert result.returncode == 1
    assert "--output" in result.stderr


def test_security_updates_are_taken_and_named(
    archive: LocalArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    security = LocalArchive(tmp_path / "security", "bookworm-security", "arm64", "pool/updates/main")
    security.add("lib", version="1.0+deb12u1")
    security.add("perl", version="0.9")
    security.publish()
    assert _run(archive, tmp_path, *_NEW, "--allow_unverified").returncode == 0
    before = (tmp_path / "base.lock").read_text()
    monkeypatch.setenv("CHASSIS_DEBIAN_SECURITY_MIRROR", security.mirror.uri)
    checked = _run(archive, tmp_path, "--renew=base.lock", "--check", "--allow_unverified")
    assert checked.returncode == 1, checked.stderr
    assert "  ~ lib 1.0 -> 1.0+deb12u1 (security)\n" in checked.stdout
    assert (tmp_path / "base.lock").read_text() == before
    renewed = _run(archive, tmp_path, "--renew=base.lock", "--allow_unverified")
    assert renewed.returncode == 0, renewed.stderr
    assert "(security)" in renewed.stdout
    assert "lib 1.0+deb12u1 sha256:" in (tmp_path / "base.lock").read_text()
    assert " pool/updates/main/l/lib/lib_1.0+deb12u1_arm64.deb\n" in (tmp_path / "base.lock").read_text()
    again = _run(archive, tmp_path, "--renew=base.lock", "--check", "--allow_unverified")
    assert (again.returncode, "~" in again.stdout) == (0, False)


def test_an_update_that_the_suite_has_by_now_is_named_too(
    archive: LocalArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _run(archive, tmp_path, *_NEW, "--allow_unverified").returncode == 0
    security = LocalArchive(tmp_path / "security", "bookworm-security", "arm64", "pool/updates/main")
    security.add("lib", version="1.0+deb12u1")
    security.publish()
    archive.add("lib", version="1.0+deb12u2")
    archive.add("app", version="1.1", Depends="lib")
    archive.publish()
    monkeypatch.setenv("CHASSIS_DEBIAN_SECURITY_MIRROR", security.mirror.uri)
    renewed = _run(archive, tmp_path, "--renew=base.lock", "--allow_unverified")
    assert "  ~ app 1.0 -> 1.1\n  ~ lib 1.0 -> 1.0+deb12u2 (security)\n" in renewed.stdout


def test_a_security_archive_of_another_suite_is_refused(
    archive: LocalArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = LocalArchive(tmp_path / "security", "bookworm-security", "arm64")
    other.publish(Suite="trixie-security", Codename="trixie-security")
    monkeypatch.setenv("CHASSIS_DEBIAN_SECURITY_MIRROR", other.mirror.uri)
    result = _run(archive, tmp_path, *_NEW, "--allow_unverified")
    assert result.returncode == 1
    assert f"{other.mirror.uri} answers with another suite than bookworm-security: trixie-security" in result.stderr
    assert not (tmp_path / "base.lock").exists()
