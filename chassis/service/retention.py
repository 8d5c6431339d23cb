"""What the service keeps, and for how long: everything on its disk goes by time, by number or by bytes."""

from __future__ import annotations

import os
import stat
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from chassis.service.job_store import JobStore
from chassis.service.upload_store import UploadStore, remove_entry

_DAY = 24 * 3600.0
_LOG = ".log"
_MEASURED_SECONDS = 300.0
INDEX_CACHE = "index_cache"
"""The directory of what the resolver keeps of the index, which grows with each name that a client asks for."""

OUTPUTS = "Bazel's outputs"
"""What Bazel has unpacked and built for all workers."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How much is kept. Seconds count from the end of a job, or from the last use.

    Attributes:
      upload_seconds: an upload that no job takes.
      waiting_seconds: a job that waits for its credentials.
      job_seconds: a job that has ended, with its log and its image.
      jobs: ended jobs of a client.
      log_bytes: all logs.
      image_seconds: an image.
      images: images of a client.
      image_bytes: all images. Blobs that are hard links of Bazel's outputs count here, too.
      lock_seconds: locks of a model's requirements.
      lock_bytes: all of these.
      cache_seconds: an entry of Bazel's cache of actions.
      cache_bytes: all entries; and as much for what Bazel has unpacked and built.
    """

    upload_seconds: float = 3600.0
    waiting_seconds: float = _DAY
    job_seconds: float = 30 * _DAY
    jobs: int = 10_000
    log_bytes: int = 2 << 30
    image_seconds: float = 7 * _DAY
    images: int = 20
    image_bytes: int = 100 << 30
    lock_seconds: float = 30 * _DAY
    lock_bytes: int = 1 << 30
    cache_seconds: float = 30 * _DAY
    cache_bytes: int = 100 << 30


@dataclass(frozen=True, slots=True)
class Stored:
    """Something on the disk that may be removed.

    Attributes:
      path: its file or directory.
      client: whose it is; "" for everybody's.
      time: of its job's end, or of its last use.
      size: bytes.
    """

    path: Path
    client: str
    time: float
    size: int


@dataclass(frozen=True, slots=True)
class Figure:
    """Bytes of a kind of files, and how many there may be; 0 for no limit of its own."""

    bytes: int
    limit: int


class Keeper:
    """Removes what is kept no longer, below a service's directory."""

    def __init__(
        self,
        root: Path,
        store: JobStore,
        uploads: UploadStore,
        retention: Retention,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._root = root
        self._store = store
        self._uploads = uploads
        self._retention = retention
        self._clock = clock
        self._caches: dict[str, Figure] = {}
        self._measured = 0.0

    def recover(self) -> None:
        """Removes images that a killed service left half put together."""
        for path in _entries(self._root / "images"):
            if path.name.startswith("."):
                remove_entry(path)

    def sweep(self) -> None:
        """Removes what is too old or too much. What a job that has not ended needs stays."""
        kept, now = self._retention, self._clock()
        self._uploads.drop_old()
        self._store.forget(now - kept.job_seconds, kept.jobs)
        logs = [(path, path.name.removesuffix(_LOG)) for path in _entries(self._root / "logs")]
        images = [(path, path.name) for path in _entries(self._root / "images") if not path.name.startswith(".")]
        owners = self._store.owners()  # after the directories: a job is written down before it has a file
        self._remove_all(_excess(self._of_jobs(logs, owners), now - kept.job_seconds, kept.jobs, kept.log_bytes))
        self._remove_all(
            _excess(self._of_jobs(images, owners), now - kept.image_seconds, kept.images, kept.image_bytes)
        )
        locks = [Stored(path, "", path.stat().st_mtime, tree_bytes(path)) for path in _entries(self._root / "locks")]
        self._remove_all(_excess(locks, now - kept.lock_seconds, len(locks), kept.lock_bytes))

    def figures(self, caches: bool = False) -> dict[str, Figure]:
        """How many bytes there are of what; this reads all directories.

        Those of Bazel, which are large, are read again after five minutes, or if `caches` says so.
        """
        kept = self._retention
        if caches or self._clock() > self._measured + _MEASURED_SECONDS:
            self._caches = {
                "cache of actions": Figure(tree_bytes(self._root / "disk_cache"), kept.cache_bytes),
                OUTPUTS: Figure(tree_bytes(self._root / "slots"), kept.cache_bytes),
            }
            self._measured = self._clock()
        return {
            "uploads": Figure(tree_bytes(self._root / "uploads"), 0),
            "logs": Figure(tree_bytes(self._root / "logs"), kept.log_bytes),
            "images": Figure(tree_bytes(self._root / "images"), kept.image_bytes),
            "locks": Figure(tree_bytes(self._root / "locks"), kept.lock_bytes),
            "answers of the index": Figure(tree_bytes(self._root / INDEX_CACHE), kept.lock_bytes),
            **self._caches,
        }

    def _of_jobs(
        self, found: Iterable[tuple[Path, str]], owners: dict[str, tuple[str, float | None]]
    ) -> Iterator[Stored]:
        """Those of jobs that have ended; what belongs to no job is removed, what is of one that goes on is left out."""
        for path, job_id in found:
            if job_id not in owners:
                remove_entry(path)
                continue
            client, finished = owners[job_id]
            if finished is not None:
                yield Stored(path, client, finished, tree_bytes(path))

    def _remove_all(self, excess: Iterable[Stored]) -> None:
        for stored in excess:
            remove_entry(stored.path)


def _excess(found: Iterable[Stored], oldest: float, most_of_client: int, most_bytes: int) -> list[Stored]:
    """What is older than `oldest`, more than a client may have, or too much for all: then of who has the most bytes."""
    gone: list[Stored] = []
    by_client: dict[str, list[Stored]] = defaultdict(list)
    for stored in sorted(found, key=lambda one: one.time, reverse=True):
        own = by_client[stored.client]
        (gone if stored.time < oldest or len(own) >= most_of_client else own).append(stored)
    sizes = {client: sum(one.size for one in own) for client, own in by_client.items()}
    total = sum(sizes.values())
    while total > most_bytes:
        client = max(sizes, key=lambda name: sizes[name])
        stored = by_client[client].pop()
        gone.append(stored)
        sizes[client] -= stored.size
        total -= stored.size
    return gone


def tree_bytes(path: Path) -> int:
    """Bytes of a file, or of all below a directory; a file with several names counts once, no link is followed."""
    total, seen, left = 0, set(), [str(path)]
    while left:
        place = left.pop()
        try:
            status = os.lstat(place)
            if stat.S_ISDIR(status.st_mode):
                with os.scandir(place) as entries:
                    left += [entry.path for entry in entries]
                continue
        except OSError:
            continue  # gone meanwhile
        if status.st_nlink == 1 or (status.st_dev, status.st_ino) not in seen:
            total += status.st_size
            if status.st_nlink > 1:
                seen.add((status.st_dev, status.st_ino))
    return total


def _entries(directory: Path) -> list[Path]:
    return sorted(directory.iterdir()) if directory.is_dir() else []
