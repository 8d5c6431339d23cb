"""Attacks of one client on another: on its jobs, its turn, its place; and on the tokens that tell them apart."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import io
import sqlite3
import threading
from pathlib import Path

import pytest

from chassis.declaration.model import ModelMetadata
from chassis.packed_model.model import PackedModel, write_archive
from chassis.sdk.client import ChassisClient
from chassis.sdk.remote import ServiceError
from chassis.service.job_store import JobStore
from tests.hostile.service.callers import ask, ended, job, send, state, submit, until
from tests.service.service_process import ServiceProcess

ANN, BOB = "ann-has-a-long-token", "bob-has-a-long-token"
TOKENS = f"# who\nann {ANN}\nbob sha256:{hashlib.sha256(BOB.encode()).hexdigest()}\n"


def process(content: bytes) -> int:
    """The length."""
    return len(content)


def test_a_job_is_its_clients_alone(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path / "state", TOKENS) as service:
        job_id = job(service, ANN)
        ended(service, job_id, ANN)
        waiting = job(service, ANN, "slow-cats")
        nothing = "0" * 32
        for method, path, document in (
            ("GET", "", None),
            ("GET", "/logs", None),
            ("GET", "/logs?follow=1", None),
            ("GET", "/image", None),
            ("POST", "/cancel", {}),
            ("PUT", "/credentials", {"username": "a", "password": "b"}),
        ):
            for victim in (job_id, waiting):
                found = ask(service, method, f"/api/jobs/{victim}{path}", document, token=BOB)
                missing = ask(service, method, f"/api/jobs/{nothing}{path}", document, token=BOB)
                assert found.status == missing.status == 404, (method, path)
                # Not even whether there is such a job can be told.
                assert found.document["error"].replace(victim, nothing) == missing.document["error"]
        assert ask(service, "GET", "/api/jobs", token=BOB).document["jobs"] == []
        assert len(ask(service, "GET", "/api/jobs", token=ANN).document["jobs"]) == 2
        until(lambda: state(service, waiting, ANN) == "running")
        upload = str(send(service, ANN).document["upload_id"])
        assert ask(service, "POST", "/api/jobs", {"upload_id": upload}, token=BOB).status == 404
        assert ask(service, "POST", "/api/jobs", {"upload_id": upload}, token=ANN).status == 202
        # Nobody else may ask about one that a job has already, either.
        assert ask(service, "POST", "/api/jobs", {"upload_id": upload}, token=BOB).status == 404
        assert ask(service, "POST", "/api/jobs", {"upload_id": upload}, token=ANN).status == 409
        service.open_gate()


def test_tokens_are_compared_as_a_whole(tmp_path: Path) -> None:
    digest = hashlib.sha256(BOB.encode()).hexdigest()
    wrong = ["", ANN[:-1], f"{ANN}x", ANN.upper(), "ann", f"ann {ANN}", digest, f"sha256:{digest}", "\u00e9" * 20, "*"]
    with ServiceProcess(tmp_path / "state", TOKENS) as service:
        for token in wrong:
            sent = {"authorization": f"Bearer {token}".encode("latin-1").decode("latin-1")}
            assert ask(service, "GET", "/api/jobs", headers=sent).status == 401, token
        for header in (f"Basic {ANN}", ANN, f"Bearer{ANN}"):
            assert ask(service, "GET", "/api/jobs", headers={"authorization": header}).status == 401, header
        for token in (ANN, BOB):
            assert ask(service, "GET", "/api/jobs", token=token).status == 200


def test_the_sdk_works_with_named_tokens(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path / "state", TOKENS) as service:
        ann, bob = (ChassisClient(service.url, auth_header=f"Bearer {token}") for token in (ANN, BOB))
        job_id = str(ann.create_model(process_fn=process).publish("Cats", "0.0.1")["job_id"])
        assert ann.block_until_complete(job_id, timeout=30, poll_interval=0.05)["status"]["state"] == "succeeded"
        ann.download_tar(job_id, tmp_path / "cats.tar")
        with pytest.raises(ServiceError, match=r"no job .* \(status 404\)"):
            bob.get_job_status(job_id)
        with pytest.raises(ServiceError, match="status 404"):
            bob.download_tar(job_id, tmp_path / "stolen.tar")
        assert not (tmp_path / "stolen.tar").exists()


def test_a_client_has_no_more_uploads_and_bytes_than_its_quota(tmp_path: Path) -> None:
    quota = {"uploads": 3, "bytes": 300_000}
    with ServiceProcess(tmp_path / "state", TOKENS, quota=quota) as service:
        assert [send(service, ANN).status for _ in range(5)] == [201, 201, 201, 429, 429]
        assert send(service, BOB).status == 201
        large = send(service, BOB, extra_bytes=400_000)
        assert large.status == 429
        assert int(large.headers["retry-after"]) > 0
        assert "300000" in large.document["error"]
        # What is only announced counts: many at once do not pass together.
        connections = [http.client.HTTPConnection("127.0.0.1", int(service.port), timeout=30) for _ in range(4)]
        for connection in connections:
            connection.putrequest("POST", "/api/uploads")
            for name, value in (
                ("authorization", f"Bearer {BOB}"),
                ("content-type", "application/x-tar"),
                ("content-length", "120000"),
            ):
                connection.putheader(name, value)
            connection.endheaders(b"x")
        until(lambda: ask(service, "GET", "/api/usage", token=BOB).document["used"]["uploads"] == 3)
        assert ask(service, "GET", "/api/usage", token=BOB).document["used"]["bytes"] < 300_000
        for connection in connections:
            connection.close()
        until(lambda: ask(service, "GET", "/api/usage", token=BOB).document["used"]["uploads"] == 1)


def test_uploads_of_jobs_count_until_these_have_ended(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path / "state", TOKENS, quota={"bytes": 150_000}) as service:
        upload = send(service, ANN, "slow-cats", 100_000).document["upload_id"]
        job_id = str(ask(service, "POST", "/api/jobs", {"upload_id": upload}, token=ANN).document["job_id"])
        assert send(service, ANN, extra_bytes=100_000).status == 429
        service.open_gate()
        ended(service, job_id, ANN)
        assert send(service, ANN, extra_bytes=100_000).status == 201


def test_a_client_has_no_more_jobs_waiting_than_its_quota(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path / "state", TOKENS, quota={"queued": 2}, queue=50) as service:
        first = job(service, ANN, "slow-cats")
        until(lambda: state(service, first, ANN) == "running")
        assert [submit(service, ANN).status for _ in range(3)] == [202, 202, 429]
        assert submit(service, BOB).status == 202
        service.open_gate()


def test_clients_take_turns_however_many_jobs_one_has(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path / "state", TOKENS, queue=50) as service:
        first = job(service, ANN, "slow-cats")
        until(lambda: state(service, first, ANN) == "running")
        flood = [job(service, ANN) for _ in range(8)]
        others = [job(service, BOB) for _ in range(2)]
        service.open_gate()
        for job_id in flood:
            ended(service, job_id, ANN)
        order = service.runs()
        assert order[0] == first
        assert [order.index(job_id) for job_id in others] == [1, 3]


def test_a_client_has_no_more_jobs_running_than_its_quota(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path / "state", TOKENS, quota={"running": 1}, builds=2, queue=50) as service:
        sleepers = [job(service, ANN, "slow-cats") for _ in range(4)]
        until(lambda: state(service, sleepers[0], ANN) == "running")
        assert ended(service, job(service, BOB), BOB)["status"]["state"] == "succeeded"
        assert [state(service, job_id, ANN) for job_id in sleepers] == ["running", *["queued"] * 3]
        service.open_gate()


def test_a_sleeping_job_is_stopped(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path / "state", TOKENS, job_seconds=0.5) as service:
        done = ended(service, job(service, ANN, "slow-cats"), ANN)
        assert done["status"]["state"] == "failed"
        assert "as long as a job may" in done["status"]["message"]
        assert ended(service, job(service, BOB), BOB)["status"]["state"] == "succeeded"


def test_minutes_of_builds_are_bounded(tmp_path: Path) -> None:
    """A client that has used its minutes waits, and so does what it has queued already; others do not wait."""
    options = {"queue": 50, "job_seconds": 0.5}
    with ServiceProcess(tmp_path / "state", f"ann {ANN} minutes=1\nbob {BOB}\n", **options) as service:
        done = job(service, ANN)
        ended(service, done, ANN)
        sleeper = job(service, ANN, "slow-cats")
        until(lambda: state(service, sleeper, ANN) == "running")
        queued = job(service, ANN)
        _add_minutes(service, "ann", 61)
        assert ended(service, sleeper, ANN)["status"]["state"] == "failed"
        assert ended(service, job(service, BOB), BOB)["status"]["state"] == "succeeded"
        assert state(service, queued, ANN) == "queued"
        refused = submit(service, ANN)
        assert refused.status == 429
        assert "minutes within 24 hours" in refused.document["error"]


def _add_minutes(service: ServiceProcess, client: str, seconds: float) -> None:
    """As if the client's jobs had run that long an hour ago."""
    connection = sqlite3.connect(service.state / "jobs.sqlite", timeout=10)
    connection.execute("INSERT INTO runs VALUES (?, unixepoch() - 3600, ?)", (client, seconds))
    connection.commit()
    connection.close()


def test_one_client_does_not_take_all_streams(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path / "state", TOKENS) as service:
        mine, other = job(service, ANN, "slow-cats"), job(service, BOB)
        until(lambda: state(service, mine, ANN) == "running")
        held = []
        for _ in range(16):
            connection = http.client.HTTPConnection("127.0.0.1", int(service.port), timeout=30)
            connection.request("GET", f"/api/jobs/{mine}/logs?follow=1", headers={"authorization": f"Bearer {ANN}"})
            assert connection.getresponse().status == 200
            held.append(connection)
        refused = ask(service, "GET", f"/api/jobs/{mine}/logs?follow=1", token=ANN)
        assert refused.status == 503
        service.open_gate()
        assert ask(service, "GET", f"/api/jobs/{other}/logs?follow=1", token=BOB).status == 200
        for connection in held:
            connection.close()


def test_four_clients_do_not_take_all_streams(tmp_path: Path) -> None:
    names = ["cat", "dog", "eve", "fox"]
    tokens = TOKENS + "".join(f"{name} {name}-has-a-long-token\n" for name in names)
    with ServiceProcess(tmp_path / "state", tokens, queue=10) as service:
        other = job(service, BOB)
        ended(service, other, BOB)
        held = []
        for name in names:
            token = f"{name}-has-a-long-token"
            mine = job(service, token, "slow-cats")
            for _ in range(16):
                connection = http.client.HTTPConnection("127.0.0.1", int(service.port), timeout=30)
                path, headers = f"/api/jobs/{mine}/logs?follow=1", {"authorization": f"Bearer {token}"}
                connection.request("GET", path, headers=headers)
                assert connection.getresponse().status == 200
                held.append(connection)
        for path in ("logs?follow=1", "image", "logs?follow=1"):
            assert ask(service, "GET", f"/api/jobs/{other}/{path}", token=BOB).status == 200
        service.open_gate()
        for connection in held:
            connection.close()


def test_a_log_that_is_ended_for_another_client_is_followed_on(tmp_path: Path) -> None:
    names = ["cat", "dog", "eve", "fox"]
    tokens = TOKENS + "".join(f"{name} {name}-has-a-long-token\n" for name in names)
    with ServiceProcess(tmp_path / "state", tokens, queue=10, connections={"most": 16}) as service:
        client = ChassisClient(service.url, auth_header="Bearer cat-has-a-long-token")
        mine = job(service, "cat-has-a-long-token", "slow-cats")
        until(lambda: state(service, mine, "cat-has-a-long-token") == "running")
        seen, begun = list[str](), threading.Semaphore(0)

        def follow() -> None:
            text = ""
            for block in client.follow_job_logs(mine):
                if not text:
                    begun.release()
                text += block
            seen.append(text)

        threads = [threading.Thread(target=follow) for _ in range(8)]
        for thread in threads:
            thread.start()
        assert all(begun.acquire(timeout=30) for _ in threads)
        assert _follow(service, mine, "cat-has-a-long-token").status == 503
        other = job(service, BOB, "slow-dogs")
        assert _follow(service, other, BOB).status == 200
        service.open_gate()
        for thread in threads:
            thread.join(30)
        assert len(seen) == 8
        assert all("building slow-cats" in text for text in seen)


def _follow(service: ServiceProcess, job_id: str, token: str) -> http.client.HTTPResponse:
    """The head of the answer to who would follow a log."""
    connection = http.client.HTTPConnection("127.0.0.1", int(service.port), timeout=30)
    connection.request("GET", f"/api/jobs/{job_id}/logs?follow=1", headers={"authorization": f"Bearer {token}"})
    with contextlib.closing(connection):
        return connection.getresponse()


def test_jobs_of_before_there_were_clients_are_the_single_tokens(tmp_path: Path) -> None:
    """A file of the first format is brought to the newest, and its jobs are the client `default`'s."""
    folder = tmp_path / "state"
    folder.mkdir()
    connection = sqlite3.connect(folder / "jobs.sqlite")
    connection.executescript(_FIRST_FORMAT)
    connection.commit()
    connection.close()
    old = "a" * 32
    with ServiceProcess(folder, "one-token") as service:
        assert state(service, old, "one-token") == "succeeded"
        assert ended(service, job(service, "one-token"), "one-token")["status"]["state"] == "succeeded"
    with ServiceProcess(folder, f"{TOKENS}default the-old-token-of-all\n") as service:
        assert ask(service, "GET", f"/api/jobs/{old}", token=ANN).status == 404
        assert state(service, old, "the-old-token-of-all") == "succeeded"
    assert sqlite3.connect(folder / "jobs.sqlite").execute("PRAGMA user_version").fetchone() == (2,)


_FIRST_FORMAT = """
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, upload TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
    version TEXT NOT NULL, request TEXT NOT NULL, state TEXT NOT NULL, with_credentials INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, created REAL NOT NULL, started REAL, finished REAL,
    message TEXT NOT NULL DEFAULT '', result TEXT, webhook_sent INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX jobs_by_state ON jobs (state, number);
PRAGMA user_version = 1;
INSERT INTO jobs (id, upload, name, version, request, state, with_credentials, created, finished) VALUES
    ('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'b', 'cats', '1', '{}', 'succeeded', 0, unixepoch(), unixepoch());
"""


def test_many_threads_never_pass_a_quota_together(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path / "state", TOKENS, quota={"uploads": 4, "queued": 2}, queue=50) as service:
        statuses: list[int] = []
        threads = [threading.Thread(target=lambda: statuses.append(send(service, ANN).status)) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert sorted(statuses) == [201] * 4 + [429] * 8


def test_the_file_of_jobs_is_opened_by_its_owner_only(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs.sqlite")
    store.close()
    assert (tmp_path / "jobs.sqlite").stat().st_mode & 0o077 == 0


def test_uploads_of_many_files_are_unpacked_one_at_a_time_for_a_client(tmp_path: Path) -> None:
    """Ten of ann's, which take long, and then one of bob's: his does not wait for hers."""
    places = {f"{number % 7}/{number}": tmp_path / "nothing" for number in range(600)}
    (tmp_path / "nothing").touch()
    many, done = io.BytesIO(), list[int]()
    write_archive(PackedModel(ModelMetadata("cats", model_version="1"), b"pickle", (), files=places), many)
    headers = {"content-type": "application/x-tar"}

    def upload(service: ServiceProcess) -> None:
        done.append(ask(service, "POST", "/api/uploads", token=ANN, body=many.getvalue(), headers=headers).status)

    with ServiceProcess(tmp_path / "state", TOKENS) as service:
        threads = [threading.Thread(target=upload, args=(service,)) for _ in range(10)]
        for thread in threads:
            thread.start()
        uploads = service.state / "uploads"
        until(lambda: len(list(uploads.iterdir())) >= 1 and not done)
        assert send(service, BOB).status == 201
        assert len(done) <= 3
        for thread in threads:
            thread.join(60)
        assert set(done) == {201}
