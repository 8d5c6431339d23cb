"""The model as front ends see it: loading or ready, failed or stuck; items in, answers out."""

from __future__ import annotations

import asyncio
import enum
import logging
import threading
import time
from collections.abc import Callable, Sequence

from chassis.runtime.core.answer import Answer, ErrorKind, Item, describe_exception, failed
from chassis.runtime.core.batcher import Batcher
from chassis.runtime.core.caller import UNKNOWN_CALLER, Caller
from chassis.runtime.core.contract import Contract
from chassis.runtime.core.metrics import Metrics
from chassis.runtime.core.predict import PredictFunction

_LOG = logging.getLogger(__name__)

Load = Callable[[], PredictFunction]


class State(enum.Enum):
    """What the model is doing."""

    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"
    """It could not be loaded, and never will be."""
    STUCK = "stuck"
    """A call has lasted longer than the run timeout; ready again when it returns."""
    STOPPING = "stopping"
    """It answers what was accepted and takes no more."""


class StoppingError(Exception):
    """A request that came after the server was told to stop."""


class ModelService:
    """One model, loaded and called in a thread of its own, for any number of front ends in one event loop.

    All methods belong to the loop's thread.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        load: Load,
        contract: Contract,
        batcher: Batcher,
        *,
        run_timeout: float,
        metrics: Metrics,
    ) -> None:
        """Starts to load at once; items that come before are answered when it is done."""
        self.contract = contract
        self.metrics = metrics
        self.state = State.LOADING
        self.reason = "the model is loading"
        self._loop = loop
        self._load = load
        self._batcher = batcher
        self._run_timeout = run_timeout
        self._watchers: list[Callable[[State], None]] = []
        # A daemon, so that a call that never returns does not keep the process.
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)
        self._thread.start()

    def watch(self, watcher: Callable[[State], None]) -> None:
        """Calls `watcher` with the state now and at every change."""
        self._watchers.append(watcher)
        watcher(self.state)

    def waiting(self) -> int:
        """How many items wait for the model."""
        return self._batcher.waiting()

    async def answer(self, items: Sequence[Item], caller: Caller = UNKNOWN_CALLER) -> list[Answer]:
        """Answers each of `items`, in order; those that break the contract never reach the model.

        Raises:
          QueueFullError: too many items wait already.
          StoppingError: the server is stopping.
        """
        if self.state is State.STOPPING:
            raise StoppingError(self.reason)
        refusals = [self.contract.refusal(item) for item in items]
        if not any(refusals):
            answers = await self._batcher.submit(items, caller)
        else:
            accepted = [item for item, refusal in zip(items, refusals, strict=True) if refusal is None]
            given = iter(await self._batcher.submit(accepted, caller))
            answers = [next(given) if refusal is None else refusal for refusal in refusals]
        self.metrics.count_items(answers)
        return answers

    async def watch_calls(self) -> None:
        """Fails the items of calls that outlast the run timeout, until cancelled."""
        while True:
            await asyncio.sleep(min(1.0, self._run_timeout / 10))
            if self.state not in (State.READY, State.STUCK):
                continue
            overdue = self._batcher.overdue(self._run_timeout)
            if overdue and self.state is State.READY:
                _LOG.error("a call of the model does not return", extra={"run_timeout": self._run_timeout})
                self._enter(State.STUCK, f"a call of the model has lasted longer than {self._run_timeout:g} s")
            elif not overdue and self.state is State.STUCK:
                _LOG.info("the call of the model returned")
                self._enter(State.READY, "")

    def stop(self) -> None:
        """Takes no more; what was accepted is still answered."""
        self._enter(State.STOPPING, "the server is stopping")

    def close(self, timeout: float) -> bool:
        """Ends the model's thread after its last answer; False where it is still busy after `timeout` seconds."""
        self._batcher.close()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _work(self) -> None:
        """The model's thread."""
        started = time.monotonic()
        try:
            predict = self._load()
        except (Exception, SystemExit) as error:
            reason = f"the model could not be loaded: {describe_exception(error)}"
            _LOG.error("the model could not be loaded", exc_info=True)
            self._loop.call_soon_threadsafe(self._loaded, State.FAILED, reason)
            self._batcher.run(lambda items: [failed(reason, ErrorKind.NOT_LOADED)] * len(items))
            return
        _LOG.info("model loaded", extra={"seconds": round(time.monotonic() - started, 3)})
        self._loop.call_soon_threadsafe(self._loaded, State.READY, "")
        self._batcher.run(predict)

    def _loaded(self, state: State, reason: str) -> None:
        if self.state is State.LOADING:
            self._enter(state, reason)

    def _enter(self, state: State, reason: str) -> None:
        self.state, self.reason = state, reason
        for watcher in self._watchers:
            watcher(state)
