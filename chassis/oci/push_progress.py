"""How far a push is: on a terminal a line for the whole and one for each layer on its way, else one line a blob."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

from chassis.oci.descriptor import Descriptor
from chassis.oci.push import SKIPPED, BlobReport, Watcher
from chassis.oci.registry.upload import Progress

_RENEW_SECONDS = 0.1
_SHOWN_HEX = 12
_DEFAULT_COLUMNS = 80


@dataclass(slots=True)
class _OnItsWay:
    descriptor: Descriptor
    sent: int = 0


class PushProgress:
    """Shows a push on a stream; use it as a context manager and give `watcher()` to the push."""

    def __init__(self, stream: TextIO, dry_run: bool = False) -> None:
        self._stream = stream
        self._dry_run = dry_run
        self._terminal = stream.isatty()
        self._lock = threading.Lock()
        self._begin = time.monotonic()
        self._end = threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="progress", daemon=True)
        self._total = self._sent = self._left = 0
        self._on_their_way: dict[str, _OnItsWay] = {}
        self._lines = 0

    def __enter__(self) -> PushProgress:
        if self._terminal:
            self._ticker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        if self._terminal:
            self._ticker.join()
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
        with self._lock:
            self._left -= 1
            self._on_their_way.pop(report.descriptor.digest, None)
            self._clear()
            outcome = f"would be {report.outcome}:" if self._dry_run else report.outcome
            name, size = _short(report.descriptor), size_text(report.descriptor.size)
            print(f"{outcome} {name} {size}", file=self._stream, flush=True)

    def _progress(self, descriptor: Descriptor) -> Progress:
        blob = _OnItsWay(descriptor)
        with self._lock:
            self._on_their_way[descriptor.digest] = blob

        def moved(count: int) -> None:
            with self._lock:
                self._sent += count
                blob.sent += count

        return moved

    def _tick(self) -> None:
        while not self._end.wait(_RENEW_SECONDS):
            with self._lock:
                if self._on_their_way:
                    self._show()

    def _show(self) -> None:
        rate = self._sent / max(time.monotonic() - self._begin, 1e-3)
        lines = [f"{_amount(self._sent, self._total)}, {size_text(int(rate))}/s, {self._left} blobs left"]
        lines += [
            f"  {_short(blob.descriptor)} {_amount(blob.sent, blob.descriptor.size)}"
            for blob in self._on_their_way.values()
        ]
        self._clear()
        # A line that wrapped would be two to clear.
        self._stream.write("".join(line[: self._columns() - 1] + "\n" for line in lines))
        self._stream.flush()
        self._lines = len(lines)

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or _DEFAULT_COLUMNS
        except OSError:
            return _DEFAULT_COLUMNS

    def _clear(self) -> None:
        if self._lines:
            self._stream.write(f"\x1b[{self._lines}A\r\x1b[J")
            self._stream.flush()
            self._lines = 0


def _short(descriptor: Descriptor) -> str:
    return descriptor.digest.partition(":")[2][:_SHOWN_HEX]


def _amount(sent: int, total: int) -> str:
    return f"{size_text(sent)} of {size_text(total)} ({100 * sent // max(total, 1)} %)"


def size_text(size: int) -> str:
    """A number of bytes for a person: `512 B`, `3.4 MB`; powers of 1000."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError("unreachable")
