"""SHA-256 in a thread of its own, so that hashing overlaps with inflating and writing.

`hashlib` releases the interpreter lock for buffers over 2,047 bytes; smaller ones are gathered by the
callers.
"""

from __future__ import annotations

import queue
import threading
from typing import Protocol

_QUEUED_BUFFERS = 6


class Hash(Protocol):
    """The part of a `hashlib` object that is used here."""

    def update(self, data: bytes | bytearray, /) -> None:
        """Takes more content in."""

    def hexdigest(self) -> str:
        """The digest of what was taken in."""


class HashThread:
    """Updates hashes in the order of submission; at most a few buffers wait, so memory stays flat.

    One thread submits and drains.
    """

    def __init__(self) -> None:
        # Both queues are C's: `queue.Queue`, which is Python's, costs as much as hashing a few kilobytes.
        self._queue: queue.SimpleQueue[tuple[bytes | bytearray, tuple[Hash, ...]] | None] = queue.SimpleQueue()
        self._free: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(_QUEUED_BUFFERS):
            self._free.put(None)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="layer-hashes", daemon=True)
        self._thread.start()

    def submit(self, data: bytes | bytearray, *hashes: Hash) -> None:
        """Updates each of `hashes` with `data`, later; `data` must not change from now on."""
        self._free.get()
        self._queue.put((data, hashes))

    def drain(self) -> None:
        """Returns when everything submitted is hashed; raises what failed."""
        for _ in range(_QUEUED_BUFFERS):  # All are free only when none is being hashed.
            self._free.get()
        for _ in range(_QUEUED_BUFFERS):
            self._free.put(None)
        if self._failure:
            raise self._failure

    def close(self) -> None:
        """Ends the thread. Nothing may be submitted afterwards."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            data, hashes = item
            try:
                if self._failure is None:
                    for state in hashes:
                        state.update(data)
            except BaseException as error:
                self._failure = error
            finally:
                self._free.put(None)
