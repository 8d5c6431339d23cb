"""Uploads on the disk: whose they are, how much each client has there, and when one that no job took goes."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from chassis.errors import ChassisError
from chassis.service.clients import OWN, Client
from chassis.service.upload import Limits, unpack

_BLOCK_BYTES = 4096


class UnknownUploadError(ChassisError, LookupError):
    """The client has no upload of that id, or a job took it."""


class QuotaError(ChassisError):
    """A client has all that it may have of something; `seconds` is when to ask again."""

    def __init__(self, message: str, seconds: int = 60) -> None:
        super().__init__(message)
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Upload:
    """An unpacked model that no job has taken yet.

    Attributes:
      id: 32 hexadecimal digits.
      client: whose it is.
      name: the model's name.
      version: the model's version.
      size: bytes of its files and directories, each in whole blocks of a disk: ten thousand empty ones count, too.
      created: seconds since the epoch.
    """

    id: str
    client: str
    name: str
    version: str
    size: int
    created: float


class UploadStore:
    """A directory of unpacked models, one an upload. Safe to use from several threads."""

    def __init__(
        self,
        root: Path,
        limits: Limits,
        seconds: float = 3600.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Keeps uploads below `root`, one that no job takes for `seconds`."""
        self.limits = limits
        self._root = root
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: dict[str, Upload] = {}
        self._arriving: dict[object, tuple[str, int]] = {}
        root.mkdir(parents=True, exist_ok=True)

    def path(self, upload_id: str) -> Path:
        """The directory of an upload."""
        return self._root / upload_id

    @contextlib.contextmanager
    def arriving(self, client: Client, size: int, jobs_bytes: Callable[[], int] = lambda: 0) -> Iterator[None]:
        """Counts `size` bytes as the client's while they arrive; `jobs_bytes` says what its jobs have on the disk.

        It is asked under the lock: an upload that a job takes meanwhile is counted twice rather than not at all.

        Raises:
          QuotaError: it would have more uploads, or more bytes, than it may.
        """
        mine = object()
        with self._lock:
            of_jobs = jobs_bytes()
            count, held = self._used(client.name)
            if count >= client.quota.uploads:
                raise QuotaError(
                    f"{count} uploads wait for a job or arrive, and no more than {client.quota.uploads} of "
                    f"{client.name} may: submit them, or wait until they expire"
                )
            if held + of_jobs + size > client.quota.bytes:
                raise QuotaError(
                    f"{client.name} has {held + of_jobs} bytes of uploads here, and with {size} more it would be above "
                    f"its {client.quota.bytes}: wait until jobs have ended"
                )
            self._arriving[mine] = (client.name, size)
        try:
            yield
        finally:
            with self._lock:
                del self._arriving[mine]

    def receive(self, archive: BinaryIO, client: Client = OWN) -> Upload:
        """Unpacks an archive.

        Raises:
          UploadError: it is refused.
        """
        upload_id = uuid.uuid4().hex
        directory = self.path(upload_id)
        directory.mkdir(mode=0o700)
        try:
            model = unpack(archive, directory, self.limits)
            _sync(directory)
            size = sum(_on_disk(path.stat().st_size) for path in directory.rglob("*"))
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise
        metadata = model.metadata
        upload = Upload(upload_id, client.name, metadata.name, metadata.model_version, size, self._clock())
        with self._lock:
            self._waiting[upload_id] = upload
        return upload

    def find(self, upload_id: str, client: str) -> Upload:
        """An upload of `client` that no job has taken.

        Raises:
          UnknownUploadError: there is none, or it is another client's.
        """
        with self._lock:
            upload = self._waiting.get(upload_id)
        if upload is None or upload.client != client:
            raise UnknownUploadError(f"no upload {upload_id[:64]!r}, or its time is over: send it again")
        return upload

    def taken(self, upload_id: str) -> None:
        """Leaves an upload to the job that took it."""
        with self._lock:
            self._waiting.pop(upload_id, None)

    def used(self, client: str) -> tuple[int, int]:
        """How many uploads of `client` wait or arrive, and how many bytes they have."""
        with self._lock:
            return self._used(client)

    def drop_old(self) -> None:
        """Removes what no job took in time."""
        oldest = self._clock() - self._seconds
        with self._lock:
            old = [upload.id for upload in self._waiting.values() if upload.created < oldest]
            for upload_id in old:
                del self._waiting[upload_id]
        for upload_id in old:
            self.remove(upload_id)

    def drop_others(self, wanted: set[str]) -> None:
        """Removes all but `wanted`: what a former process left."""
        for directory in self._root.iterdir():
            if directory.name not in wanted:
                self.remove(directory.name)

    def remove(self, upload_id: str) -> None:
        """Removes an upload's files."""
        remove_entry(self.path(upload_id))

    def _used(self, client: str) -> tuple[int, int]:
        sizes = [upload.size for upload in self._waiting.values() if upload.client == client]
        sizes += [size for name, size in self._arriving.values() if name == client]
        return len(sizes), sum(sizes)


def _on_disk(size: int) -> int:
    return -(-max(1, size) // _BLOCK_BYTES) * _BLOCK_BYTES


def remove_entry(path: Path) -> None:
    """Removes a file, a link, or a directory with all below it; what is gone already is ignored."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _sync(directory: Path) -> None:
    """Brings what is in `directory` to the disk."""
    for path in (*directory.rglob("*"), directory, directory.parent):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
