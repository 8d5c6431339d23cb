"""Adaptive batching: items that wait while the model is busy form its next batch, whatever request they came with."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from chassis.runtime.core.answer import (
    Answer,
    ErrorKind,
    Item,
    describe_exception,
    exception_kind,
    failed,
    frames,
)
from chassis.runtime.core.batch import Batch, Lane, Outcome, Waiting, WaitingRequest
from chassis.runtime.core.caller import UNKNOWN_CALLER, Caller
from chassis.runtime.core.metrics import Metrics
from chassis.runtime.core.predict import ModelContractError
from chassis.runtime.core.request_error import RequestError
from chassis.runtime.core.stream import Stream

if TYPE_CHECKING:
    from chassis.runtime.tracing.tracer import Tracer

_LOG = logging.getLogger(__name__)

_QUIET_TURNS = 2
"""If callers come alone, a batch leaves for an idle model after so many turns of the event loop without an item."""

_CROWDED_TURNS = 4
"""The same if they come together: a turn takes some microseconds, less than it costs to wake the model for each."""

_CROWDED = 0.1
"""Callers count as coming together if more than this part of the latest items came while others waited."""

_BUSY_TURN = 2e-5
_BUSY_TURNS = 4
"""A turn that took longer, in seconds, and so many times longer than the shortest, does not count: the loop read a
request, whose items may be next. A slow processor's shortest is longer than a fast one's with a request."""

_FORGETTING = 1.02
"""How much longer the shortest turn is taken to be with each that is not: a processor that was fast may be slowed down
to a tenth, by heat or by others, and then each turn would pass for one with a request."""

_MAX_GATHERING = 2e-3
"""An item leaves for an idle model after so many seconds in any case."""


class QueueFullError(Exception):
    """Too many items wait already; the caller may try again later."""


class Batcher:
    """Hands items to lanes in batches, and their answers back. All of it belongs to the event loop's thread."""

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
          queue_size: how many items may wait, and the most of one request, unless a batch is larger.
          metrics: where batches and their times are counted.
        """
        self._loop = loop
        self._batch_size = max(1, batch_size)
        self._max_wait = max_wait
        self._queue_size = queue_size
        self._pending: deque[Waiting] = deque()
        self._lanes: dict[Lane, deque[Batch]] = {}
        self._gathering = False
        self._crowd = 0.0
        self._shortest = _MAX_GATHERING
        self._metrics = metrics or Metrics()
        self.tracer: Tracer | None = None

    def submit(
        self, items: Sequence[Item], caller: Caller = UNKNOWN_CALLER, stream: Stream | None = None
    ) -> asyncio.Future[list[Answer]]:
        """Queues `items`; the future gives their answers, in order. Cancelling it takes back what still waits.

        Raises:
          QueueFullError: at once, if they would not fit.
          RequestError: there are more than would ever fit.
        """
        self.check_size(len(items))
        waiting = self.waiting()
        if waiting and waiting + len(items) > self._queue_size:
            raise QueueFullError(
                f"{waiting} items wait for the model, the queue holds {self._queue_size}; try again later"
            )
        request = WaitingRequest(caller, self._loop.create_future(), len(items))
        if not items:
            request.future.set_result([])
            return request.future
        now = time.monotonic()
        self._crowd += ((1.0 if self._pending or any(self._lanes.values()) else 0.0) - self._crowd) / 16
        self._pending += [Waiting(request, index, item, now) for index, item in enumerate(items)]
        if stream is not None:
            self._pending[-1].stream, self._pending[-1].alone = stream, True
        self._consider()
        return request.future

    def submit_stream(self, item: Item, caller: Caller = UNKNOWN_CALLER) -> Stream:
        """Queues `item`, to be answered piece by piece. Closing the stream takes it back.

        Raises:
          QueueFullError: at once, if it would not fit.
        """
        stream = Stream(self._loop)
        future = self.submit([item], caller, stream)
        stream.follow(future, lambda: self.withdraw(future))
        return stream

    def check_size(self, items: int) -> None:
        """Raises RequestError if a request of so many `items` is never taken: an item may cost its caller no byte."""
        most = max(self._queue_size, self._batch_size)
        if items > most:
            raise RequestError(
                400,
                f"the request has {items} items, at most {most} are taken at a time; send fewer, or raise "
                "CHASSIS_QUEUE_SIZE",
            )

    def withdraw(self, answers: asyncio.Future[list[Answer]]) -> None:
        """Lets go of what still waits for `answers`, which nobody waits for any more: it may be large."""
        answers.cancel()
        self._pending = deque(waiting for waiting in self._pending if waiting.request.future is not answers)

    def waiting(self) -> int:
        """How many items wait."""
        count = len(self._pending)
        for batches in self._lanes.values():
            if len(batches) > 1:
                count += sum(len(batch.waiting) for batch in list(batches)[1:])
        return count

    def busy(self) -> float:
        """Seconds that the calls which have not ended yet have lasted, together."""
        now = time.monotonic()
        first = [batches[0] for batches in self._lanes.values() if batches]
        return sum(now - batch.began for batch in first if batch.began and not batch.ended)

    def overdue(self, run_timeout: float) -> list[Lane]:
        """Fails the items of calls that have lasted more than `run_timeout` seconds; returns who is at them."""
        found = []
        answer = failed(f"the model did not answer within its run timeout of {run_timeout:g} s", ErrorKind.TIMEOUT)
        for lane, batches in self._lanes.items():
            batch = batches[0] if batches else None
            if batch and batch.began and not batch.ended and time.monotonic() - batch.began > run_timeout:
                self._deliver([(waiting, answer) for waiting in batch.waiting])
                found.append(lane)
        return found

    def fail_all(self, reason: str) -> None:
        """Fails every item, those that a lane is at among them."""
        answer = failed(reason, ErrorKind.STOPPED)
        pending, self._pending = self._pending, deque()
        self._deliver([(waiting, answer) for waiting in pending])
        for batches in self._lanes.values():
            self._deliver([(waiting, answer) for batch in batches for waiting in batch.waiting])

    def add(self, lane: Lane) -> None:
        """From now on `lane` is given batches."""
        self._lanes[lane] = deque()
        self._consider()

    def finished(self, lane: Lane, batch: Batch, outcome: Outcome) -> None:
        """The call of `batch` ended. If several items raised each is tried once more, alone."""
        self._lanes[lane].remove(batch)
        if isinstance(outcome, BaseException):
            self._trace(batch, failed=True)
            self._raised(batch, outcome)
        else:
            self._trace(batch, failed=False)
            self._deliver(list(zip(batch.waiting, outcome, strict=True)))
        self._count(batch)
        self._consider()

    def lost(self, lane: Lane, reason: str) -> None:
        """No call of `lane` ends any more. What it may have begun is tried once more, alone, and fails if another
        lane is lost with it; what it had not begun waits again."""
        for number, batch in enumerate(self._lanes.pop(lane)):
            left = [waiting for waiting in batch.waiting if waiting.request.answers[waiting.index] is None]
            if number:
                self._pending.extendleft(reversed(left))
                continue
            answer = failed(f"{reason}; twice with this item", ErrorKind.LOST)
            # A stream that has begun cannot begin once more.
            twice = [waiting for waiting in left if waiting.suspect or (waiting.stream and waiting.stream.began)]
            self._deliver([(waiting, answer) for waiting in twice])
            for waiting in left:
                if waiting not in twice:
                    waiting.alone = waiting.suspect = True
                    self._pending.append(waiting)
        self._consider()

    def _consider(self) -> None:
        """Gives full batches to whoever can take them, and waits a moment for others to fill."""
        while self._pending and (len(self._pending) >= self._batch_size or self._pending[0].alone):
            if not self._give(full=True):
                return
        if self._pending and not self._gathering and self._idle() is not None:
            self._gathering = True
            self._gather(0, 0, time.monotonic())

    def _gather(self, seen: int, turns: int, before: float) -> None:
        """Gives what waits when `max_wait` is over, or else when nothing more seems to be on its way."""
        pending = len(self._pending)
        if not pending or self._idle() is None:
            self._gathering = False
            return
        now = time.monotonic()
        since = self._pending[0].since
        if since + self._max_wait > now:
            self._loop.call_later(since + self._max_wait - now, self._gather, pending, 0, now)
            return
        if seen:
            self._shortest = min(self._shortest * _FORGETTING, now - before)
        busy = now - before > max(_BUSY_TURN, _BUSY_TURNS * self._shortest)
        turns = turns + 1 if pending == seen and not busy else 0
        wanted = _CROWDED_TURNS if self._crowd > _CROWDED else _QUIET_TURNS
        if self._max_wait or turns >= wanted or now - since > _MAX_GATHERING:
            self._gathering = False
            self._give(full=False)
            self._consider()
        else:
            self._loop.call_soon(self._gather, pending, turns, now)

    def _idle(self) -> Lane | None:
        """A lane that has nothing to do."""
        return next((lane for lane, batches in self._lanes.items() if not batches), None)

    def _give(self, *, full: bool) -> bool:
        """Has a batch of what waits called; False if nobody can take it now."""
        lane = self._idle()
        if lane is None and full:
            lane = next((lane for lane, batches in self._lanes.items() if len(batches) <= lane.ahead), None)
        if lane is None:
            return False
        chosen: list[Waiting] = []
        while self._pending and len(chosen) < self._batch_size:
            if chosen and self._pending[0].alone:
                break
            waiting = self._pending.popleft()
            if not waiting.request.future.done():
                chosen.append(waiting)
                if waiting.alone:
                    break
        if chosen:
            batch = Batch(chosen)
            self._lanes[lane].append(batch)
            lane.call(batch)
        return True

    def _raised(self, batch: Batch, error: BaseException) -> None:
        """Answers what raised alone, and has the others tried so."""
        items = len(batch.waiting)
        if isinstance(error, ModelContractError):
            fields = {"items": items, "error": str(error)}
            if items == 1:
                fields |= batch.waiting[0].request.caller.log_fields()
            _LOG.error("the model broke its contract", extra=fields)
            self._deliver([(waiting, failed(str(error), ErrorKind.CONTRACT)) for waiting in batch.waiting])
        elif items > 1:
            fields = {"items": items, "error": exception_kind(error)}
            _LOG.warning("a batch failed, trying its items one by one", extra=fields)
            for waiting in batch.waiting:
                waiting.alone = True
            self._pending.extendleft(reversed(batch.waiting))
        else:
            (waiting,) = batch.waiting
            # A message may quote the input, which a log must not hold: it goes to the caller alone.
            fields = {"error": exception_kind(error), "at": frames(error), **waiting.request.caller.log_fields()}
            _LOG.warning("an item failed", extra=fields)
            _LOG.debug("the error of the item", exc_info=error)
            self._deliver([(waiting, failed(describe_exception(error)))])

    def _trace(self, batch: Batch, *, failed: bool) -> None:
        if self.tracer is not None and batch.waiting:
            callers = [waiting.request.caller for waiting in batch.waiting]
            self.tracer.call(callers, len(callers), batch.started, batch.ended, failed=failed)

    def _count(self, batch: Batch) -> None:
        if batch.waiting:
            self._metrics.batch_size.observe(len(batch.waiting))
            self._metrics.model_seconds.observe(batch.seconds())
            waits = {waiting.request: batch.started - waiting.since for waiting in batch.waiting}
            self._metrics.statistics.count_call(len(batch.waiting), batch.seconds(), len(waits), sum(waits.values()))
        for waiting in batch.waiting:
            if waiting.request.answers[waiting.index] is not None:
                self._metrics.queue_seconds.observe(batch.started - waiting.since)

    @staticmethod
    def _deliver(answered: Sequence[tuple[Waiting, Answer]]) -> None:
        """Puts answers into their requests; a request is complete with its last answer."""
        for waiting, answer in answered:
            request = waiting.request
            if request.answers[waiting.index] is not None:
                continue
            request.answers[waiting.index] = answer
            request.missing -= 1
            if not request.missing and not request.future.done():
                request.future.set_result(request.answers)  # type: ignore[arg-type]


class NotLoaded:
    """A `Lane` without a model: it answers each item with why there is none."""

    ahead = 0

    def __init__(self, loop: asyncio.AbstractEventLoop, batcher: Batcher, reason: str) -> None:
        """Takes the reason."""
        self._loop = loop
        self._batcher = batcher
        self._answer = failed(reason, ErrorKind.NOT_LOADED)

    def call(self, batch: Batch) -> None:
        """Answers in the loop's next turn."""
        answers = [self._answer] * len(batch.begin())
        batch.end()
        self._loop.call_soon(self._batcher.finished, self, batch, answers)
