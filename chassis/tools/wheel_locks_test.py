"""Tests of wheel_locks, run as the program that it is, with the real uv and wheels on disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from chassis.locking.uv import find_uv

_MACHINES = {"linux_amd64": "x86_64", "linux_arm64": "aarch64"}


def _wheel(directory: Path, name: str, version: str, tag: str = "py3-none-any", metadata: str = "") -> None:
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(directory / f"{name}-{version}-{tag}.whl", "w") as archive:
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{metadata}")
        archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    for directory in ("index", "ml"):
        (tmp_path / directory).mkdir()
    for machine in _MACHINES.values():
        _wheel(tmp_path / "index", "numbers", "1.0", f"cp311-cp311-manylinux_2_28_{machine}")
        _wheel(tmp_path / "index", "cuda", "13.0", f"py3-none-manylinux_2_28_{machine}")
    _wheel(tmp_path / "index", "socks", "1.0")
    web = 'Provides-Extra: Sock_Et\nRequires-Dist: socks; extra == "Sock_Et"\n'
    _wheel(tmp_path / "index", "web", "3.0", metadata=web)
    (tmp_path / "ml/model.in").write_text("# What models need.\nnumbers\nweb[sock.et]\n")
    (tmp_path / "ml/gpu.in").write_text("-r model.in\ncuda\n")
    return tmp_path


def _plan(platform: str) -> dict[str, object]:
    """What `wheel_locks(requirements = {"none": "model.in", "cuda": "gpu.in"})` of //ml says."""
    cpu = platform.removesuffix("_gpu")
    return {
        "inputs": ["ml/gpu.in" if platform != cpu else "ml/model.in"],
        "machine": _MACHINES[cpu],
        "output": f"ml/{platform}.txt",
        "glibc": "2.36",
        "python": "3.11.2",
        "same_versions_as": None if platform == "linux_amd64" else "ml/linux_amd64.txt",
    }


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
    command = [sys.executable, "-m", "chassis.tools.wheel_locks", f"--uv={find_uv()}", "--target=//ml:locks"]
    command += [f"--plan={json.dumps(_plan(name))}" for name in ("linux_amd64", "linux_arm64", "linux_arm64_gpu")]
    return subprocess.run(
        [*command, *arguments], cwd=workspace, env=environment, capture_output=True, text=True, timeout=120
    )


def _pins(workspace: Path, name: str) -> list[str]:
    lines = (workspace / f"ml/{name}.txt").read_text().splitlines()
    return [line.split()[0] for line in lines if "==" in line]


_ALL = ["numbers==1.0", "socks==1.0", "web[sock-et]==3.0"]


def test_the_first_locks_are_made_each_for_its_platform_and_say_what_renews_them(workspace: Path) -> None:
    result = _run(workspace)
    assert result.returncode == 0, result.stderr
    assert _pins(workspace, "linux_amd64") == _pins(workspace, "linux_arm64") == _ALL
    assert _pins(workspace, "linux_arm64_gpu") == ["cuda==13.0", *_ALL]
    text = (workspace / "ml/linux_arm64_gpu.txt").read_text()
    assert "# numbers-1.0-cp311-cp311-manylinux_2_28_aarch64.whl" in text
    assert "# Renew with: bazel run //ml:locks" in text
    assert len(result.stdout.splitlines()) == 3
    assert _run(workspace, "--check").returncode == 0


def test_an_upgrade_takes_only_what_every_platform_has(workspace: Path) -> None:
    assert _run(workspace).returncode == 0
    _wheel(workspace / "index", "numbers", "2.0", "cp311-cp311-manylinux_2_28_x86_64")
    assert _run(workspace).returncode == 0
    assert _pins(workspace, "linux_amd64") == _ALL
    result = _run(workspace, "--upgrade")
    assert result.returncode == 1
    assert "numbers" in result.stderr and "aarch64" in result.stderr and "Traceback" not in result.stderr


def test_one_distribution_alone_is_upgraded(workspace: Path) -> None:
    assert _run(workspace).returncode == 0
    for name in ("socks", "web"):
        _wheel(workspace / "index", name, "4.0")
    assert _run(workspace, "--upgrade_package=Socks").returncode == 0
    assert _pins(workspace, "linux_arm64") == ["numbers==1.0", "socks==4.0", "web[sock-et]==3.0"]


def test_one_lock_alone_can_be_renewed_and_a_wrong_name_is_told(workspace: Path) -> None:
    assert _run(workspace, "--only=linux_arm64").returncode == 0
    assert not (workspace / "ml/linux_amd64.txt").exists()
    wrong = _run(workspace, "--only=linux_riscv")
    assert wrong.returncode == 1
    assert "linux_riscv is not a lock of //ml:locks: there are linux_amd64, linux_arm64" in wrong.stderr


def test_a_lock_in_the_middle_of_a_merge_is_renewed(workspace: Path) -> None:
    assert _run(workspace).returncode == 0
    lock = workspace / "ml/linux_amd64.txt"
    text = lock.read_text()
    other = text.replace("socks==1.0", "socks==0.9")
    lock.write_text(f"<<<<<<< HEAD\n{text}=======\n{other}>>>>>>> other\n")
    check = _run(workspace, "--check")
    assert check.returncode == 1 and "ml/linux_amd64.txt has conflict marks" in check.stderr
    assert _run(workspace).returncode == 0
    assert lock.read_text() == text


# What changes in the requirements, and whether the locks are then stale.
_CHANGES = [
    ("model.in", "# Said otherwise.\n\nnumbers   # why\nweb[sock.et]\n", None),
    ("model.in", "numbers\nweb\n", "ml/linux_amd64.txt was made from other requirements than ml/model.in has now"),
    ("gpu.in", "-r model.in\n", "ml/linux_arm64_gpu.txt was made from other requirements than ml/gpu.in has now"),
    ("gpu.in", "-r gone.in\n", "there is no ml/gone.in, which ml/gpu.in includes (name it in `includes`"),
    ("linux_arm64.txt", None, "ml/linux_arm64.txt does not exist yet"),
    ("linux_arm64.txt", "numbers==1.0 --hash=sha256:00\n", "does not say which requirements it was made from"),
]


@pytest.mark.parametrize(("file", "text", "says"), _CHANGES)
def test_stale_locks_are_told_with_the_command_that_renews_them(workspace: Path, file, text, says) -> None:
    assert _run(workspace).returncode == 0
    if text is None:
        (workspace / "ml" / file).unlink()
    else:
        (workspace / "ml" / file).write_text(text)
    check = _run(workspace, "--check")
    if says is None:
        assert check.returncode == 0, check.stderr
    else:
        assert check.returncode == 1
        assert says in check.stderr
        assert "bazel run //ml:locks" in check.stderr or "there is no" in says


def test_locks_that_disagree_are_stale(workspace: Path) -> None:
    assert _run(workspace).returncode == 0
    lock = workspace / "ml/linux_arm64.txt"
    lock.write_text(lock.read_text().replace("socks==1.0", "socks==0.9"))
    check = _run(workspace, "--check")
    assert check.returncode == 1
    assert "ml/linux_arm64.txt has socks 0.9, and ml/linux_amd64.txt has 1.0" in check.stderr
