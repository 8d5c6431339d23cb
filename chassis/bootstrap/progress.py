"""Progress on standard error: a bar in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TextIO

_LINE_EVERY_S = 5.0
_BAR_EVERY_S = 0.1
_WIDTH = 30


class Progress:
    """Says what is being done; `update` is cheap enough to call for every block of bytes."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._is_terminal = self._stream.isatty()
        self._title = ""
        self._shown_at = 0.0
        self._bar_is_shown = False

    def say(self, text: str) -> None:
        """One line of its own."""
        self._clear()
        self._stream.write(f"bazelw: {text}\n")
        self._stream.flush()

    def start(self, title: str) -> None:
        """Begins a step whose `update` calls follow."""
        self._title = title
        self._shown_at = 0.0
        self.say(title)

    def update(self, done: int, total: int) -> None:
        """Shows `done` of `total` bytes, no more often than is worth looking at."""
        now = time.monotonic()
        finished = done >= total
        if now - self._shown_at < (_BAR_EVERY_S if self._is_terminal else _LINE_EVERY_S) and not finished:
            return
        self._shown_at = now
        share = done / total if total else 1.0
        amount = f"{done / 1e6:.0f} of {total / 1e6:.0f} MB"
        if self._is_terminal:
            filled = round(_WIDTH * share)
            self._stream.write(f"\r  [{'=' * filled}{' ' * (_WIDTH - filled)}] {amount} ")
            self._stream.flush()
            self._bar_is_shown = True
            if finished:
                self._clear()
        elif not finished:
            self.say(f"  {share:4.0%}, {amount}")

    def _clear(self) -> None:
        if self._bar_is_shown:
            self._stream.write("\r\033[K")
            self._bar_is_shown = False
