"""The queue and its workers: each job runs once, a restart goes on with what was there, nothing is lost to a kill."""

from __future__ import annotations

import contextlib
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Protocol

from chassis.errors import ChassisError
from chassis.oci.registry.errors import CancelledError
from chassis.oci.registry.transport import Cancellation
from chassis.service.build_policy import BuildPolicy
from chassis.service.clients import OWN, Client, Clients, webhook_key, webhook_secret
from chassis.service.failure import failure_message
from chassis.service.image_build import JobRun
from chassis.service.job import Job, JobRequest, JobState, RegistryCredentials
from chassis.service.job_log import JobLog
from chassis.service.job_store import JobStore, UploadTakenError
from chassis.service.printable import printable
from chassis.service.retention import OUTPUTS, Figure, Keeper, Retention
from chassis.service.state import hold_directory
from chassis.service.upload import Limits
from chassis.service.upload_store import QuotaError, UnknownUploadError, Upload, UploadStore
from chassis.service.webhook import Webhooks

_JOIN_SECONDS = 60.0
_SWEEP_SECONDS = 300.0
_MIN_SWEEP_SECONDS = 10.0
"""Between two looks at the disk, of which the end of a job brings one."""
_WINDOW_SECONDS = 15.0
"""How often is looked whether a client has minutes again."""
_WEBHOOK_SECONDS = 24 * 3600.0
_MAX_MESSAGE = 8000


class Runner(Protocol):
    """What runs a job."""

    def run(self, run: JobRun) -> dict[str, object]:
        """Runs it to its end; returns the result."""

    def tidy(self, slot: int) -> None:
        """Removes what a worker keeps between jobs; it runs none now."""

    def stop(self, slots: int) -> None:
        """Lets go of what is kept between jobs."""


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
        clients: Clients | None = None,
        retention: Retention | None = None,
        policy: BuildPolicy | None = None,
        job_seconds: float = 7200.0,
        sweep_seconds: float = _SWEEP_SECONDS,
    ) -> None:
        """Opens `root` and takes over what is there; `start` sets the workers going.

        A job is ended after `job_seconds`. Every `sweep_seconds`, and when a job has ended, what `retention` does not
        keep is removed.

        Raises:
          StateInUseError: another process uses it.
          JobStoreError: the file of the jobs cannot be used.
        """
        self.limits = limits or Limits()
        self.clients = clients or Clients()
        self._retention = retention or Retention()
        self._policy = policy or BuildPolicy()
        self._job_seconds = job_seconds
        self._sweep_seconds = sweep_seconds
        self._root = root
        self._runner = runner
        self._workers = workers
        self._queue_size = queue_size
        self.scratch = root / "scratch"
        for name in ("logs", "scratch"):
            (root / name).mkdir(parents=True, exist_ok=True)
        self._held = hold_directory(root)
        self._store = JobStore(root / "jobs.sqlite")
        self._uploads = UploadStore(root / "uploads", self.limits, self._retention.upload_seconds)
        self._keeper = Keeper(root, self._store, self._uploads, self._retention)
        self._figures: dict[str, Figure] = {}
        self._webhook_key = webhook_key(root / "webhook_key")
        self._changed = threading.Condition()
        self._credentials: dict[str, RegistryCredentials] = {}
        self._running: dict[str, Cancellation] = {}
        self._stopping = False
        self._ends = threading.Event()
        self._unswept = threading.Event()
        self._threads: list[threading.Thread] = []
        self._webhooks = webhooks or Webhooks()
        self._recover()

    # Uploads.

    @contextlib.contextmanager
    def arriving(self, client: Client, size: int) -> Iterator[None]:
        """Counts an upload of `size` bytes as the client's while it arrives.

        Raises:
          QuotaError: it would have more uploads, or more bytes, than it may.
        """
        with self._uploads.arriving(client, size, lambda: self._store.active(client.name)[2]):
            yield

    def receive(self, archive: BinaryIO, client: Client = OWN) -> Upload:
        """Unpacks an archive; it waits for a job as long as uploads are kept.

        Raises:
          UploadError: it is refused.
        """
        self._uploads.drop_old()
        return self._uploads.receive(archive, client)

    # Jobs.

    def submit(
        self,
        upload_id: str,
        request: JobRequest,
        credentials: RegistryCredentials | None = None,
        client: Client = OWN,
    ) -> Job:
        """Makes a job of an upload; it is on the disk when this returns.

        Raises:
          UnknownUploadError: the client has no such upload.
          UploadTakenError: another job took it.
          JobQueueFullError: as many jobs wait as may.
          QuotaError: as many of the client's, or it has no minutes left.
          AddressError: the webhook is where none is sent to.
          SourcesRefusedError: it would have built from sources what this service does not.
        """
        self._policy.check_sources(request.cross_build)
        try:
            upload = self._uploads.find(upload_id, client.name)
        except UnknownUploadError:
            if self._store.has_upload(upload_id, client.name):
                raise UploadTakenError(f"another job has the upload {upload_id[:64]!r}") from None
            raise
        if request.webhook:
            self._webhooks.check(request.webhook)
        used = self._store.seconds_used(client.name) / 60
        if used >= client.quota.minutes:
            raise QuotaError(
                f"jobs of {client.name} ran {used:.0f} minutes within 24 hours, and no more than "
                f"{client.quota.minutes} may: try again later",
                600,
            )
        with self._changed:
            job = self._store.add(upload, request, credentials is not None, self._queue_size, client.quota.queued)
            self._uploads.taken(upload_id)
            if credentials:
                self._credentials[job.id] = credentials
            self._changed.notify_all()
        return job

    def get(self, job_id: str, client: str | None = None) -> Job:
        """The job, of `client` if one is given.

        Raises:
          UnknownJobError: there is none, or it is another client's.
        """
        return self._store.get(job_id, client)

    def newest(self, most: int = 100, client: str | None = None) -> list[Job]:
        """The newest jobs, of `client` if one is given, newest first."""
        return self._store.newest(most, client)

    def used(self, client: str) -> dict[str, float]:
        """What a client has of each part of its quota."""
        uploads, held = self._uploads.used(client)
        queued, running, of_jobs = self._store.active(client)
        minutes = round(self._store.seconds_used(client) / 60, 1)
        return {"uploads": uploads, "bytes": held + of_jobs, "queued": queued, "running": running, "minutes": minutes}

    def storage(self) -> Mapping[str, Figure]:
        """What the service's directories had in them when they were last looked at."""
        return self._figures

    def webhook_secret(self, client: str) -> str:
        """What a client's webhooks are signed with."""
        return webhook_secret(self._webhook_key, client)

    def give_credentials(self, job_id: str, credentials: RegistryCredentials) -> Job:
        """Gives a job that waits for them its credentials again; of any other job they are refused quietly."""
        with self._changed:
            job = self._store.get(job_id)
            if job.state is JobState.WAITING:
                self._credentials[job_id] = credentials
                self._store.move(job_id, JobState.WAITING, JobState.QUEUED)
                self._changed.notify_all()
        return self._store.get(job_id)

    def cancel(self, job_id: str) -> Job:
        """Cancels a job that is not finished: it stops at once, or as soon as Bazel and the registry let it."""
        with self._changed:
            job = self._store.get(job_id)
            if job.state in (JobState.QUEUED, JobState.WAITING):
                self._end(job_id, JobState.CANCELLED, "cancelled before it ran")
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
        thread = threading.Thread(target=self._keep, name="keeper", daemon=True)
        thread.start()
        self._threads.append(thread)

    def close(self) -> None:
        """Stops: what runs is interrupted and queued again for the next start."""
        with self._changed:
            self._stopping = True
            self._ends.set()
            self._unswept.set()
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
                while not self._stopping and (job := self._store.claim(self._may_run)) is None:
                    self._changed.wait(_WINDOW_SECONDS)
                if job is None:
                    return
                cancellation = self._running[job.id] = Cancellation()
                credentials = self._credentials.get(job.id)
            self._run(job, slot, credentials, cancellation)
            self._tidy(slot)

    def _tidy(self, slot: int) -> None:
        """Has what a worker's Bazel keeps removed, when all workers' together is more than may be."""
        built = self._figures.get(OUTPUTS)
        if built and built.bytes > built.limit and not self._ends.is_set():
            self._runner.tidy(slot)
            self._figures = self._keeper.figures(caches=True)

    def _may_run(self, client: str, running: int) -> bool:
        quota = self.clients.named(client).quota
        return running < quota.running and self._store.seconds_used(client) < quota.minutes * 60

    def _run(self, job: Job, slot: int, credentials: RegistryCredentials | None, cancellation: Cancellation) -> None:
        begin = time.monotonic()
        state, message, result = JobState.FAILED, "", None
        secrets = [credentials.password] if credentials else []
        overdue = threading.Event()

        def end() -> None:
            overdue.set()
            cancellation.set()

        timer = threading.Timer(self._job_seconds, end)
        timer.daemon = True
        timer.start()
        with JobLog(self.log_path(job.id), secrets) as log:
            if job.attempts > 1:
                log.line(f"run {job.attempts}: the service was stopped during the one before")
            try:
                upload = self._uploads.path(job.upload)
                result = self._runner.run(JobRun(job, upload, slot, credentials, log, cancellation))
                state = JobState.SUCCEEDED
            except CancelledError:
                state, message = JobState.CANCELLED, "cancelled while it ran"
                if overdue.is_set():
                    state = JobState.FAILED
                    message = (
                        f"stopped: it ran for {self._job_seconds / 60:g} minutes, as long as a job may (--job_minutes)"
                    )
            except ChassisError as error:
                message = log.hide(failure_message(error, job))
            except Exception as error:  # a defect of the service must end the job, not the worker
                message = log.hide(f"{type(error).__name__}: {error}")
                log.output(traceback.format_exc())
            finally:
                timer.cancel()
            message = printable(message)[:_MAX_MESSAGE]
            interrupted = state is JobState.CANCELLED and self._stopping
            log.reason("the service stops; the job goes on when it is started again" if interrupted else message)
        with self._changed:
            del self._running[job.id]
            self._store.ran(job.client, time.monotonic() - begin)
            if interrupted:
                self._store.move(job.id, JobState.RUNNING, JobState.QUEUED)
            else:
                self._end(job.id, state, message, result)
            self._changed.notify_all()

    def _end(self, job_id: str, state: JobState, message: str = "", result: dict[str, object] | None = None) -> None:
        """Brings a job to its end, under the lock."""
        if not self._store.finish(job_id, state, message, result):
            return
        self._credentials.pop(job_id, None)
        job = self._store.get(job_id)
        self._uploads.remove(job.upload)
        self._unswept.set()
        self._call_webhook(job)

    def _call_webhook(self, job: Job) -> None:
        if job.request.webhook:
            self._webhooks.call(
                job.request.webhook,
                job.document(),
                lambda: self._store.webhook_sent(job.id),
                client=job.client,
                secret=self.webhook_secret(job.client),
                identifier=job.id,
            )

    # What is kept.

    def _keep(self) -> None:
        while not self._ends.is_set():
            self._sweep()
            self._ends.wait(min(_MIN_SWEEP_SECONDS, self._sweep_seconds))
            self._unswept.wait(self._sweep_seconds)
            self._unswept.clear()

    def _sweep(self) -> None:
        with self._changed:
            late = time.time() - self._retention.waiting_seconds
            for job in self._store.in_state(JobState.WAITING):
                if job.created < late:
                    self._end(job.id, JobState.FAILED, "no credentials came in time: publish again")
                    self._changed.notify_all()
        self._keeper.sweep()
        self._figures = self._keeper.figures()

    # What a former process left.

    def _recover(self) -> None:
        for job in self._store.recover():
            with JobLog(self.log_path(job.id)) as log:
                log.line("the service was started again")
                if job.with_credentials:
                    log.line("the job waits for its credentials, which were in memory only")
        self._keeper.recover()
        self._uploads.drop_others(
            {job.upload for job in self._store.in_state(JobState.QUEUED, JobState.WAITING, JobState.RUNNING)}
        )
        recent = time.time() - _WEBHOOK_SECONDS
        for job in self._store.in_state(JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED):
            if job.request.webhook and not job.webhook_sent and (job.finished or 0.0) > recent:
                self._call_webhook(job)
