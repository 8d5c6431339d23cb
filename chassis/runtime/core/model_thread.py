"""The model in a thread of the server's own process: the least between a request and its answer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable

from chassis.runtime.core.answer import Answer, describe_exception
from chassis.runtime.core.batch import Batch, Lane, Outcome
from chassis.runtime.core.batcher import Batcher, NotLoaded
from chassis.runtime.core.predict import Predict
from chassis.runtime.core.service import ModelState, Report

_LOG = logging.getLogger(__name__)

Load = Callable[[], Predict]


class _Source:
    """The thread at one stream."""

    def __init__(self, batch: Batch) -> None:
        self.more: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._batch = batch

    def go_on(self, more: bool) -> None:
        """Has the thread give the next piece, or close the stream."""
        self._batch.resume()
        self.more.put(more)


class ModelThread:
    """A `Backend`, and its `Lane`."""

    ahead = 1

    def __init__(self, loop: asyncio.AbstractEventLoop, batcher: Batcher, load: Load) -> None:
        """Takes the loop to report to, whose items to answer, and what loads the model, in its thread."""
        self._loop = loop
        self._batcher = batcher
        self._load = load
        self._queue: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        # A daemon, so that a call that never returns does not keep the process.
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)
        self._report: Report = lambda state, reason: None

    def start(self, report: Report) -> None:
        """Begins to load."""
        self._report = report
        self._thread.start()

    def call(self, batch: Batch) -> None:
        """Passes `batch` to the thread."""
        self._queue.put(batch)

    def abandon(self, lane: Lane) -> bool:
        """Nothing ends a call in a thread."""
        return False

    def close(self, timeout: float) -> bool:
        """Ends the thread after its last answer; False if it is still busy after `timeout` seconds."""
        self._queue.put(None)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _work(self) -> None:
        started = time.monotonic()
        try:
            predict = self._load()
        except BaseException as error:
            reason = f"the model could not be loaded: {describe_exception(error)}"
            _LOG.error("the model could not be loaded", exc_info=True)
            self._loop.call_soon_threadsafe(self._failed, reason)
            return
        _LOG.info("model loaded", extra={"seconds": round(time.monotonic() - started, 3)})
        self._loop.call_soon_threadsafe(self._loaded)
        while (batch := self._queue.get()) is not None:
            outcome = self._streamed(predict, batch) if batch.stream else _outcome(predict, batch)
            self._loop.call_soon_threadsafe(self._batcher.finished, self, batch, outcome)

    def _streamed(self, predict: Predict, batch: Batch) -> Outcome:
        stream = batch.stream
        items = batch.begin()
        try:
            if not items or stream is None:
                return []
            source = stream.source = _Source(batch)
            with contextlib.closing(predict.stream(items[0], batch.requests())) as pieces:  # type: ignore[type-var]
                for piece in pieces:
                    batch.pause()
                    self._loop.call_soon_threadsafe(stream.put, piece)
                    if not source.more.get():
                        break
            return [Answer({})]
        except BaseException as error:
            return error
        finally:
            batch.end()

    def _loaded(self) -> None:
        self._batcher.add(self)
        self._report(ModelState.READY, "")

    def _failed(self, reason: str) -> None:
        self._batcher.add(NotLoaded(self._loop, self._batcher, reason))
        self._report(ModelState.FAILED, reason)


def _outcome(predict: Predict, batch: Batch) -> Outcome:
    items, told = batch.begin(), batch.requests()
    try:
        if not items:
            return []
        return predict(items, told) if told else predict(items)
    except BaseException as error:
        return error
    finally:
        batch.end()
