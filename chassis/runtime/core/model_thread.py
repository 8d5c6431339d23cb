"""The model in a thread of the server's own process: the least between a request and its answer."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable

from chassis.runtime.core.answer import ErrorKind, describe_exception, failed
from chassis.runtime.core.batcher import Batcher, Predict
from chassis.runtime.core.predict import PredictFunction
from chassis.runtime.core.service import Report, State

_LOG = logging.getLogger(__name__)

Load = Callable[[], PredictFunction]


class ModelThread:
    """A `Backend` of one thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, batcher: Batcher, load: Load) -> None:
        """Takes the loop to report to, whose items to answer, and what loads the model, in its thread."""
        self._loop = loop
        self._batcher = batcher
        self._load = load
        # A daemon, so that a call that never returns does not keep the process.
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)
        self._report: Report = lambda state, reason: None

    def start(self, report: Report) -> None:
        """Begins to load."""
        self._report = report
        self._thread.start()

    def abandon(self, predict: Predict) -> bool:
        """Nothing ends a call in a thread."""
        return False

    def close(self, timeout: float) -> bool:
        """Ends the thread after its last answer; False where it is still busy after `timeout` seconds."""
        self._batcher.close()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _work(self) -> None:
        started = time.monotonic()
        try:
            predict = self._load()
        except BaseException as error:
            reason = f"the model could not be loaded: {describe_exception(error)}"
            _LOG.error("the model could not be loaded", exc_info=True)
            self._loop.call_soon_threadsafe(self._report, State.FAILED, reason)
            self._batcher.run(lambda items: [failed(reason, ErrorKind.NOT_LOADED)] * len(items))
            return
        _LOG.info("model loaded", extra={"seconds": round(time.monotonic() - started, 3)})
        self._loop.call_soon_threadsafe(self._report, State.READY, "")
        self._batcher.run(predict)
