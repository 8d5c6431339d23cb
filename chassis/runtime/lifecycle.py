"""A server's life: the model loads while the port answers already, calls are served, a stop drains, and that is it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import math
import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

import uvloop

from chassis.runtime import logs
from chassis.runtime.core.batcher import Batcher
from chassis.runtime.core.budget import Budget
from chassis.runtime.core.loading import load_model
from chassis.runtime.core.metrics import Metrics
from chassis.runtime.core.model_thread import ModelThread
from chassis.runtime.core.service import Backend, ModelService, ModelState
from chassis.runtime.ending import end_process, flush, run_exit_functions
from chassis.runtime.front_ends import FrontEnds
from chassis.runtime.limits import MIN_INFLIGHT, memory_in_use
from chassis.runtime.settings import Settings
from chassis.runtime.version import VERSION

if TYPE_CHECKING:
    from chassis.runtime.workers.fork_server import ForkServer

_LOG = logging.getLogger("chassis.runtime")

_SETTLING = 0.2
"""The most of the drain timeout in which calls that have arrived are taken, and again in which later ones are refused.

A server with no calls on their way needs next to nothing of it.
"""

_LAST_ANSWERS = 0.3
"""Seconds for those to leave who were told in the end that they will not be answered."""

_LAST_SPANS = 1.0
"""Seconds for the last spans to be sent."""

_SAME_SIGNAL = 1.0
"""Seconds in which a second signal is the first once more: `timeout` and some supervisors send it to a process and to
its group."""

_COLLECTED = 10_000
"""Objects more than at the last search for garbage that have the next begin."""

_CLOSING = 2.0
"""Seconds that the model's thread has to end after the last answer, and again its libraries."""


def serve(settings: Settings, fork_server: ForkServer | None = None) -> NoReturn:
    """Serves until told to stop, then ends the process. With a `fork_server` the model runs in its processes.

    Its exit status is 0 after SIGTERM, SIGINT or Shutdown; 1 if the model was not loaded within the load timeout. A
    second signal ends the process at once, with 128 and the signal's number.
    """
    logs.configure(settings.log_format, settings.log_level)
    loop = uvloop.new_event_loop()
    metrics = Metrics()
    metrics.identity = (
        ("model", settings.name),
        ("version", settings.version),
        ("image", settings.image),
        ("server", VERSION),
        ("python", f"{sys.version_info.major}.{sys.version_info.minor}"),
    )
    batcher = Batcher(
        loop,
        batch_size=settings.batch_size,
        max_wait=settings.max_wait,
        queue_size=settings.queue_size,
        metrics=metrics,
    )
    # Before the front ends are imported: the model has the longest way.
    model = ModelService(
        _backend(settings, fork_server, loop, batcher, metrics),
        settings.contract,
        batcher,
        run_timeout=settings.run_timeout,
        metrics=metrics,
        budget=Budget(settings.limits.inflight_bytes),
    )
    server = _Server(settings, model)
    code = loop.run_until_complete(server.run())
    if not model.close(_CLOSING if server.answered_all else 0.0):
        _LOG.warning("the model was still busy in the end")
    run_exit_functions(code, _CLOSING if settings.workers == 0 and server.answered_all else 0.0)
    _LOG.info("stopped", extra={"status": code})
    end_process(code)


def _backend(
    settings: Settings,
    fork_server: ForkServer | None,
    loop: asyncio.AbstractEventLoop,
    batcher: Batcher,
    metrics: Metrics,
) -> Backend:
    if fork_server is None:
        from chassis.runtime.workers import forks

        forks.keep_signals()
        return ModelThread(loop, batcher, lambda: load_model(settings))
    from chassis.runtime.workers.pool import WorkerPool

    return WorkerPool(
        loop, batcher, fork_server, workers=settings.workers, load_timeout=settings.load_timeout, metrics=metrics
    )


class _Server:
    """The front ends of one model, from start to stop."""

    def __init__(self, settings: Settings, model: ModelService) -> None:
        self._settings = settings
        self._model = model
        self._stopping = asyncio.Event()
        self.answered_all = True
        """Whether all that was accepted had been answered in time."""
        self._code = 0
        self._signalled = -math.inf
        self._was_ready = False

    async def run(self) -> int:
        """Starts, waits to be told to stop, drains; returns the exit status."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)

        settings, model = self._settings, self._model
        front_ends = FrontEnds(settings, model, self.stop)
        await front_ends.start()
        gc.freeze()
        gc.enable()
        if settings.workers:
            # Requests leave no garbage that has to be looked for; many at a time have as many objects as make it look.
            gc.set_threshold(_COLLECTED)
        _LOG.info(
            "listening",
            extra={
                "model": settings.name,
                "host": settings.host,
                **front_ends.ports,
                "pid": os.getpid(),
                "threads": settings.threads,
            },
        )
        for name, nearest in settings.unknown:
            meant = {"nearest": nearest} if nearest else {}
            _LOG.warning("nothing reads this variable of the environment", extra={"variable": name, **meant})

        tracing = self._trace()
        model.watch(front_ends.report)
        model.watch(self._on_state)
        watching = loop.create_task(model.watch_calls())
        deadline = loop.call_later(settings.load_timeout, self._on_load_timeout)
        await self._stopping.wait()

        deadline.cancel()
        await self._leave(front_ends)
        watching.cancel()
        front_ends.report(ModelState.STOPPING)
        # What has arrived is taken, later calls are told that the server is stopping, and when none come any more the
        # process ends. The gRPC server is not closed: that would cancel calls that it has not yet looked at, where a
        # connection that ends tells clients that they may try elsewhere. Nor are HTTP's ports, for the same reason.
        end = asyncio.get_running_loop().time() + settings.drain_timeout
        await front_ends.quiet(settings.drain_timeout * _SETTLING)
        model.stop()
        if not await front_ends.wait_answered(end):
            self.answered_all = False
            _LOG.warning("not all was answered in time", extra={"drain_timeout": settings.drain_timeout})
            # Whoever waits is told so, rather than cut off.
            model.give_up()
            await front_ends.wait_answered(loop.time() + _LAST_ANSWERS)
        await front_ends.quiet(min(settings.drain_timeout * _SETTLING, _left(end)))
        if tracing is not None and model.tracer is not None:
            tracing.cancel()
            with contextlib.suppress(TimeoutError, asyncio.TimeoutError):  # two in Python 3.10
                await asyncio.wait_for(model.tracer.flush(), _LAST_SPANS)
        return self._code

    def _trace(self) -> asyncio.Task[None] | None:
        """Begins to send spans, if the standard variables of OpenTelemetry say where to."""
        if self._settings.traces is None:
            return None
        from chassis.runtime.tracing.tracer import Tracer  # here, since few servers need it

        tracer = Tracer(self._settings.traces, self._settings.name)
        self._model.trace(tracer)
        return asyncio.get_running_loop().create_task(tracer.run())

    async def _leave(self, front_ends: FrontEnds) -> None:
        """Serves on for the stop delay, in which others learn that this server is not ready: who looks where to send
        requests does so now and then only."""
        if self._settings.stop_delay and self._model.state is ModelState.READY:
            self._model.leave()
            front_ends.report(ModelState.LEAVING)
            await asyncio.sleep(self._settings.stop_delay)

    def stop(self, reason: str) -> None:
        """Begins to drain; a second time it changes nothing."""
        if not self._stopping.is_set():
            times = {"stop_delay": self._settings.stop_delay, "drain_timeout": self._settings.drain_timeout}
            _LOG.info("stopping", extra={"reason": reason, **times})
            self._stopping.set()

    def _on_signal(self, number: int) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._signalled < _SAME_SIGNAL:
            return
        if self._signalled > -math.inf:
            _LOG.warning("ended by a second signal", extra={"signal": signal.Signals(number).name})
            flush()
            os._exit(128 + number)
        self._signalled = now
        self.stop(signal.Signals(number).name)

    def _on_state(self, state: ModelState) -> None:
        if state is ModelState.READY and not self._was_ready:
            self._was_ready = True
            self._leave_room()
        if state is ModelState.FAILED and self._was_ready:
            _LOG.error("the model is lost", extra={"reason": self._model.reason})
            self._code = 1
            self.stop("the model is lost")

    def _leave_room(self) -> None:
        """Lowers what requests may take to three quarters of what the model, now that it is there, leaves of the
        container's memory; what was set by hand stays."""
        limits = self._settings.limits
        used = memory_in_use()
        if limits.memory is None or used is None or limits.settled:
            return
        budget = self._model.budget
        before = budget.total
        budget.lower(max(MIN_INFLIGHT, (limits.memory - used) * 3 // 4))
        if budget.total < before:
            fields = {"memory": limits.memory, "used": used, "inflight_bytes": budget.total}
            _LOG.warning("the model leaves little memory for requests", extra=fields)

    def _on_load_timeout(self) -> None:
        if self._model.state in (ModelState.LOADING, ModelState.FAILED):
            _LOG.error("the model was not loaded in time", extra={"load_timeout": self._settings.load_timeout})
            self._code = 1
            self.stop("load timeout")


def _left(end: float) -> float:
    """Seconds until `end` on the loop's clock."""
    return max(0.0, end - asyncio.get_running_loop().time())
