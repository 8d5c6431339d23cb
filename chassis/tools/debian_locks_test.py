"""Tests of debian_locks, run as the program that it is, with the real apt and an archive on disk."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from chassis.debian.local_archive import LocalArchive

BASE = "# suite: bookworm\n# architecture: arm64\n# packages: app\n# excluded: debconf\n"
TARGET = ("--target=//base:locks", "--lock=arm64=base/arm64.lock")
LOCK = BASE.replace("app", "app gl") + "".join(
    f"{name} 1.0 sha256:{'0' * 64} pool/main/{name}/{name}_1.0_arm64.deb\n" for name in ("app", "gl", "lib")
)
GL = ("--package=gl", *TARGET, "base.lock")


@dataclass
class Workspace:
    """A directory with the lock of a base, and an archive of Debian's."""

    path: Path
    archive: LocalArchive


def _archive(path: Path) -> LocalArchive:
    made = LocalArchive(path, "bookworm", "arm64")
    made.add("app", Depends="lib, debconf")
    made.add("lib")
    made.add("gl", Depends="lib")
    made.add("debconf", Depends="perl")
    made.add("perl")
    made.publish()
    return made


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> LocalArchive:
    return _archive(tmp_path_factory.mktemp("archive"))


@pytest.fixture
def workspace(archive: LocalArchive, tmp_path: Path) -> Workspace:
    (tmp_path / "base.lock").write_text(BASE)
    (tmp_path / "base").mkdir()
    return Workspace(tmp_path, archive)


def _run(workspace: Workspace, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "BUILD_WORKSPACE_DIRECTORY": str(workspace.path),
        "CHASSIS_DEBIAN_MIRROR": workspace.archive.mirror.uri,
        "CHASSIS_DEBIAN_UNVERIFIED": "1",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    command = [sys.executable, "-m", "chassis.tools.debian_locks", *arguments]
    return subprocess.run(command, cwd=workspace.path, env=environment, capture_output=True, text=True, timeout=120)


def _locked(workspace: Workspace) -> list[str]:
    lines = (workspace.path / "base/arm64.lock").read_text().splitlines()
    return [line.split()[0] for line in lines if line[0] != "#"]


def test_the_first_lock_has_the_base_and_more_and_says_how_to_renew_it(workspace: Workspace) -> None:
    made = _run(workspace, *GL, "--allow_unverified")
    assert made.returncode == 0, made.stderr
    assert _locked(workspace) == ["app", "gl", "lib"]
    assert made.stdout.startswith("base/arm64.lock: 3 packages, ")
    head = (workspace.path / "base/arm64.lock").read_text().splitlines()[:5]
    assert head == [
        "# Debian packages, pinned. Renew with: bazel run //base:locks",
        "# suite: bookworm",
        "# architecture: arm64",
        "# packages: app gl",
        "# excluded: debconf",
    ]
    stale = _run(workspace, "--stale", *GL)
    assert (stale.returncode, stale.stdout) == (0, "1 locks are of what //base:locks asks for\n")


def test_a_renewal_says_what_moved(workspace: Workspace) -> None:
    workspace.archive = _archive(workspace.path / "archive")
    assert _run(workspace, *GL, "--allow_unverified").returncode == 0
    workspace.archive.add("lib", version="1.1")
    workspace.archive.publish()
    renewed = _run(workspace, *GL, "--allow_unverified", "--package=perl")
    assert "  + perl 1.0\n" in renewed.stdout
    assert "  ~ lib 1.0 -> 1.1\n" in renewed.stdout
    assert _locked(workspace) == ["app", "gl", "lib", "perl"]


@pytest.mark.parametrize(
    ("arguments", "base", "reason"),
    [
        (("--package=perl", *GL), BASE, "was made of other packages: +perl"),
        ((*TARGET, "base.lock"), BASE, "was made of other packages: -gl"),
        (("--exclude=lib", *GL), BASE, "was made of other excluded: +lib"),
        (GL, BASE.replace("bookworm", "trixie"), "was made of other suite: +trixie -bookworm"),
        (GL, BASE.replace("app", "app perl"), "was made of other packages: +perl"),
    ],
)
def test_a_lock_of_something_else_is_stale(
    workspace: Workspace, arguments: tuple[str, ...], base: str, reason: str
) -> None:
    (workspace.path / "base/arm64.lock").write_text(LOCK)
    (workspace.path / "base.lock").write_text(base)
    stale = _run(workspace, "--stale", *arguments)
    assert (stale.returncode, stale.stderr) == (
        1,
        f"error: base/arm64.lock {reason}\n  renew with: bazel run //base:locks\n",
    )


def test_a_lock_that_is_not_there_is_stale(workspace: Workspace) -> None:
    stale = _run(workspace, "--stale", *GL)
    assert (stale.returncode, stale.stderr) == (
        1,
        "error: base/arm64.lock does not exist yet\n  renew with: bazel run //base:locks\n",
    )


def test_what_the_base_does_without_is_there_if_it_is_asked_for(workspace: Workspace) -> None:
    made = _run(workspace, "--package=debconf", *TARGET, "base.lock", "--allow_unverified")
    assert made.returncode == 0, made.stderr
    assert _locked(workspace) == ["app", "debconf", "lib", "perl"]


def test_a_suite_alone_has_nothing_of_a_base(workspace: Workspace) -> None:
    made = _run(workspace, "--suite=bookworm", "--package=gl", *TARGET, "--allow_unverified")
    assert made.returncode == 0, made.stderr
    assert _locked(workspace) == ["gl", "lib"]


def test_a_package_that_is_not_there_is_named_and_the_lock_stays(workspace: Workspace) -> None:
    (workspace.path / "base/arm64.lock").write_text(LOCK)
    failed = _run(workspace, "--package=ghost", *GL, "--allow_unverified")
    assert failed.returncode == 1
    assert "ghost" in failed.stderr and "Traceback" not in failed.stderr
    assert (workspace.path / "base/arm64.lock").read_text() == LOCK


def test_an_unverified_archive_makes_no_lock_and_the_remedy_is_a_command(workspace: Workspace) -> None:
    failed = _run(workspace, *GL)
    assert failed.returncode == 1
    assert "bazel run //base:locks -- --allow_unverified writes it all the same" in failed.stderr
    assert not (workspace.path / "base/arm64.lock").exists()


def test_a_package_both_wanted_and_left_out_is_an_error(workspace: Workspace) -> None:
    failed = _run(workspace, "--exclude=gl", *GL)
    assert failed.stderr == "error: //base:locks: gl is among `packages` and among `exclude`: take out one\n"


def test_an_architecture_that_is_none_of_the_target_is_an_error(workspace: Workspace) -> None:
    failed = _run(workspace, *GL, "--only=amd64")
    assert failed.stderr == "error: --only=amd64 is not an architecture of //base:locks: there are arm64\n"
