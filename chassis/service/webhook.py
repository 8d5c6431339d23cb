"""Tells whoever asked for it that a job has ended."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Sequence

import urllib3

_SECONDS = 10.0
_CLOSE_SECONDS = 5.0


class Webhooks:
    """Sends final statuses from one thread, each tried a few times. A receiver may get one twice."""

    def __init__(self, pauses: Sequence[float] = (1.0, 5.0, 30.0)) -> None:
        """`pauses` are the seconds before each further try."""
        self._pauses = pauses
        self._calls: queue.SimpleQueue[tuple[str, bytes, Callable[[], None]] | None] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def call(self, url: str, document: dict[str, object], sent: Callable[[], None]) -> None:
        """Has `document` sent to `url` as JSON; `sent` is called once it was taken with a status of 2xx."""
        self._calls.put((url, json.dumps(document).encode(), sent))
        if self._thread is None:
            self._thread = threading.Thread(target=self._send_all, name="webhooks", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stops; what was not sent is sent after the next start."""
        self._closed.set()
        self._calls.put(None)
        if self._thread:
            self._thread.join(_SECONDS + _CLOSE_SECONDS)

    def _send_all(self) -> None:
        with urllib3.PoolManager(retries=False, timeout=_SECONDS) as pool:
            while (call := self._calls.get()) is not None and not self._closed.is_set():
                url, body, sent = call
                if self._send(pool, url, body) and not self._closed.is_set():
                    sent()

    def _send(self, pool: urllib3.PoolManager, url: str, body: bytes) -> bool:
        for pause in (*self._pauses, None):
            try:
                answer = pool.request(
                    "POST", url, body=body, headers={"content-type": "application/json"}, redirect=False
                )
            except urllib3.exceptions.HTTPError:
                pass
            else:
                if 200 <= answer.status < 300:
                    return True
            if pause is None or self._closed.wait(pause):
                return False
        return False
