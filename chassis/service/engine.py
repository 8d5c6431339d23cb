"""The queue and its workers: each job runs once, a restart goes on with what was there, nothing is lost to a kill."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import threading
import time
import traceback
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from chassis.errors import ChassisError
from chassis.oci.registry.errors import AuthenticationError, CancelledError
from chassis.oci.registry.transport import Cancellation
from chassis.service.image_build import JobRun
from chassis.service.job import Job, JobRequest, RegistryCredentials, State
from chassis.service.job_log import JobLog
from chassis.service.job_store import JobStore
from chassis.service.upload import Limits, UploadError, read_model, unpack
from chassis.service.webhook import Webhooks

_UPLOAD_SECONDS = 3600.0
_WAITING_SECONDS = 24 * 3600.0
_JOIN_SECONDS = 60.0


class EngineError(ChassisError):
    """The engine cannot work where it was told to."""


class UnknownUploadError(ChassisError, LookupError):
    """No upload has that id, or a job took it."""


class Runner(Protocol):
    """What runs a job."""

    def run(self, run: JobRun) -> dict[str, object]:
        """Runs it to its end; returns the result."""

    def stop(self, slots: int) -> None:
        """Lets go of what is kept between jobs."""


@dataclass(frozen=True, slots=True)
class Upload:
    """An unpacked model that no job has taken yet."""

    id: str
    name: str
    version: str


class Engine:
    """Jobs in a directory. Safe to use from several threads; one process at a time may use a directory."""

    def __init__(
        self,
        root: Path,
        runner: Runner,
        *,
        workers: int = 1,
        queue_size: int = 100,
        limits: Limits | None = None,
        webhooks: Webhooks | None = None,
    ) -> None:
        """Opens `root` and takes over what is there; `start` sets the workers going.

        Raises:
          EngineError: another process uses it.
          JobStoreError: the file of the jobs cannot be used.
        """
        self.limits = limits or Limits()
        self._root = root
        self._runner = runner
        self._workers = workers
        self._queue_size = queue_size
        self.scratch = root / "scratch"
        for name in ("uploads", "logs", "scratch"):
            (root / name).mkdir(parents=True, exist_ok=True)
        self._held = _hold(root)
        self._store = JobStore(root / "jobs.sqlite")
        self._changed = threading.Condition()
        self._credentials: dict[str, RegistryCredentials] = {}
        self._running: dict[str, Cancellation] = {}
        self._stopping = False
        self._threads: list[threading.Thread] = []
        self._webhooks = webhooks or Webhooks()
        self._recover()

    # Uploads.

    def receive(self, archive: BinaryIO) -> Upload:
        """Unpacks an archive; it waits an hour for a job.

        Raises:
          UploadError: it is refused.
        """
        upload_id = uuid.uuid4().hex
        self._drop_what_is_old()
        directory = self._root / "uploads" / upload_id
        directory.mkdir()
        try:
            model = unpack(archive, directory, self.limits)
            _sync(directory)
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise
        return Upload(upload_id, model.metadata.name, model.metadata.model_version)

    # Jobs.

    def submit(self, upload_id: str, request: JobRequest, credentials: RegistryCredentials | None = None) -> Job:
        """Makes a job of an upload; it is on the disk when this returns.

        Raises:
          UnknownUploadError: there is no such upload.
          UploadTakenError: another job took it.
          QueueFullError: as many jobs wait as may.
        """
        upload = self._root / "uploads" / upload_id
        if not _is_id(upload_id) or not upload.is_dir():
            raise UnknownUploadError(f"no upload {upload_id[:64]!r}, or its hour is over: send it again")
        model = read_model(upload, self.limits)
        with self._changed:
            job = self._store.add(
                upload_id,
                model.metadata.name,
                model.metadata.model_version,
                request,
                credentials is not None,
                self._queue_size,
            )
            if credentials:
                self._credentials[job.id] = credentials
            self._changed.notify_all()
        return job

    def get(self, job_id: str) -> Job:
        """The job.

        Raises:
          UnknownJobError: there is none.
        """
        return self._store.get(job_id)

    def newest(self, most: int = 100) -> list[Job]:
        """The newest jobs, newest first."""
        return self._store.newest(most)

    def give_credentials(self, job_id: str, credentials: RegistryCredentials) -> Job:
        """Gives a job that waits for them its credentials again; of any other job they are refused quietly."""
        with self._changed:
            job = self._store.get(job_id)
            if job.state is State.WAITING:
                self._credentials[job_id] = credentials
                self._store.move(job_id, State.WAITING, State.QUEUED)
                self._changed.notify_all()
        return self._store.get(job_id)

    def cancel(self, job_id: str) -> Job:
        """Cancels a job that is not finished: it stops at once, or as soon as Bazel and the registry let it."""
        with self._changed:
            job = self._store.get(job_id)
            if job.state in (State.QUEUED, State.WAITING):
                self._end(job_id, State.CANCELLED, "cancelled before it ran")
            elif job_id in self._running:
                self._running[job_id].set()
            self._changed.notify_all()
        return self._store.get(job_id)

    def wait(self, job_id: str, timeout: float | None = None) -> Job:
        """Waits until the job is finished, or `timeout` seconds; returns it as it is then."""
        end = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while True:
                job = self._store.get(job_id)
                left = None if end is None else end - time.monotonic()
                if job.state.final or (left is not None and left <= 0):
                    return job
                self._changed.wait(left)

    def log_path(self, job_id: str) -> Path:
        """The file of a job's log; it may not be there yet.

        Raises:
          UnknownJobError: there is no such job.
        """
        return self._root / "logs" / f"{self._store.get(job_id).id}.log"

    # Life.

    def start(self) -> None:
        """Starts the workers."""
        for slot in range(self._workers):
            thread = threading.Thread(target=self._work, args=(slot,), name=f"worker-{slot}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def close(self) -> None:
        """Stops: what runs is interrupted and queued again for the next start."""
        with self._changed:
            self._stopping = True
            for cancellation in self._running.values():
                cancellation.set()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(_JOIN_SECONDS)
        self._runner.stop(self._workers)
        self._webhooks.close()
        self._store.close()
        self._held.close()

    def _work(self, slot: int) -> None:
        while True:
            with self._changed:
                job = None
                while not self._stopping and (job := self._store.claim()) is None:
                    self._changed.wait()
                if job is None:
                    return
                cancellation = self._running[job.id] = Cancellation()
                credentials = self._credentials.get(job.id)
            self._run(job, slot, credentials, cancellation)

    def _run(self, job: Job, slot: int, credentials: RegistryCredentials | None, cancellation: Cancellation) -> None:
        state, message, result = State.FAILED, "", None
        secrets = [credentials.password] if credentials else []
        with JobLog(self.log_path(job.id), secrets) as log:
            if job.attempts > 1:
                log.line(f"run {job.attempts}: the service was stopped during the one before")
            try:
                upload = self._root / "uploads" / job.upload
                result = self._runner.run(JobRun(job, upload, slot, credentials, log, cancellation))
                state = State.SUCCEEDED
            except CancelledError:
                state, message = State.CANCELLED, "cancelled while it ran"
            except ChassisError as error:
                message = log.hide(_message(error, job))
            except Exception as error:  # a defect of the service must end the job, not the worker
                message = log.hide(f"{type(error).__name__}: {error}")
                log.line(traceback.format_exc())
            interrupted = state is State.CANCELLED and self._stopping
            log.line("the service stops; the job goes on when it is started again" if interrupted else message)
        with self._changed:
            del self._running[job.id]
            if interrupted:
                self._store.move(job.id, State.RUNNING, State.QUEUED)
            else:
                self._end(job.id, state, message, result)
            self._changed.notify_all()

    def _end(self, job_id: str, state: State, message: str = "", result: dict[str, object] | None = None) -> None:
        """Brings a job to its end, under the lock."""
        if not self._store.finish(job_id, state, message, result):
            return
        self._credentials.pop(job_id, None)
        job = self._store.get(job_id)
        shutil.rmtree(self._root / "uploads" / job.upload, ignore_errors=True)
        self._call_webhook(job)

    def _call_webhook(self, job: Job) -> None:
        if job.request.webhook:
            self._webhooks.call(job.request.webhook, job.document(), lambda: self._store.webhook_sent(job.id))

    # What a former process left.

    def _recover(self) -> None:
        for job in self._store.recover():
            with JobLog(self.log_path(job.id)) as log:
                log.line("the service was started again")
                if job.with_credentials:
                    log.line("the job waits for its credentials, which were in memory only")
        wanted = self._wanted_uploads()
        for directory in (self._root / "uploads").iterdir():
            if directory.name not in wanted:
                shutil.rmtree(directory, ignore_errors=True)
        for job in self._store.in_state(State.SUCCEEDED, State.FAILED, State.CANCELLED):
            if job.request.webhook and not job.webhook_sent:
                self._call_webhook(job)

    def _wanted_uploads(self) -> set[str]:
        return {job.upload for job in self._store.in_state(State.QUEUED, State.WAITING, State.RUNNING)}

    def _drop_what_is_old(self) -> None:
        for job in self._store.in_state(State.WAITING):
            if job.created < time.time() - _WAITING_SECONDS:
                with self._changed:
                    self._end(job.id, State.FAILED, "no credentials came for a day: publish again")
        oldest = time.time() - _UPLOAD_SECONDS
        wanted = self._wanted_uploads()
        for directory in (self._root / "uploads").iterdir():
            with contextlib.suppress(FileNotFoundError):
                if directory.name not in wanted and directory.stat().st_mtime < oldest:
                    shutil.rmtree(directory, ignore_errors=True)


def _message(error: ChassisError, job: Job) -> str:
    if isinstance(error, AuthenticationError):
        return f"{job.request.registry} refused the credentials, nothing was tagged: {error}"
    if isinstance(error, UploadError):
        return f"the upload cannot be read any more: {error}"
    return str(error)


def _is_id(text: str) -> bool:
    return len(text) == 32 and not set(text) - set("0123456789abcdef")


def _hold(root: Path) -> BinaryIO:
    """A lock on `root` that the kernel lets go of when this process ends, however it does."""
    file = (root / "lock").open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise EngineError(
            f"{root} is used by another process of the service: stop it, or give another directory"
        ) from None
    return file


def _sync(directory: Path) -> None:
    """Brings what is in `directory` to the disk."""
    for path in _below(directory):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _below(directory: Path) -> Iterator[Path]:
    yield from directory.rglob("*")
    yield directory
    yield directory.parent
