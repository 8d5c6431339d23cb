"""Jobs on the disk: claimed once, kept through a restart, bounded in number."""

import itertools
import threading

import pytest

from chassis.service.job import JobRequest, JobState
from chassis.service.job_store import JobQueueFullError, JobStore, JobStoreError, UnknownJobError, UploadTakenError
from chassis.service.upload_store import Upload

_REQUEST = JobRequest(
    ("arm64", "amd64"), "127.0.0.1:5000", "team/cats", ("0.0.1",), "http://127.0.0.1/hook", ("annoy",)
)


@pytest.fixture
def store(tmp_path):
    store = JobStore(tmp_path / "jobs.sqlite", clock=itertools.count(100.0).__next__)
    yield store
    store.close()


def _add(store, upload="u", with_credentials=False, most=10, client="default"):
    return store.add(Upload(upload, client, "cats", "0.0.1", 10, 0.0), _REQUEST, with_credentials, most)


def test_a_job_is_read_as_it_was_written(store):
    job = _add(store)
    assert store.get(job.id) == job
    assert job.request == _REQUEST
    assert (job.state, job.attempts, job.created, job.started) == (JobState.QUEUED, 0, 100.0, None)
    with pytest.raises(UnknownJobError):
        store.get("no such id")


def test_jobs_are_claimed_oldest_first_and_once(store):
    jobs = [_add(store, str(number)).id for number in range(3)]
    claimed = [store.claim() for _ in range(4)]
    assert [job and job.id for job in claimed] == [*jobs, None]
    assert claimed[0].state is JobState.RUNNING
    assert claimed[0].attempts == 1


def test_many_workers_never_get_one_job_twice(store):
    wanted = {_add(store, str(number), most=100).id for number in range(60)}
    got = []

    def work():
        while job := store.claim():
            got.append(job.id)

    workers = [threading.Thread(target=work) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert sorted(got) == sorted(wanted)


def test_a_job_ends_once(store):
    job = _add(store)
    store.claim()
    assert store.finish(job.id, JobState.SUCCEEDED, result={"digest": "sha256:0"})
    assert not store.finish(job.id, JobState.CANCELLED, "too late")
    ended = store.get(job.id)
    assert (ended.state, ended.result, ended.message) == (JobState.SUCCEEDED, {"digest": "sha256:0"}, "")


def test_the_queue_is_bounded(store):
    _add(store, "a", most=2)
    _add(store, "b", most=2)
    with pytest.raises(JobQueueFullError, match="2 jobs wait already"):
        _add(store, "c", most=2)
    store.claim()
    _add(store, "c", most=2)


def test_an_upload_is_taken_by_one_job(store):
    _add(store, "a")
    with pytest.raises(UploadTakenError):
        _add(store, "a")
    assert len(store.newest(10)) == 1


def test_a_killed_service_loses_no_job(tmp_path):
    killed = JobStore(tmp_path / "jobs.sqlite")
    running, queued = _add(killed, "a"), _add(killed, "b")
    secret = _add(killed, "c", with_credentials=True)
    done = _add(killed, "d")
    killed.claim()
    killed.finish(done.id, JobState.FAILED, "no")
    # Another connection without `close`: what a process that was killed leaves.
    store = JobStore(tmp_path / "jobs.sqlite")
    assert [job.id for job in store.recover()] == [running.id, secret.id]
    states = {job.id: job.state for job in store.newest(10)}
    assert states == {
        running.id: JobState.QUEUED,
        queued.id: JobState.QUEUED,
        secret.id: JobState.WAITING,
        done.id: JobState.FAILED,
    }
    assert store.claim().attempts == 2
    store.close()
    killed.close()


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "jobs.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(JobStoreError, match=r"jobs\.sqlite: file is not a database"):
        JobStore(tmp_path / "jobs.sqlite")
