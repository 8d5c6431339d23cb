"""Tests of requirements_lock, run as the program that it is, with the real uv and wheels on disk."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from chassis.locking.uv import find_uv

_MACHINES = ("x86_64", "aarch64")


def _wheel(directory: Path, name: str, version: str, tag: str = "py3-none-any") -> None:
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(directory / f"{name}-{version}-{tag}.whl", "w") as archive:
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    for directory in ("index", "requirements"):
        (tmp_path / directory).mkdir()
    for machine in _MACHINES:
        _wheel(tmp_path / "index", "numbers", "1.0", f"cp311-cp311-manylinux_2_28_{machine}")
        _wheel(tmp_path / "index", "cuda", "13.0", f"py3-none-manylinux_2_28_{machine}")
    _wheel(tmp_path / "index", "tool", "3.0")
    (tmp_path / "requirements/model.in").write_text("numbers\n")
    (tmp_path / "requirements/gpu.in").write_text("-r model.in\ncuda\n")
    (tmp_path / "requirements/tools.in").write_text("tool\nnumbers\n")
    return tmp_path


def _run(workspace: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "BUILD_WORKSPACE_DIRECTORY": str(workspace),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "HOME": str(workspace),
        "UV_CACHE_DIR": str(workspace / "cache"),
        "UV_OFFLINE": "1",
        "UV_NO_INDEX": "1",
        "UV_FIND_LINKS": str(workspace / "index"),
        "UV_INDEX_URL": "",
    }
    command = [sys.executable, "-m", "chassis.tools.requirements_lock", f"--uv={find_uv()}", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def _pins(workspace: Path, name: str) -> list[str]:
    lines = (workspace / f"requirements/{name}.txt").read_text().splitlines()
    return [line.split()[0] for line in lines if "==" in line]


def test_every_lock_is_made_for_its_own_platform(workspace: Path) -> None:
    result = _run(workspace)
    assert result.returncode == 0, result.stderr
    assert _pins(workspace, "linux_amd64") == _pins(workspace, "linux_arm64") == ["numbers==1.0"]
    assert _pins(workspace, "linux_arm64_gpu") == ["cuda==13.0", "numbers==1.0"]
    assert _pins(workspace, "tools") == ["numbers==1.0", "tool==3.0"]
    assert (
        "# numbers-1.0-cp311-cp311-manylinux_2_28_aarch64.whl"
        in (workspace / "requirements/linux_arm64_gpu.txt").read_text()
    )
    assert len(result.stdout.splitlines()) == 5


def test_an_upgrade_takes_only_what_every_platform_has(workspace: Path) -> None:
    assert _run(workspace).returncode == 0
    _wheel(workspace / "index", "numbers", "2.0", "cp311-cp311-manylinux_2_28_x86_64")
    assert _run(workspace).returncode == 0
    assert _pins(workspace, "linux_amd64") == ["numbers==1.0"]
    result = _run(workspace, "--upgrade")
    assert result.returncode == 1
    assert "numbers" in result.stderr and "aarch64" in result.stderr and "Traceback" not in result.stderr


def test_one_lock_alone_can_be_renewed_and_a_wrong_name_is_told(workspace: Path) -> None:
    assert _run(workspace, "--only=linux_amd64").returncode == 0
    assert not (workspace / "requirements/tools.txt").exists()
    wrong = _run(workspace, "--only=linux_riscv")
    assert wrong.returncode == 1
    assert "linux_arm64_gpu" in wrong.stderr
