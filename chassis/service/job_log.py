"""The log of a job: a file that grows while it runs, without the job's secrets."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterable
from pathlib import Path

from chassis.oci.registry.secrets import Secrets
from chassis.service.printable import printable

_MAX_LINE = 8000
_ACCOUNT = re.compile(r"://[^/\s@:]{0,200}:[^/\s@]{1,2000}@")
_OF_THE_BUILD = "| "


class JobLog:
    """Writes a job's log, a line at a time. Safe to use from several threads.

    A line that the build wrote begins with `| `, so that it cannot pass for one of the service's.
    """

    def __init__(self, path: Path, secrets: Iterable[str] = (), most_bytes: int = 64 << 20) -> None:
        """Appends to `path`; each of `secrets` in a line is written as `***`, in any of its usual forms."""
        self.secrets = Secrets(secrets)
        self._lock = threading.Lock()
        self._file = os.fdopen(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600), "ab", buffering=0
        )
        self._left = most_bytes - self._file.tell()

    def __enter__(self) -> JobLog:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._file.close()

    def line(self, text: str) -> None:
        """Adds the lines of `text`, which the service says; once the log is as long as it may be, nothing more."""
        self._add(text, "")

    def reason(self, text: str) -> None:
        """Adds why a job failed, of which all but the first line may be what the build wrote."""
        first, _, rest = text.partition("\n")
        self.line(first)
        self.output(rest)

    def output(self, text: str) -> None:
        """Adds the lines of `text`, which the build wrote."""
        self._add(text, _OF_THE_BUILD)

    def _add(self, text: str, prefix: str) -> None:
        lines = printable(self.hide(text).replace("\r\n", "\n")).removesuffix("\n").split("\n") if text else []
        content = "".join(f"{prefix}{line[:_MAX_LINE]}\n" for line in lines).encode("utf-8", "backslashreplace")
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
        """`text` without the secrets, and without the accounts in URLs, such as those of an index."""
        # Of others' passwords the place is known, not the text: a build could write guesses, and see which are hidden.
        return _ACCOUNT.sub("://***@", self.secrets.hide(text))
