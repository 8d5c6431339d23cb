"""Adaptive batching: items that wait while the model is busy form its next batch, whatever request they came with."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from chassis.runtime.core.answer import (
    Answer,
    ErrorKind,
    Item,
    describe_exception,
    exception_kind,
    failed,
    frames,
)
from chassis.runtime.core.caller import UNKNOWN_CALLER, Caller
from chassis.runtime.core.metrics import Metrics
from chassis.runtime.core.predict import ModelContractError

_LOG = logging.getLogger(__name__)

Predict = Callable[[Sequence[Item]], list[Answer]]

_QUIET_TURNS = 2
"""Turns of the event loop without a further item after which a batch leaves for the model."""


class QueueFullError(Exception):
    """Too many items wait already; the caller may try again later."""


class PredictLostError(Exception):
    """What `predict` raises when it can answer no more, such as a process that ended.

    Attributes:
      begun: whether it may have begun with the items.
    """

    def __init__(self, reason: str, *, begun: bool) -> None:
        super().__init__(reason)
        self.begun = begun


@dataclass(slots=True, eq=False)
class _Request:
    """Items that came together and are answered together, in their order."""

    caller: Caller
    future: asyncio.Future[list[Answer]]
    answers: list[Answer | None]
    missing: int


@dataclass(frozen=True, slots=True)
class _Call:
    """One call of the model: how many items, when it began and ended (`time.monotonic`)."""

    items: int
    began: float
    ended: float


@dataclass(slots=True, eq=False)
class _Waiting:
    """One item in the queue; not frozen, which would take three times as long to make."""

    request: _Request
    index: int
    item: Item
    since: float
    again: bool = False
    """Whether it was put back, and counts as taken already."""
    suspect: bool = False
    """Whether a `predict` was lost with it: it is called once more, alone."""


@dataclass(slots=True, eq=False)
class _Run:
    """One thread that answers items.

    Attributes:
      predict: what it calls.
      current: the items of the call that lasts, and since when (`time.monotonic`).
      calls: those that ended with the batch in hand.
    """

    predict: Predict
    current: tuple[list[_Waiting], float] | None
    calls: list[_Call]


class Batcher:
    """Hands items from an event loop to threads that call the model, in batches, and their answers back.

    `submit` and `overdue` belong to the loop's thread, `run` to any other, and to several at a time.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        batch_size: int,
        max_wait: float = 0.0,
        queue_size: int = 1024,
        metrics: Metrics | None = None,
    ) -> None:
        """Takes its limits.

        Args:
          loop: where callers wait.
          batch_size: the most items of a batch, at least 1.
          max_wait: seconds that an item may wait for a batch to fill while the model is idle.
          queue_size: how many items may wait; a larger request is taken only by an empty queue.
          metrics: where batches and their times are counted.
        """
        self._loop = loop
        self._batch_size = max(1, batch_size)
        self._max_wait = max_wait
        self._queue_size = queue_size
        # What comes close together crosses to the model's thread at once, and what is done crosses back without waking
        # a loop that is about to look: each crossing makes the threads fight for the interpreter's lock.
        self._queue: queue.SimpleQueue[list[_Waiting] | None] = queue.SimpleQueue()
        self._arrived: list[_Waiting] = []
        self._submitted = 0
        self._finished: deque[tuple[list[tuple[_Waiting, Answer]], list[_Call]]] = deque()
        self._waking = False
        # One thread at a time gathers a batch: two that are idle would each get half of one.
        self._taking = threading.Lock()
        self._backlog: deque[_Waiting] = deque()
        self._taken = 0
        self._runs: list[_Run] = []
        self._metrics = metrics or Metrics()

    def submit(self, items: Sequence[Item], caller: Caller = UNKNOWN_CALLER) -> asyncio.Future[list[Answer]]:
        """Queues `items`; the future gives their answers, in order. Cancelling it takes back what still waits.

        Raises:
          QueueFullError: at once, where they would not fit.
        """
        waiting = self.waiting()
        if waiting and waiting + len(items) > self._queue_size:
            raise QueueFullError(
                f"{waiting} items wait for the model, the queue holds {self._queue_size}; try again later"
            )
        request = _Request(caller, self._loop.create_future(), [None] * len(items), len(items))
        now = time.monotonic()
        if not items:
            request.future.set_result([])
            return request.future
        if not self._arrived:
            self._loop.call_soon(self._gather, 0, 0)
        self._arrived += [_Waiting(request, index, item, now) for index, item in enumerate(items)]
        self._submitted += len(items)
        return request.future

    def waiting(self) -> int:
        """How many items wait."""
        return self._submitted - self._taken

    def overdue(self, run_timeout: float) -> list[Predict]:
        """Fails the items of calls that have lasted more than `run_timeout` seconds; returns what was called."""
        found = []
        for run in tuple(self._runs):
            current = run.current
            if current is None or time.monotonic() - current[1] <= run_timeout:
                continue
            reason = f"the model did not answer within its run timeout of {run_timeout:g} s"
            answer = failed(reason, ErrorKind.TIMEOUT)
            self._deliver([(waiting, answer) for waiting in current[0]])
            found.append(run.predict)
        return found

    def close(self) -> None:
        """Lets each `run` return when it has answered what came before."""
        self._hand_over()
        self._queue.put(None)

    def run(self, predict: Predict) -> None:
        """Answers items until `close`. What `predict` raises becomes an answer; one thing ends this loop.

        Raises:
          PredictLostError: `predict` raised it. What it had not begun waits again for another run; what it had is tried
            once more, alone, and fails where another is lost with it.
        """
        run = _Run(predict, None, [])
        self._runs.append(run)
        try:
            closed = False
            while not closed:
                batch, closed = self._take()
                if batch:
                    self._answer(run, batch)
        finally:
            self._runs.remove(run)

    def _gather(self, seen: int, turns: int) -> None:
        """Hands over once the loop has brought nothing new for some turns, or a batch is full."""
        arrived = len(self._arrived)
        if not arrived:
            return
        turns = turns + 1 if arrived == seen else 0
        if arrived >= self._batch_size or turns >= _QUIET_TURNS:
            self._hand_over()
        else:
            self._loop.call_soon(self._gather, arrived, turns)

    def _hand_over(self) -> None:
        """Passes on what arrived, in the loop's thread."""
        if self._arrived:
            arrived, self._arrived = self._arrived, []
            self._queue.put(arrived)

    def _take(self) -> tuple[list[_Waiting], bool]:
        """The next batch, without items whose callers are gone, and whether the queue is closed behind it."""
        batch: list[_Waiting] = []
        with self._taking:
            while len(batch) < self._batch_size:
                if not self._backlog:
                    try:
                        arrived = self._next(batch)
                    except queue.Empty:
                        break
                    if arrived is None:
                        self._queue.put(None)  # for the other threads
                        return batch, True
                    self._backlog.extend(arrived)
                if batch and self._backlog[0].suspect:
                    break
                waiting = self._backlog.popleft()
                self._taken += not waiting.again
                if not waiting.request.future.done():
                    batch.append(waiting)
                    if waiting.suspect:
                        break
        return batch, False

    def _next(self, batch: list[_Waiting]) -> list[_Waiting] | None:
        """What arrived next, for as long as `batch` may wait for it; None where the queue is closed.

        Raises:
          queue.Empty: nothing did.
        """
        if not batch:
            return self._queue.get()
        left = batch[0].since + self._max_wait - time.monotonic() if self._max_wait else 0.0
        return self._queue.get(timeout=left) if left > 0 else self._queue.get_nowait()

    def _answer(self, run: _Run, batch: list[_Waiting]) -> None:
        """Answers a batch, or puts back what `run` is lost with."""
        answered: list[tuple[_Waiting, Answer]] = []
        try:
            self._collect(run, batch, answered)
        except PredictLostError as error:
            begun = run.current[0] if run.current and error.begun else []
            self._put_back(batch[len(answered) :], begun, str(error), answered)
            raise
        finally:
            run.current = None
            calls, run.calls = run.calls, []
            self._finished.append((answered, calls))
            if not self._waking:
                self._waking = True
                self._loop.call_soon_threadsafe(self._finish)

    def _put_back(
        self, batch: list[_Waiting], begun: list[_Waiting], reason: str, answered: list[tuple[_Waiting, Answer]]
    ) -> None:
        again, suspects = [], set(map(id, begun))
        for waiting in batch:
            if waiting.request.future.done() or waiting.request.answers[waiting.index] is not None:
                continue
            if id(waiting) not in suspects:
                again.append(replace(waiting, again=True))
            elif waiting.suspect:
                answered.append((waiting, failed(f"{reason}; twice with this item", ErrorKind.LOST)))
            else:
                again.append(replace(waiting, again=True, suspect=True))
        if again:
            self._queue.put(again)

    def _collect(self, run: _Run, batch: list[_Waiting], answered: list[tuple[_Waiting, Answer]]) -> None:
        """Calls the model with the whole batch, and with each item alone where that raised."""
        if len(batch) > 1:
            try:
                answered += zip(batch, self._call(run, batch), strict=True)
                return
            except PredictLostError:
                raise
            except ModelContractError as error:
                _LOG.error("the model broke its contract", extra={"items": len(batch), "error": str(error)})
                answered += [(waiting, failed(str(error), ErrorKind.CONTRACT)) for waiting in batch]
                return
            except BaseException as error:
                _LOG.warning(
                    "a batch failed, trying its items one by one",
                    extra={"items": len(batch), "error": exception_kind(error)},
                )
        for waiting in batch:
            answered.append((waiting, self._answer_alone(run, waiting)))

    def _answer_alone(self, run: _Run, waiting: _Waiting) -> Answer:
        if waiting.request.future.done():
            return failed("the caller is gone", ErrorKind.TIMEOUT)
        try:
            return self._call(run, [waiting])[0]
        except PredictLostError:
            raise
        except ModelContractError as error:
            fields = {"items": 1, "error": str(error), **waiting.request.caller.log_fields()}
            _LOG.error("the model broke its contract", extra=fields)
            return failed(str(error), ErrorKind.CONTRACT)
        except BaseException as error:
            # A message may quote the input, which a log must not hold: it goes to the caller alone.
            fields = {"error": exception_kind(error), "at": frames(error), **waiting.request.caller.log_fields()}
            _LOG.warning("an item failed", extra=fields)
            _LOG.debug("the error of the item", exc_info=True)
            return failed(describe_exception(error))

    def _call(self, run: _Run, batch: list[_Waiting]) -> list[Answer]:
        began = time.monotonic()
        run.current = (batch, began)
        try:
            return run.predict([waiting.item for waiting in batch])
        finally:
            run.calls.append(_Call(len(batch), began, time.monotonic()))

    def _finish(self) -> None:
        """Delivers the batches that are done, in the loop's thread, and counts them."""
        self._waking = False
        while self._finished:
            answered, calls = self._finished.popleft()
            self._deliver(answered)
            self._count(answered, calls)

    def _count(self, answered: Sequence[tuple[_Waiting, Answer]], calls: Sequence[_Call]) -> None:
        for call in calls:
            self._metrics.batch_size.observe(call.items)
            self._metrics.model_seconds.observe(call.ended - call.began)
        if calls:
            for waiting, _ in answered:
                self._metrics.queue_seconds.observe(calls[0].began - waiting.since)

    @staticmethod
    def _deliver(answered: Sequence[tuple[_Waiting, Answer]]) -> None:
        """Puts answers into their requests, in the loop's thread; a request is complete with its last answer."""
        for waiting, answer in answered:
            request = waiting.request
            if request.answers[waiting.index] is not None:
                continue
            request.answers[waiting.index] = answer
            request.missing -= 1
            if not request.missing and not request.future.done():
                request.future.set_result(request.answers)  # type: ignore[arg-type]
