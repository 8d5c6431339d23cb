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
from typing import Any

from chassis.errors import ChassisError
from chassis.service.job import Job, JobRequest, JobState
from chassis.service.upload_store import QuotaError, Upload

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
# From each format to the next; a file of any of them is brought to the newest when it is opened. The jobs of a service
# that knew no names of clients are those of the client `default`, whom a single token without a name is.
_STEPS = (
    _SCHEMA,
    """
ALTER TABLE jobs ADD COLUMN client TEXT NOT NULL DEFAULT 'default';
ALTER TABLE jobs ADD COLUMN upload_bytes INTEGER NOT NULL DEFAULT 0;
CREATE INDEX jobs_by_client ON jobs (client, number);
CREATE TABLE runs (client TEXT NOT NULL, ended REAL NOT NULL, seconds REAL NOT NULL) STRICT;
CREATE INDEX runs_by_client ON runs (client, ended);
""",
)
_VERSION = len(_STEPS)

_COLUMNS = (
    "id, client, upload, upload_bytes, name, version, request, state, with_credentials, attempts, created, started, "
    "finished, message, result, webhook_sent"
)
_DAY = 24 * 3600.0
_FINAL = "('succeeded', 'failed', 'cancelled')"
_ACTIVE = "('queued', 'waiting', 'running')"


class JobStoreError(ChassisError):
    """The file of the jobs cannot be used."""


class JobQueueFullError(ChassisError):
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
          JobStoreError: it is not a database, or one of a newer Chassis.
        """
        self._clock = clock
        self._lock = threading.RLock()
        try:
            # Statements commit for themselves; synchronous=FULL is what a committed job's survival rests on.
            path.touch(mode=0o600)  # and with it those that SQLite makes beside it
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            found = self._connection.execute("PRAGMA user_version").fetchone()[0]
            if found > _VERSION:
                raise JobStoreError(
                    f"{path}: jobs of format {found}, this service knows {_VERSION}: use a newer Chassis"
                )
            for version in range(found, _VERSION):
                self._connection.executescript(
                    f"BEGIN IMMEDIATE; {_STEPS[version]} PRAGMA user_version = {version + 1}; COMMIT;"
                )
        except sqlite3.Error as error:
            raise JobStoreError(f"{path}: {error}\n  move it away to begin anew") from None

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._connection.close()

    def add(
        self,
        upload: Upload,
        request: JobRequest,
        with_credentials: bool,
        most_waiting: int,
        most_of_client: int = 1 << 31,
    ) -> Job:
        """Writes a new job of an upload's client; it is on the disk when this returns.

        Raises:
          UploadTakenError: there is a job with this upload.
          JobQueueFullError: `most_waiting` wait already.
          QuotaError: `most_of_client` of the client wait already.
        """
        job_id = uuid.uuid4().hex
        with self._transaction():
            own = self._waiting("AND client = ?", upload.client)
            if own >= most_of_client:
                raise QuotaError(
                    f"{own} jobs of {upload.client} wait already, and no more than {most_of_client} may: "
                    "try again later"
                )
            waiting = self._waiting()
            if waiting >= most_waiting:
                raise JobQueueFullError(
                    f"{waiting} jobs wait already, and no more than {most_waiting} may: try again later"
                )
            values = (
                job_id,
                upload.client,
                upload.id,
                upload.size,
                upload.name,
                upload.version,
                request.to_json(),
                JobState.QUEUED.value,
                int(with_credentials),
                self._clock(),
            )
            try:
                self._connection.execute(
                    "INSERT INTO jobs (id, client, upload, upload_bytes, name, version, request, state, "
                    "with_credentials, created) VALUES (?,?,?,?,?,?,?,?,?,?)",
                    values,
                )
            except sqlite3.IntegrityError:
                raise UploadTakenError(f"another job has the upload {upload.id}") from None
        return self.get(job_id)

    def get(self, job_id: str, client: str | None = None) -> Job:
        """The job `job_id`, of `client` if one is given.

        Raises:
          UnknownJobError: there is none, or it is another client's: who asks cannot tell which.
        """
        with self._lock:
            row = self._connection.execute(
                f"SELECT {_COLUMNS} FROM jobs WHERE id = ?1 AND (?2 IS NULL OR client = ?2)", (job_id, client)
            ).fetchone()
        if row is None:
            raise UnknownJobError(f"no job {job_id[:64]!r}")
        return _job(row)

    def has_upload(self, upload: str, client: str) -> bool:
        """Whether a job of `client` has an upload."""
        with self._lock:
            found = self._connection.execute("SELECT 1 FROM jobs WHERE upload = ? AND client = ?", (upload, client))
            return found.fetchone() is not None

    def newest(self, most: int, client: str | None = None) -> list[Job]:
        """The newest jobs, of `client` if one is given, newest first."""
        with self._lock:
            rows = self._connection.execute(
                f"SELECT {_COLUMNS} FROM jobs WHERE ?1 IS NULL OR client = ?1 ORDER BY number DESC LIMIT ?2",
                (client, most),
            ).fetchall()
        return [_job(row) for row in rows]

    def in_state(self, *states: JobState) -> list[Job]:
        """The jobs in any of `states`, oldest first."""
        marks = ",".join("?" * len(states))
        with self._lock:
            rows = self._connection.execute(
                f"SELECT {_COLUMNS} FROM jobs WHERE state IN ({marks}) ORDER BY number",
                [state.value for state in states],
            ).fetchall()
        return [_job(row) for row in rows]

    def claim(self, may_run: Callable[[str, int], bool] = lambda client, running: True) -> Job | None:
        """Takes a queued job for one worker, which no other gets then; None if none is queued that may run.

        Clients take turns: whoever has the fewest running is next, of these who was served longest ago. Of a client it
        is the oldest. `may_run` is asked with a client and the number of its jobs that run.
        """
        with self._transaction():
            waiting = self._connection.execute(
                "SELECT client, MIN(number), "
                "(SELECT COUNT(*) FROM jobs AS other WHERE other.state = 'running' AND other.client = jobs.client), "
                "(SELECT MAX(started) FROM jobs AS other WHERE other.client = jobs.client) "
                "FROM jobs WHERE state = 'queued' GROUP BY client"
            ).fetchall()
            for client, number, running, _ in sorted(waiting, key=lambda row: (row[2], row[3] or 0.0, row[1])):
                if may_run(client, running):
                    row = self._connection.execute(
                        "UPDATE jobs SET state = ?, attempts = attempts + 1, started = ? WHERE number = ? RETURNING id",
                        (JobState.RUNNING.value, self._clock(), number),
                    ).fetchone()
                    return self.get(row[0])
        return None

    def finish(self, job_id: str, state: JobState, message: str = "", result: dict[str, object] | None = None) -> bool:
        """Brings a job that is not finished to its final state; returns whether this call did."""
        with self._lock:
            changed = self._connection.execute(
                f"UPDATE jobs SET state = ?, message = ?, result = ?, finished = ? WHERE id = ? AND state IN {_ACTIVE}",
                (state.value, message, json.dumps(result) if result is not None else None, self._clock(), job_id),
            )
            return changed.rowcount == 1

    def move(self, job_id: str, before: JobState, after: JobState) -> bool:
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
        lost = self.in_state(JobState.RUNNING, JobState.QUEUED)
        with self._transaction():
            for job in lost:
                after = JobState.WAITING if job.with_credentials else JobState.QUEUED
                self.move(job.id, job.state, after)
        return [job for job in lost if job.with_credentials or job.state is JobState.RUNNING]

    def webhook_sent(self, job_id: str) -> None:
        """Remembers that the webhook of a job has answered."""
        with self._lock:
            self._connection.execute("UPDATE jobs SET webhook_sent = 1 WHERE id = ?", (job_id,))

    def ran(self, client: str, seconds: float) -> None:
        """Remembers for a day that a job of `client` ran that long."""
        now = self._clock()
        with self._transaction():
            self._connection.execute("DELETE FROM runs WHERE ended < ?", (now - _DAY,))
            self._connection.execute("INSERT INTO runs VALUES (?, ?, ?)", (client, now, seconds))

    def seconds_used(self, client: str) -> float:
        """How long jobs of `client` ran within the last 24 hours; those that run now included."""
        now = self._clock()
        with self._lock:
            (done,) = self._connection.execute(
                "SELECT TOTAL(seconds) FROM runs WHERE client = ? AND ended >= ?", (client, now - _DAY)
            ).fetchone()
            (running,) = self._connection.execute(
                "SELECT TOTAL(? - started) FROM jobs WHERE client = ? AND state = 'running'", (now, client)
            ).fetchone()
        return float(done + running)

    def active(self, client: str) -> tuple[int, int, int]:
        """How many jobs of `client` wait, how many run, and how many bytes their uploads have."""
        with self._lock:
            waiting, running, size = self._connection.execute(
                "SELECT COUNT(*) FILTER (WHERE state != 'running'), COUNT(*) FILTER (WHERE state = 'running'), "
                f"COALESCE(SUM(upload_bytes), 0) FROM jobs WHERE client = ? AND state IN {_ACTIVE}",
                (client,),
            ).fetchone()
        return waiting, running, size

    def forget(self, before: float, most_of_client: int) -> list[str]:
        """Removes jobs that ended before a time, and of each client all but so many of those that have ended.

        Returns their ids.
        """
        with self._lock:
            rows = self._connection.execute(
                f"DELETE FROM jobs WHERE state IN {_FINAL} AND (finished < ? OR number IN (SELECT number FROM (SELECT "
                "number, ROW_NUMBER() OVER (PARTITION BY client ORDER BY number DESC) AS place FROM jobs "
                f"WHERE state IN {_FINAL}) WHERE place > ?)) RETURNING id",
                (before, most_of_client),
            ).fetchall()
        return [row[0] for row in rows]

    def owners(self) -> dict[str, tuple[str, float | None]]:
        """For each job its client, and when it ended."""
        with self._lock:
            rows = self._connection.execute("SELECT id, client, finished FROM jobs").fetchall()
        return {job_id: (client, finished) for job_id, client, finished in rows}

    def _waiting(self, condition: str = "", *values: str) -> int:
        (count,) = self._connection.execute(
            f"SELECT COUNT(*) FROM jobs WHERE state IN ('queued', 'waiting') {condition}", values
        ).fetchone()
        return int(count)

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


def _job(row: tuple[Any, ...]) -> Job:
    fields = dict(zip(_COLUMNS.split(", "), row, strict=True))
    request: dict[str, Any] = json.loads(fields["request"])
    options: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in request.items()
    }
    return Job(
        id=fields["id"],
        client=fields["client"],
        upload_bytes=fields["upload_bytes"],
        upload=fields["upload"],
        name=fields["name"],
        version=fields["version"],
        request=JobRequest(**options),
        state=JobState(fields["state"]),
        with_credentials=bool(fields["with_credentials"]),
        attempts=fields["attempts"],
        created=fields["created"],
        started=fields["started"],
        finished=fields["finished"],
        message=fields["message"],
        result=json.loads(fields["result"]) if fields["result"] else None,
        webhook_sent=bool(fields["webhook_sent"]),
    )
