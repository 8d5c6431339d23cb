"""The steps of a job around its locks: jobs with equal requirements, and jobs whose time is over."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chassis.declaration.model import ModelMetadata
from chassis.oci.registry.errors import CancelledError
from chassis.oci.registry.transport import Cancellation
from chassis.packed_model.model import PackedModel
from chassis.service import image_build
from chassis.service.image_build import ImageBuild
from chassis.service.image_store import ImageStore
from chassis.service.publisher import Publisher
from chassis.service.retention import Retention

_MODEL = PackedModel(ModelMetadata("cats"), b"", ("numpy==1",))


def _build(tmp_path: Path) -> ImageBuild:
    return ImageBuild(tmp_path, tmp_path, ImageStore(tmp_path / "images"), Publisher())


def test_of_jobs_with_equal_requirements_one_makes_the_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build, began, go_on, calls = _build(tmp_path), threading.Event(), threading.Event(), list[str]()

    def write_locks(directory: Path, requirements: Sequence[str], locks: Sequence[str], **_: object) -> None:
        calls.append(directory.name)
        began.set()
        go_on.wait(30)
        (directory / "requirements").mkdir()
        for name in locks:
            (directory / "requirements" / f"{name}.txt").write_text("numpy==1\n")

    monkeypatch.setattr(image_build, "write_locks", write_locks)
    with ThreadPoolExecutor(3) as pool:
        jobs = []
        for slot in range(3):
            workspace = build._workspace(slot)
            jobs.append(pool.submit(build._write_locks, workspace, _MODEL, ("amd64",), (), Cancellation()))
        assert began.wait(30)
        # One that is given up while it waits does not wait on.
        given_up = Cancellation()
        given_up.set()
        with pytest.raises(CancelledError):
            build._write_locks(build._workspace(3), _MODEL, ("amd64",), (), given_up)
        go_on.set()
        for job in jobs:
            job.result(30)
    assert len(calls) == 1
    assert (build._workspace(2) / "requirements/linux_amd64.txt").read_text() == "numpy==1\n"


def test_what_is_kept_of_the_index_is_the_services_own_and_has_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = ImageBuild(
        tmp_path, tmp_path, ImageStore(tmp_path / "images"), Publisher(), retention=Retention(lock_bytes=1000)
    )
    cache = tmp_path / "index_cache"

    def write_locks(
        directory: Path,
        requirements: Sequence[str],
        locks: Sequence[str],
        environment: Mapping[str, str] = os.environ,
        **_: object,
    ) -> None:
        assert environment["UV_CACHE_DIR"] == str(cache)
        cache.mkdir(exist_ok=True)
        (cache / requirements[0]).write_bytes(bytes(600))
        (directory / "requirements").mkdir()
        for name in locks:
            (directory / "requirements" / f"{name}.txt").write_text(f"{requirements[0]}\n")

    monkeypatch.setattr(image_build, "write_locks", write_locks)
    for number, kept in enumerate([1, 0, 1]):
        model = PackedModel(ModelMetadata("cats"), b"", (f"numpy=={number}",))
        build._write_locks(build._workspace(0), model, ("amd64",), (), Cancellation())
        assert (len(list(cache.iterdir())) if cache.exists() else 0) == kept


def test_what_bazel_cannot_remove_of_a_sandbox_is_removed_after_a_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trash = tmp_path / "slots" / "0" / "output_base" / "sandbox" / "_moved_trash_dir"
    (trash / "78" / "place" / "deep").mkdir(parents=True)
    monkeypatch.setattr(image_build.Bazel, "build", lambda *_: None)
    _build(tmp_path)._build(0, "image", print, Cancellation())
    assert not list(trash.iterdir())


def test_locking_is_told_when_the_job_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cancellation = Cancellation()

    def write_locks(*_: object, check: Callable[[], None], **__: object) -> None:
        check()
        cancellation.set()
        check()

    monkeypatch.setattr(image_build, "write_locks", write_locks)
    build = _build(tmp_path)
    with pytest.raises(CancelledError):
        build._write_locks(build._workspace(0), _MODEL, ("amd64",), (), cancellation)
    assert build._locking == set()


def test_only_the_services_own_cache_expires(tmp_path: Path) -> None:
    """Blobs of a team's cache were removed by the service's limits."""
    team, imports, other = tmp_path / "team.bazelrc", tmp_path / "imports.bazelrc", tmp_path / "other.bazelrc"
    team.write_text("# --disk_cache=/not/this\nbuild --disk_cache=/team/cache\n")
    imports.write_text(f"try-import {team}\n")
    other.write_text("build --remote_cache=grpc://cache.example # --disk_cache=/no\n")
    for bazelrc, own in ((None, True), (other, True), (team, False), (imports, False)):
        build = ImageBuild(tmp_path, tmp_path, ImageStore(tmp_path / "images"), Publisher(), bazelrc)
        options = " ".join(build._bazel(0).options)
        assert (f"--disk_cache={tmp_path}/disk_cache" in options) == own, bazelrc
        assert ("disk_cache_gc_max_age" in options) == own, bazelrc
        # A file of the workspace is weaker than the operator's, but its limits would hold for the other's cache.
        assert "disk_cache" not in (build._workspace(0) / ".bazelrc").read_text()
