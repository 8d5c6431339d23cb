"""Tests of hub_contents.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from chassis.packed_model.hub_contents import missing_from, read_hub

_MODULE = """
wheels = use_extension("@chassis//rules:extensions.bzl", "wheels")
wheels.hub(name = "other", lock = "//other:requirements.txt")
wheels.hub(
    name = "pypi",
    locks = {
        "//:linux_amd64.txt": "linux_amd64",
        "//ml:pylock.toml": "linux_arm64",
        "@chassis//requirements:linux_arm64_gpu.txt": "linux_arm64_gpu",
    },
)
wheels.hub(name = "project", lock = "//:uv.lock")
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "ml").mkdir()
    (tmp_path / "MODULE.bazel").write_text(_MODULE)
    (tmp_path / "linux_amd64.txt").write_text(
        "# Renew with: bazel run //ml:locks\n"
        "Scikit_Learn==1.9.1 --hash=sha256:00\n"
        "requests[socks] == 2.34.2 ; os_name == 'posix'\n"
    )
    (tmp_path / "ml/pylock.toml").write_text('[[packages]]\nname = "torch"\nversion = "2.9.1+cpu"\n')
    (tmp_path / "uv.lock").write_text('version = 1\n[[package]]\nname = "numpy"\nversion = "2.4.6"\n')
    return tmp_path


def test_a_hub_has_what_any_of_its_locks_has(workspace: Path) -> None:
    hub = read_hub(workspace, "pypi")
    assert hub is not None
    assert {name: set(versions) for name, versions in hub.versions.items()} == {
        "requests": {"2.34.2"},
        "scikit-learn": {"1.9.1"},
        "torch": {"2.9.1+cpu"},
    }
    assert hub.renew == "bazel run //ml:locks"
    project = read_hub(workspace, "project")
    assert project is not None and project.renew == "uv lock" and set(project.versions) == {"numpy"}


def test_what_is_missing_is_told_with_what_may_be_meant(workspace: Path) -> None:
    hub = read_hub(workspace, "pypi")
    assert hub is not None
    assert missing_from(hub, ["scikit-learn==1.9.1", "torch==2.9.1", "requests>=2"]) == []
    told = missing_from(hub, ["sklearn", "cv2", "reqests", "zzz", "scikit-learn==1.8.0"])
    assert told == [
        "@pypi has no sklearn: that is the name of an import, and its distribution is scikit-learn",
        "@pypi has no cv2: that is the name of an import, and its distribution is "
        "opencv-python-headless or opencv-python",
        "@pypi has no reqests; the nearest names in it: requests",
        "@pypi has no zzz",
        "the model was made with scikit-learn 1.8.0, @pypi has 1.9.1",
    ]


@pytest.mark.parametrize("module", ["", "this is not Starlark(", "wheels.hub(name = HUB, lock = LOCK)"])
def test_what_cannot_be_read_is_not_judged(workspace: Path, module: str) -> None:
    (workspace / "MODULE.bazel").write_text(module)
    assert read_hub(workspace, "pypi") is None
    assert read_hub(workspace, "other") is None
