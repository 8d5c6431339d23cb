"""The queue and its workers: once, in order, bounded, cancelled, and over restarts; with work of a moment."""

import io
import threading

import pytest

from chassis.declaration.model import ModelMetadata
from chassis.errors import ChassisError
from chassis.packed_model.model import PackedModel, write_archive
from chassis.service.addresses import AddressPolicy
from chassis.service.engine import Engine
from chassis.service.job import JobRequest, JobState, RegistryCredentials
from chassis.service.job_store import JobQueueFullError, UploadTakenError
from chassis.service.retention import OUTPUTS, Retention
from chassis.service.state import StateInUseError
from chassis.service.upload import UploadError
from chassis.service.upload_store import UnknownUploadError
from chassis.service.webhook import Webhooks


class Work:
    """Runs jobs by a function; counts the runs, and waits at a gate when a test closes it."""

    def __init__(self, result=None):
        self.gate = threading.Event()
        self.gate.set()
        self.started = threading.Semaphore(0)
        self.runs = []
        self.credentials = []
        self.tidied = []
        self._result = result or (lambda run: {"digest": "sha256:0"})

    def run(self, run):
        self.runs.append(run.job.id)
        self.credentials.append(run.credentials)
        self.started.release()
        while not self.gate.wait(0.01):
            run.cancellation.check()
        run.log.line("at work")
        return self._result(run)

    def tidy(self, slot):
        self.tidied.append(slot)

    def stop(self, slots):
        self.slots = slots


@pytest.fixture
def engines(tmp_path):
    """Makes engines in one directory; those that still run are closed."""
    made = []

    def make(work, *, start=True, **options):
        engine = Engine(tmp_path / "state", work, **options)
        made.append(engine)
        if start:
            engine.start()
        return engine

    yield make
    for engine in made:
        engine.close()


def _upload(engine, name="cats"):
    archive = io.BytesIO()
    write_archive(PackedModel(ModelMetadata(name, model_version="1"), b"pickle", ()), archive)
    archive.seek(0)
    return engine.receive(archive).id


def _submit(engine, request=None, credentials=None, name="cats"):
    return engine.submit(_upload(engine, name), request or JobRequest(), credentials)


def test_a_job_runs_once_and_has_its_result(engines):
    work = Work()
    engine = engines(work)
    job = engine.wait(_submit(engine).id, 10)
    assert (job.state, job.result, job.attempts) == (JobState.SUCCEEDED, {"digest": "sha256:0"}, 1)
    assert work.runs == [job.id]
    assert engine.log_path(job.id).read_text() == "at work\n"


def test_jobs_run_in_order_and_no_more_at_once_than_workers(engines):
    work = Work()
    work.gate.clear()
    engine = engines(work, workers=2)
    jobs = [_submit(engine, name=f"cats-{number}") for number in range(5)]
    for _ in range(2):
        assert work.started.acquire(timeout=10)
    assert not work.started.acquire(timeout=0.2)
    assert [engine.get(job.id).state for job in jobs] == [JobState.RUNNING] * 2 + [JobState.QUEUED] * 3
    work.gate.set()
    assert all(engine.wait(job.id, 10).state is JobState.SUCCEEDED for job in jobs)
    assert sorted(work.runs) == sorted(job.id for job in jobs)
    assert set(work.runs[:2]) == {jobs[0].id, jobs[1].id}


def test_the_queue_refuses_what_is_too_much(engines):
    work = Work()
    work.gate.clear()
    engine = engines(work, queue_size=1)
    _submit(engine)
    assert work.started.acquire(timeout=10)
    _submit(engine)
    with pytest.raises(JobQueueFullError):
        _submit(engine)
    work.gate.set()


def test_two_models_of_one_name_and_version_are_two_jobs(engines):
    engine = engines(Work(lambda run: {"upload": run.upload.name}))
    first, second = _submit(engine), _submit(engine)
    results = [engine.wait(job.id, 10).result for job in (first, second)]
    assert results == [{"upload": first.upload}, {"upload": second.upload}]
    assert first.upload != second.upload


def test_an_upload_makes_one_job(engines):
    engine = engines(Work(), start=False)
    upload = _upload(engine)
    engine.submit(upload, JobRequest())
    with pytest.raises(UploadTakenError):
        engine.submit(upload, JobRequest())
    for unknown in ("0" * 32, "../jobs", ""):
        with pytest.raises(UnknownUploadError):
            engine.submit(unknown, JobRequest())


def test_a_failure_has_its_reason_and_spares_the_worker(engines):
    def fail(run):
        raise ChassisError("no wheel of annoy") if run.job.name == "a" else KeyError("defect")

    engine = engines(Work(fail))
    expected = engine.wait(_submit(engine, name="a").id, 10)
    defect = engine.wait(_submit(engine, name="b").id, 10)
    assert (expected.state, expected.message) == (JobState.FAILED, "no wheel of annoy")
    assert (defect.state, defect.message) == (JobState.FAILED, "KeyError: 'defect'")
    assert "Traceback" in engine.log_path(defect.id).read_text()
    assert "Traceback" not in engine.log_path(expected.id).read_text()


def test_what_waits_and_what_runs_can_be_cancelled(engines):
    work = Work()
    work.gate.clear()
    engine = engines(work)
    running, queued = _submit(engine), _submit(engine)
    assert work.started.acquire(timeout=10)
    assert engine.cancel(queued.id).state is JobState.CANCELLED
    engine.cancel(running.id)
    assert engine.wait(running.id, 10).message == "cancelled while it ran"
    work.gate.set()
    after = engine.wait(_submit(engine).id, 10)
    assert after.state is JobState.SUCCEEDED
    assert engine.cancel(after.id).state is JobState.SUCCEEDED
    assert queued.id not in work.runs


def test_credentials_reach_the_job_and_nothing_else(engines, tmp_path):
    secret = "open-sesame-42"

    def leak(run):
        run.log.line(f"password {run.credentials.password}")
        raise ChassisError(f"refused {run.credentials.password}")

    work = Work(leak)
    engine = engines(work)
    job = engine.wait(_submit(engine, credentials=RegistryCredentials("ann", secret)).id, 10)
    assert work.credentials == [RegistryCredentials("ann", secret)]
    assert job.message == "refused ***"
    engine.close()
    for path in (tmp_path / "state").rglob("*"):
        assert path.is_dir() or secret.encode() not in path.read_bytes(), path


def test_a_stop_queues_again_what_runs(engines):
    work = Work()
    work.gate.clear()
    first = engines(work)
    running, queued = _submit(first), _submit(first)
    assert work.started.acquire(timeout=10)
    first.close()
    again = Work()
    second = engines(again)
    assert [second.wait(job.id, 10).state for job in (running, queued)] == [JobState.SUCCEEDED] * 2
    assert again.runs == [running.id, queued.id]
    assert second.get(running.id).attempts == 2


def test_after_a_restart_a_job_waits_for_credentials(engines):
    first = engines(Work(), start=False)
    with_secret = _submit(first, credentials=RegistryCredentials("ann", "x"))
    without = _submit(first)
    first.close()
    work = Work()
    second = engines(work)
    assert second.wait(without.id, 10).state is JobState.SUCCEEDED
    assert second.get(with_secret.id).state is JobState.WAITING
    assert "waits for its credentials" in second.log_path(with_secret.id).read_text()
    second.give_credentials(with_secret.id, RegistryCredentials("ann", "x"))
    assert second.wait(with_secret.id, 10).state is JobState.SUCCEEDED
    assert work.credentials[-1] == RegistryCredentials("ann", "x")


def test_one_directory_has_one_engine(engines):
    engines(Work(), start=False)
    with pytest.raises(StateInUseError, match="is used by another process"):
        engines(Work(), start=False)


def test_uploads_leave_nothing_behind(engines, tmp_path):
    engine = engines(Work())
    uploads = tmp_path / "state" / "uploads"
    with pytest.raises(UploadError):
        engine.receive(io.BytesIO(b"no tar"))
    assert list(uploads.iterdir()) == []
    engine.wait(_submit(engine).id, 10)
    assert list(uploads.iterdir()) == []
    _upload(engine)
    engine.close()
    engines(Work(), start=False)
    assert list(uploads.iterdir()) == []


def test_webhooks_get_the_final_status(engines):
    calls = []

    class Hooks(Webhooks):
        def call(self, url, document, sent, *, client, secret, identifier):
            calls.append((url, document["status"]["state"], client, secret[:6], identifier))
            sent()

    engine = engines(Work(), webhooks=Hooks(AddressPolicy.of_list("--webhook_hosts", ["127.0.0.1"])))
    job = engine.wait(_submit(engine, JobRequest(webhook="http://127.0.0.1:9/x")).id, 10)
    assert calls == [("http://127.0.0.1:9/x", "succeeded", "default", "whsec_", job.id)]
    assert engine.get(job.id).webhook_sent


def test_what_is_built_is_removed_when_it_is_too_much(engines, tmp_path):
    work = Work()
    built = tmp_path / "state" / "slots" / "0" / "output_base"
    built.mkdir(parents=True)
    (built / "large").write_bytes(bytes(2000))
    engine = engines(work, start=False, retention=Retention(cache_bytes=1000), sweep_seconds=0.01)
    engine.start()
    while not engine.storage():
        assert work.started.acquire(timeout=0.01) is False
    engine.wait(_submit(engine).id, 10)
    engine.wait(_submit(engine).id, 10)
    engine.close()
    assert work.tidied[:1] == [0]
    assert OUTPUTS in engine.storage()
