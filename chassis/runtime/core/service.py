"""The model as front ends see it: loading or ready, failed or stuck; items in, answers out."""

from __future__ import annotations

import asyncio
import enum
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from chassis.runtime.core.answer import Answer, ErrorKind, Item
from chassis.runtime.core.batch import Lane
from chassis.runtime.core.batcher import Batcher
from chassis.runtime.core.budget import Budget
from chassis.runtime.core.caller import UNKNOWN_CALLER, Caller
from chassis.runtime.core.contract import Contract
from chassis.runtime.core.metrics import Metrics

if TYPE_CHECKING:
    from chassis.runtime.tracing.tracer import Tracer

_LOG = logging.getLogger(__name__)

_UNBOUNDED = 1 << 62


class ModelState(enum.Enum):
    """What the model is doing."""

    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"
    """It could not be loaded, and never will be."""
    STUCK = "stuck"
    """Nothing can be answered now: a call lasts too long, or the model's processes ended; ready again later."""
    LEAVING = "leaving"
    """It answers all that comes, and tells who asks whether it is ready that it is not: it is about to stop."""
    STOPPING = "stopping"
    """It answers what was accepted and takes no more."""


class StoppingError(Exception):
    """A request that came after the server was told to stop."""


Report = Callable[[ModelState, str], None]
"""Takes the model's state, with its reason; belongs to the loop's thread."""


class Backend(Protocol):
    """Where the model is: a thread of this process, or processes of its own.

    All methods belong to the loop's thread.
    """

    def start(self, report: Report) -> None:
        """Begins to load the model; reports READY or FAILED, and afterwards STUCK while nothing can be answered."""

    def abandon(self, lane: Lane) -> bool:
        """Ends the call of `lane`, which lasts too long; False if that cannot be done."""

    def close(self, timeout: float) -> bool:
        """Ends after the last answer; False if a call still lasts after `timeout` seconds."""


class ModelService:
    """One model behind a batcher, for any number of front ends in one event loop.

    All methods belong to the loop's thread.
    """

    def __init__(
        self,
        backend: Backend,
        contract: Contract,
        batcher: Batcher,
        *,
        run_timeout: float,
        metrics: Metrics,
        budget: Budget | None = None,
    ) -> None:
        """Starts to load at once; items that come before are answered when it is done."""
        self.contract = contract
        self.metrics = metrics
        self.tracer: Tracer | None = None
        self.budget = budget or Budget(_UNBOUNDED)
        self.state = ModelState.LOADING
        self.reason = "the model is loading"
        self._backend = backend
        self._batcher = batcher
        self._run_timeout = run_timeout
        self._gave_up = False
        self._watchers: list[Callable[[ModelState], None]] = []
        backend.start(self._report)

    def watch(self, watcher: Callable[[ModelState], None]) -> None:
        """Calls `watcher` with the state now and at every change."""
        self._watchers.append(watcher)
        watcher(self.state)

    def waiting(self) -> int:
        """How many items wait for the model."""
        return self._batcher.waiting()

    def trace(self, tracer: Tracer) -> None:
        """From now on requests and calls have spans."""
        self.tracer = self._batcher.tracer = tracer

    def metrics_text(self) -> str:
        """What the server counts, in Prometheus' text format."""
        return self.metrics.text(
            waiting=self.waiting(), ready=self.state is ModelState.READY, busy=self._batcher.busy()
        )

    def check_size(self, items: int) -> None:
        """Raises RequestError if a request of so many `items` is never taken. Ask before you make the items."""
        self._batcher.check_size(items)

    async def answer(self, items: Sequence[Item], caller: Caller = UNKNOWN_CALLER) -> list[Answer]:
        """Answers each of `items`, in order; those that break the contract never reach the model.

        Raises:
          QueueFullError: too many items wait already.
          RequestError: there are more items than one request may have.
          StoppingError: the server is stopping, or its time for what it had accepted was over.
        """
        if self.state is ModelState.STOPPING:
            raise StoppingError(self.reason)
        refusals = [self.contract.refusal(item) for item in items]
        refused = any(refusals)
        if refused:
            items = [item for item, refusal in zip(items, refusals, strict=True) if refusal is None]
        if self.tracer is not None:
            self.tracer.begin(caller)
        future = self._batcher.submit(items, caller)
        self.metrics.in_flight += 1
        try:
            answers = await future
        except asyncio.CancelledError:
            self._batcher.withdraw(future)
            raise
        finally:
            self.metrics.in_flight -= 1
        if self._gave_up and (stopped := next((one for one in answers if one.kind is ErrorKind.STOPPED), None)):
            raise StoppingError(str(stopped.error))
        if refused:
            given = iter(answers)
            answers = [next(given) if refusal is None else refusal for refusal in refusals]
        self.metrics.count_items(answers)
        return answers

    async def stream(self, item: Item, caller: Caller = UNKNOWN_CALLER) -> AsyncGenerator[Answer, None]:
        """Answers `item` piece by piece, each computed when the last has been taken. One without output is the last.

        To close it closes the function's generator. A function that is not a generator gives one piece.

        Raises:
          QueueFullError, StoppingError: as `answer`.
        """
        if self.state is ModelState.STOPPING:
            raise StoppingError(self.reason)
        refusal = self.contract.refusal(item)
        if refusal is not None:
            self.metrics.count_items([refusal])
            yield refusal
            return
        if self.tracer is not None:
            self.tracer.begin(caller)
        stream = self._batcher.submit_stream(item, caller)
        self.metrics.in_flight += 1
        last = Answer({})
        try:
            async for piece in stream:
                last = piece
                yield piece
                if piece.output is None:
                    return
        finally:
            stream.close()
            self.metrics.in_flight -= 1
            self.metrics.count_items([last])

    def finish_request(self, protocol: str, code: str, started: float, caller: Caller) -> None:
        """Counts a request that the front end `protocol` answered with its `code`, and logs it at level debug.

        It came at `started` (`time.perf_counter`).
        """
        seconds = time.perf_counter() - started
        self.metrics.count_request(protocol, code, seconds)
        if self.tracer is not None:
            self.tracer.end(caller, protocol, code, seconds)
        if _LOG.isEnabledFor(logging.DEBUG):
            fields = {"protocol": protocol, "code": code, "seconds": round(seconds, 6), **caller.log_fields()}
            _LOG.debug("a request was answered", extra=fields)

    async def watch_calls(self) -> None:
        """Fails the items of calls that outlast the run timeout, until cancelled."""
        waits = False
        while True:
            await asyncio.sleep(min(1.0, self._run_timeout / 10))
            if self.state not in (ModelState.READY, ModelState.STUCK, ModelState.LEAVING):
                continue
            overdue = self._batcher.overdue(self._run_timeout)
            if not all([self._backend.abandon(lane) for lane in overdue]):
                if not waits:
                    _LOG.error("a call of the model does not return", extra={"run_timeout": self._run_timeout})
                    self._report(
                        ModelState.STUCK, f"a call of the model has lasted longer than {self._run_timeout:g} s"
                    )
                waits = True
            elif waits:
                _LOG.info("the call of the model returned")
                self._report(ModelState.READY, "")
                waits = False

    def leave(self) -> None:
        """From now on it is not ready, and answers as before."""
        self._enter(ModelState.LEAVING, "the server is about to stop")

    def give_up(self) -> None:
        """Fails what has not been answered yet: the server stops, and its time to answer is over."""
        self._gave_up = True
        self._batcher.fail_all("the server stopped before it was answered; try again")

    def stop(self) -> None:
        """Takes no more; what was accepted is still answered."""
        self._enter(ModelState.STOPPING, "the server is stopping")

    def close(self, timeout: float) -> bool:
        """Ends the model after its last answer; False if it is still busy after `timeout` seconds."""
        return self._backend.close(timeout)

    def _report(self, state: ModelState, reason: str) -> None:
        if self.state not in (ModelState.LEAVING, ModelState.STOPPING) and (self.state, self.reason) != (state, reason):
            self._enter(state, reason)

    def _enter(self, state: ModelState, reason: str) -> None:
        self.state, self.reason = state, reason
        for watcher in self._watchers:
            watcher(state)
