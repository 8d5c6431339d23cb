"""A browser's DevTools protocol over a pair of pipes: commands out, answers and events in.

Specification: Chrome DevTools Protocol; with `--remote-debugging-pipe` the browser reads JSON objects that end in a
NUL from descriptor 3 and writes them to descriptor 4.
"""

from __future__ import annotations

import json
import os
import select
import time
from typing import Any

_READ_BYTES = 1 << 16


class DevtoolsError(Exception):
    """The browser refused a command, ended, or did not answer in time."""


class DevtoolsPipe:
    """The tester's end; every wait has a deadline."""

    def __init__(self, commands: int, answers: int, seconds: float) -> None:
        """Writes to the descriptor `commands` and reads from `answers`; an answer may take `seconds`."""
        self._commands = commands
        self._answers = answers
        self._seconds = seconds
        self._waiting = b""
        self._number = 0
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        """Sends a command and returns its result; events that come in between are kept in `events`."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._commands, data) :]
        deadline = time.monotonic() + self._seconds
        while True:
            answer = self._next(deadline, method)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise DevtoolsError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def wait(self, method: str) -> dict[str, Any]:
        """The next event of that name, or an earlier one that nobody took."""
        deadline = time.monotonic() + self._seconds
        while True:
            for event in self.events:
                if event.get("method") == method:
                    self.events.remove(event)
                    return event
            self.events.append(self._next(deadline, method))

    def _next(self, deadline: float, what: str) -> dict[str, Any]:
        while b"\0" not in self._waiting:
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self._answers], [], [], max(0.0, left))
            if not ready:
                raise DevtoolsError(f"{what}: no answer in {self._seconds} s")
            data = os.read(self._answers, _READ_BYTES)
            if not data:
                raise DevtoolsError(f"{what}: the browser has ended")
            self._waiting += data
        message, _, self._waiting = self._waiting.partition(b"\0")
        return json.loads(message)
