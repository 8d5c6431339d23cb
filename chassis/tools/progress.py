"""How far a push is: a line that renews itself on a terminal, one line a blob elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import TextIO

from chassis.oci.descriptor import Descriptor
from chassis.oci.push import SKIPPED, BlobReport, Watcher
from chassis.oci.registry.upload import Progress

_RENEW_SECONDS = 0.1
_SHOWN_HEX = 12


class PushProgress:
    """Shows a push on a stream; use it as a context manager and give `watcher()` to the push."""

    def __init__(self, stream: TextIO, dry_run: bool = False) -> None:
        self._stream = stream
        self._dry_run = dry_run
        self._terminal = stream.isatty()
        self._lock = threading.Lock()
        self._begin = time.monotonic()
        self._shown = 0.0
        self._total = self._sent = self._left = 0
        self._open_line = False

    def __enter__(self) -> PushProgress:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._clear()

    def watcher(self) -> Watcher:
        """What the push tells its steps to."""
        return Watcher(blob=self._settled, progress=self._progress, started=self._started)

    def _started(self, missing: Sequence[Descriptor]) -> None:
        with self._lock:
            self._total, self._left = sum(blob.size for blob in missing), len(missing)
            self._begin = time.monotonic()

    def _settled(self, report: BlobReport) -> None:
        if report.outcome == SKIPPED:
            return
        name = report.descriptor.digest.partition(":")[2][:_SHOWN_HEX]
        with self._lock:
            self._left -= 1
            self._clear()
            outcome = f"would be {report.outcome}:" if self._dry_run else report.outcome
            print(f"{outcome} {name} {size_text(report.descriptor.size)}", file=self._stream, flush=True)

    def _progress(self, descriptor: Descriptor) -> Progress:
        del descriptor

        def moved(count: int) -> None:
            with self._lock:
                self._sent += count
                now = time.monotonic()
                if self._terminal and now - self._shown >= _RENEW_SECONDS:
                    self._shown = now
                    self._show(now)

        return moved

    def _show(self, now: float) -> None:
        rate = self._sent / max(now - self._begin, 1e-3)
        share = 100 * self._sent // max(self._total, 1)
        text = f"{size_text(self._sent)} of {size_text(self._total)} ({share} %), "
        text += f"{size_text(int(rate))}/s, {self._left} blobs left"
        self._stream.write("\r\x1b[K" + text)
        self._stream.flush()
        self._open_line = True

    def _clear(self) -> None:
        if self._open_line:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._open_line = False


def size_text(size: int) -> str:
    """A number of bytes for a person: `512 B`, `3.4 MB`; powers of 1000."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError("unreachable")
