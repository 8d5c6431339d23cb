"""The log of a job: a file that grows while it runs, without the job's secrets."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path

_HIDDEN = "***"
_LONGEST_LINE = 8000


class JobLog:
    """Writes a job's log, a line at a time. Safe to use from several threads."""

    def __init__(self, path: Path, secrets: Iterable[str] = (), most_bytes: int = 64 << 20) -> None:
        """Appends to `path`; whatever of `secrets` stands in a line is written as `***`."""
        self._secrets = sorted((secret for secret in secrets if secret), key=len, reverse=True)
        self._lock = threading.Lock()
        self._file = path.open("ab", buffering=0)
        self._left = most_bytes - self._file.tell()

    def __enter__(self) -> JobLog:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._file.close()

    def line(self, text: str) -> None:
        """Adds the lines of `text`; once the log is as long as it may be, nothing more."""
        content = "".join(f"{line[:_LONGEST_LINE]}\n" for line in self.hide(text).splitlines()).encode()
        with self._lock:
            if self._left <= 0:
                return
            if len(content) > self._left:
                content = b"the log has become too long, what comes is left out\n"
                self._left = 0
            else:
                self._left -= len(content)
            self._file.write(content)

    def hide(self, text: str) -> str:
        """`text` without the secrets."""
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN)
        return text
