"""Locking an sdist whose build backend attacks: nothing of it runs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from chassis.errors import ChassisError
from chassis.locking.uv import find_uv
from chassis.packed_model.locks import write_locks
from chassis.service.build_policy import BuildPolicy, SourcesRefusedError, locking_environment
from tests.hostile.service.builds.evil_index import EvilIndex, targets


def _environment(index: EvilIndex, directory: Path) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(directory),
        "PIP_INDEX_URL": index.url,
        "UV_CACHE_DIR": str(directory / "uv"),
        "no_proxy": "127.0.0.1",
        "CLOUD_KEY": "open-sesame",
    }


def test_locking_runs_no_build_backend(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("open-sesame")
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "requirements.in").write_text("evilpkg\n")
    with EvilIndex(targets(tmp_path, [secret])) as index:
        environment = _environment(index, tmp_path)
        write_locks(workspace, ["evilpkg"], ["linux_arm64"], sdists=["evilpkg"], environment=environment)
        assert "evilpkg==1.0" in (workspace / "requirements" / "linux_arm64.txt").read_text()
        assert not (tmp_path / "mark").exists()
        assert "/stolen" not in index.asked
        # What the resolver does by itself: it has the backend make the metadata.
        plain = ["pip", "compile", "requirements.in", "--no-binary", "evilpkg", "--default-index", index.url]
        subprocess.run([find_uv(), *plain], cwd=workspace, env=environment, capture_output=True, timeout=120)
        assert (tmp_path / "mark").exists()
        assert "/stolen" in index.asked


def test_a_distribution_that_is_not_named_is_not_built_at_all(tmp_path: Path) -> None:
    (tmp_path / "requirements.in").write_text("evilpkg\n")
    with EvilIndex(targets(tmp_path, [])) as index:
        with pytest.raises(ChassisError, match="evilpkg"):
            write_locks(tmp_path, ["evilpkg"], ["linux_arm64"], environment=_environment(index, tmp_path))
        assert "/stolen" not in index.asked
    assert not (tmp_path / "mark").exists()


def test_the_program_that_locks_gets_no_secret_of_the_service() -> None:
    environment = {"PATH": "/bin", "CLOUD_KEY": "x", "AWS_SECRET_ACCESS_KEY": "x", "CHASSIS_SERVICE_TOKEN": "x"}
    assert locking_environment(environment | {"PIP_INDEX_URL": "i"}) == {"PATH": "/bin", "PIP_INDEX_URL": "i"}


def test_only_what_the_operator_names_is_built() -> None:
    policy = BuildPolicy(buildable=frozenset({"crcmod"}))
    policy.check_sources(["crcmod"])
    with pytest.raises(SourcesRefusedError, match=r"does not build evilpkg .*it builds crcmod\n.*--buildable=evilpkg"):
        policy.check_sources(["crcmod", "evilpkg"])
    BuildPolicy(buildable=None).check_sources(["evilpkg"])
    with pytest.raises(SourcesRefusedError, match="it builds none"):
        BuildPolicy(buildable=frozenset()).check_sources(["evilpkg"])
