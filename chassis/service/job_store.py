"""The jobs in SQLite: what is written here survives a `kill -9`."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from chassis.errors import ChassisError
from chassis.service.job import Job, JobRequest, State

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    upload TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    request TEXT NOT NULL,
    state TEXT NOT NULL,
    with_credentials INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    created REAL NOT NULL,
    started REAL,
    finished REAL,
    message TEXT NOT NULL DEFAULT '',
    result TEXT,
    webhook_sent INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state, number);
"""
_VERSION = 1

_COLUMNS = (
    "id, upload, name, version, request, state, with_credentials, attempts, created, started, finished, message, "
    "result, webhook_sent"
)


class JobStoreError(ChassisError):
    """The file of the jobs cannot be used."""


class QueueFullError(ChassisError):
    """As many jobs wait as may."""


class UploadTakenError(ChassisError):
    """Another job has the upload."""


class UnknownJobError(ChassisError, LookupError):
    """No job has that id."""


class JobStore:
    """Jobs in one file. Safe to use from several threads; one process at a time may use a file."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        """Opens the file, or makes it.

        Raises:
          JobStoreError: it is no database, or one of a newer Chassis.
        """
        self._clock = clock
        self._lock = threading.RLock()
        try:
            # Statements commit for themselves; synchronous=FULL is what a committed job's survival rests on.
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            found = self._connection.execute("PRAGMA user_version").fetchone()[0]
            if found > _VERSION:
                raise JobStoreError(
                    f"{path}: jobs of format {found}, this service knows {_VERSION}: use a newer Chassis"
                )
            self._connection.executescript(_SCHEMA)
            self._connection.execute(f"PRAGMA user_version = {_VERSION}")
        except sqlite3.Error as error:
            raise JobStoreError(f"{path}: {error}\n  move it away to begin anew") from None

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._connection.close()

    def add(
        self,
        upload: str,
        name: str,
        version: str,
        request: JobRequest,
        with_credentials: bool,
        most_waiting: int,
    ) -> Job:
        """Writes a new job; it is on the disk when this returns.

        Raises:
          UploadTakenError: there is a job with this upload.
          QueueFullError: `most_waiting` wait already.
        """
        job_id = uuid.uuid4().hex
        with self._transaction():
            waiting = self._count(State.QUEUED) + self._count(State.WAITING)
            if waiting >= most_waiting:
                raise QueueFullError(
                    f"{waiting} jobs wait already, and no more than {most_waiting} may: try again later"
                )
            values = (
                upload,
                name,
                version,
                request.to_json(),
                State.QUEUED.value,
                int(with_credentials),
                self._clock(),
            )
            try:
                self._connection.execute(
                    "INSERT INTO jobs (id, upload, name, version, request, state, with_credentials, created) "
                    "VALUES (?,?,?,?,?,?,?,?)",
                    (job_id, *values),
                )
            except sqlite3.IntegrityError:
                raise UploadTakenError(f"another job has the upload {upload}") from None
        return self.get(job_id)

    def get(self, job_id: str) -> Job:
        """The job `job_id`.

        Raises:
          UnknownJobError: there is none.
        """
        with self._lock:
            row = self._connection.execute(f"SELECT {_COLUMNS} FROM jobs WHERE id = ?", (job_id,)).fetchone()
        if row is None:
            raise UnknownJobError(f"no job {job_id[:64]!r}")
        return _job(row)

    def newest(self, most: int) -> list[Job]:
        """The newest jobs, newest first."""
        with self._lock:
            rows = self._connection.execute(
                f"SELECT {_COLUMNS} FROM jobs ORDER BY number DESC LIMIT ?", (most,)
            ).fetchall()
        return [_job(row) for row in rows]

    def in_state(self, *states: State) -> list[Job]:
        """The jobs in any of `states`, oldest first."""
        marks = ",".join("?" * len(states))
        with self._lock:
            rows = self._connection.execute(
                f"SELECT {_COLUMNS} FROM jobs WHERE state IN ({marks}) ORDER BY number",
                [state.value for state in states],
            ).fetchall()
        return [_job(row) for row in rows]

    def claim(self) -> Job | None:
        """Takes the oldest queued job for one worker, which no other gets then; None where nothing is queued."""
        with self._lock:
            row = self._connection.execute(
                "UPDATE jobs SET state = ?, attempts = attempts + 1, started = ? WHERE number = "
                "(SELECT number FROM jobs WHERE state = ? ORDER BY number LIMIT 1) RETURNING id",
                (State.RUNNING.value, self._clock(), State.QUEUED.value),
            ).fetchone()
        return self.get(row[0]) if row else None

    def finish(self, job_id: str, state: State, message: str = "", result: dict[str, object] | None = None) -> bool:
        """Brings a job that is not finished to its final state; returns whether this call did."""
        with self._lock:
            changed = self._connection.execute(
                "UPDATE jobs SET state = ?, message = ?, result = ?, finished = ? WHERE id = ? "
                "AND state IN ('queued', 'waiting', 'running')",
                (state.value, message, json.dumps(result) if result is not None else None, self._clock(), job_id),
            )
            return changed.rowcount == 1

    def move(self, job_id: str, before: State, after: State) -> bool:
        """Changes the state of a job that is in `before`; returns whether it was."""
        with self._lock:
            changed = self._connection.execute(
                "UPDATE jobs SET state = ? WHERE id = ? AND state = ?", (after.value, job_id, before.value)
            )
            return changed.rowcount == 1

    def recover(self) -> list[Job]:
        """Puts back what a service that was killed had running, or had credentials for; returns these jobs.

        A job with credentials waits for them: they were in the memory of that service.
        """
        lost = self.in_state(State.RUNNING, State.QUEUED)
        with self._transaction():
            for job in lost:
                after = State.WAITING if job.with_credentials else State.QUEUED
                self.move(job.id, job.state, after)
        return [job for job in lost if job.with_credentials or job.state is State.RUNNING]

    def webhook_sent(self, job_id: str) -> None:
        """Remembers that the webhook of a job has answered."""
        with self._lock:
            self._connection.execute("UPDATE jobs SET webhook_sent = 1 WHERE id = ?", (job_id,))

    def _count(self, state: State) -> int:
        return self._connection.execute("SELECT COUNT(*) FROM jobs WHERE state = ?", (state.value,)).fetchone()[0]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")


def _job(row: tuple) -> Job:
    fields = dict(zip(_COLUMNS.split(", "), row, strict=True))
    request = json.loads(fields["request"])
    return Job(
        id=fields["id"],
        upload=fields["upload"],
        name=fields["name"],
        version=fields["version"],
        request=JobRequest(
            **{key: tuple(value) if isinstance(value, list) else value for key, value in request.items()}
        ),
        state=State(fields["state"]),
        with_credentials=bool(fields["with_credentials"]),
        attempts=fields["attempts"],
        created=fields["created"],
        started=fields["started"],
        finished=fields["finished"],
        message=fields["message"],
        result=json.loads(fields["result"]) if fields["result"] else None,
        webhook_sent=bool(fields["webhook_sent"]),
    )
