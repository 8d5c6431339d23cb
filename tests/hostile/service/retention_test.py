"""Attacks on the service's disk: nothing stays for ever, and one client's things do not push out another's."""

from __future__ import annotations

import os
import time
from pathlib import Path

from chassis.service.retention import tree_bytes
from tests.hostile.service.callers import ask, ended, job, send, state, until
from tests.service.service_process import ServiceProcess

ANN, BOB = "ann-has-a-long-token", "bob-has-a-long-token"
TOKENS = f"ann {ANN}\nbob {BOB}\n"


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_an_upload_that_no_job_takes_goes(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path / "state", TOKENS, retention={"upload_seconds": 0.3}) as service:
        upload = send(service, ANN).document["upload_id"]
        until(lambda: not _names(service.state / "uploads"))
        assert ask(service, "POST", "/api/jobs", {"upload_id": upload}, token=ANN).status == 404
        assert ask(service, "GET", "/api/usage", token=ANN).document["used"]["uploads"] == 0


def test_an_upload_of_a_job_that_waits_stays(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path / "state", TOKENS, retention={"upload_seconds": 3.0}) as service:
        first, second = job(service, ANN, "slow-cats"), job(service, ANN)
        other = send(service, BOB).document["upload_id"]
        until(lambda: other not in _names(service.state / "uploads"))
        service.open_gate()
        for job_id in (first, second):
            assert ended(service, job_id, ANN)["status"]["state"] == "succeeded"
        until(lambda: not _names(service.state / "uploads"))


def test_jobs_with_logs_and_images_go_after_their_time(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path / "state", TOKENS, retention={"job_seconds": 1.0}) as service:
        running = job(service, BOB, "slow-cats")
        until(lambda: state(service, running, BOB) == "running")
        service.open_gate()
        job_id = job(service, ANN)
        ended(service, job_id, ANN)
        until(lambda: ask(service, "GET", f"/api/jobs/{job_id}", token=ANN).status == 404)
        until(lambda: not _names(service.state / "logs") and not _names(service.state / "images"))


def test_a_client_keeps_so_many_jobs_and_images(tmp_path: Path) -> None:
    options = {"retention": {"jobs": 3, "images": 2}, "queue": 50}
    with ServiceProcess(tmp_path / "state", TOKENS, **options) as service:
        kept = job(service, BOB)
        ended(service, kept, BOB)
        mine = [job(service, ANN) for _ in range(6)]
        for job_id in mine[-3:]:
            ended(service, job_id, ANN)
        until(lambda: len(ask(service, "GET", "/api/jobs", token=ANN).document["jobs"]) == 3)
        until(lambda: _names(service.state / "images") == {kept, *mine[-2:]})
        until(lambda: _names(service.state / "logs") == {f"{job_id}.log" for job_id in (kept, *mine[-3:])})
        assert ask(service, "GET", f"/api/jobs/{kept}/image", token=BOB).status == 200


def test_who_has_most_makes_room(tmp_path: Path) -> None:
    """Images and logs of all clients together are bounded; a flood of one client's takes its own."""
    options = {"retention": {"image_bytes": 100_000, "log_bytes": 200}, "queue": 50}
    with ServiceProcess(tmp_path / "state", TOKENS, **options) as service:
        kept = job(service, BOB)
        ended(service, kept, BOB)
        mine = [job(service, ANN) for _ in range(12)]
        ended(service, mine[-1], ANN)
        images, logs = service.state / "images", service.state / "logs"
        until(lambda: tree_bytes(images) <= 100_000)
        until(lambda: sum(file.stat().st_size for file in logs.iterdir()) <= 200)
        assert kept in _names(images)
        assert f"{kept}.log" in _names(logs)
        assert mine[-1] in _names(images)


def test_locks_that_nobody_uses_go(tmp_path: Path) -> None:
    locks = tmp_path / "state" / "locks"
    for name, age in (("a" * 64, 100_000), ("b" * 64, 10)):
        (locks / name / "requirements").mkdir(parents=True)
        os.utime(locks / name, (time.time() - age,) * 2)
    with ServiceProcess(tmp_path / "state", TOKENS, retention={"lock_seconds": 50_000.0}):
        until(lambda: _names(locks) == {"b" * 64})


def test_what_a_service_that_was_killed_left_goes(tmp_path: Path) -> None:
    state_folder = tmp_path / "state"
    for left in ("images/.staged", "images/" + "c" * 32, "uploads/" + "d" * 32):
        (state_folder / left).mkdir(parents=True)
    (state_folder / "logs").mkdir()
    (state_folder / "logs" / f"{'e' * 32}.log").write_text("x")
    with ServiceProcess(state_folder, TOKENS):
        until(lambda: not any(_names(state_folder / name) for name in ("images", "uploads", "logs")))


def test_a_link_in_the_state_is_removed_and_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    (victim / "below").mkdir(parents=True)
    for name in ("images", "uploads", "logs"):
        (tmp_path / "state" / name).mkdir(parents=True)
        (tmp_path / "state" / name / ("f" * 32)).symlink_to(victim)
    with ServiceProcess(tmp_path / "state", TOKENS):
        until(lambda: not any(_names(tmp_path / "state" / name) for name in ("images", "uploads", "logs")))
    assert (victim / "below").is_dir()


def test_the_figures_are_told(tmp_path: Path) -> None:
    tokens = TOKENS.replace(ANN, f"{ANN} operator")
    with ServiceProcess(tmp_path / "state", tokens, quota={"minutes": 30}) as service:
        ended(service, job(service, ANN), ANN)
        until(lambda: ask(service, "GET", "/api/usage", token=ANN).document["storage"]["images"]["bytes"] > 2000)
        usage = ask(service, "GET", "/api/usage", token=ANN).document
        assert usage["client"] == "ann"
        assert usage["quota"]["minutes"] == 30
        assert set(usage["storage"]) == {
            "uploads",
            "logs",
            "images",
            "locks",
            "answers of the index",
            "cache of actions",
            "Bazel's outputs",
        }
        assert usage["storage"]["logs"]["limit"] == 2 << 30
        # Of the others only the sums are told, and these to an operator alone.
        assert "bob" not in str(usage)
        assert set(ask(service, "GET", "/api/usage", token=BOB).document) == {"client", "used", "quota"}
