"""The model in several processes that share one batcher; one that ends is started again."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import socket
import sys
import threading
import time
from collections.abc import Sequence

from chassis.runtime.core.answer import Answer, ErrorKind, Item, failed
from chassis.runtime.core.batcher import Batcher, Predict, PredictLostError
from chassis.runtime.core.metrics import Metrics
from chassis.runtime.core.service import Report, State
from chassis.runtime.workers import messages
from chassis.runtime.workers.messages import FAILED, PeerGoneError
from chassis.runtime.workers.nursery import Nursery

_LOG = logging.getLogger(__name__)

_FIRST_DELAY = 0.1
_LONGEST_DELAY = 10.0
"""Seconds before a process that did not load is started again; doubled each time."""

_SWITCH = 0.0005
"""Seconds after which a thread of the server lets another go on; Python's own is ten times that."""

_ENDING = 4.0
"""Seconds for the processes to end, more than they are given."""


class Worker:
    """One process of the model; called in a thread, as a `Predict`."""

    def __init__(self, key: int, connection: socket.socket, ended: asyncio.Future[str]) -> None:
        """Takes how the nursery calls it, its connection, and what will say how it ended."""
        self.key = key
        self.connection = connection
        self.ended = ended
        self.abandoned = False

    def __call__(self, items: Sequence[Item]) -> list[Answer]:
        """Answers `items`.

        Raises:
          PredictLostError: the process ended.
          ModelContractError, RemoteError: what its predict function raised.
        """
        if self.ended.done():
            self.connection.close()
            raise PredictLostError("the model's process ended", begun=False)
        try:
            messages.send(self.connection, messages.items_message(items))
            message = messages.receive(self.connection)
        except PeerGoneError:
            self.connection.close()
            raise PredictLostError("the model's process ended while it ran the item", begun=True) from None
        return messages.read_answers(message)


class _Slot:
    """A thread that calls one worker after another, as they end."""

    def __init__(self, number: int, batcher: Batcher) -> None:
        self.number = number
        self._batcher = batcher
        self._changed = threading.Condition()
        self._predict: Predict | None = None
        self._closed = False
        self.thread = threading.Thread(target=self._work, name=f"worker-{number}", daemon=True)
        self.thread.start()

    def give(self, predict: Predict | None) -> None:
        """What to call from now on; None: nothing until there is something again."""
        with self._changed:
            self._predict = predict
            self._changed.notify()

    def close(self) -> None:
        """Lets the thread end when it has nothing to call."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _work(self) -> None:
        lost: Predict | None = None
        while (predict := self._take(lost)) is not None:
            try:
                self._batcher.run(predict)
                return
            except PredictLostError:
                lost = predict

    def _take(self, lost: Predict | None) -> Predict | None:
        """What to call, other than `lost`; None where the slot is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._predict not in (None, lost))
            return None if self._closed else self._predict


class WorkerPool:
    """A `Backend` of several processes."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        batcher: Batcher,
        nursery: Nursery,
        *,
        workers: int,
        load_timeout: float,
        metrics: Metrics,
    ) -> None:
        """Takes the loop to report to, whose items to answer, what starts processes and how many.

        A process that is started again and has not loaded after `load_timeout` seconds is ended and started once more.
        """
        self._loop = loop
        self._batcher = batcher
        self._nursery = nursery
        self._load_timeout = load_timeout
        self._metrics = metrics
        self._keys = itertools.count()
        self._slots = [_Slot(number, batcher) for number in range(workers)]
        self._workers: dict[int, Worker] = {}
        self._numbers: dict[int, int] = {}
        self._loaded = 0
        self._failed_first = 0
        self._any_loaded = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._report: Report = lambda state, reason: None

    def start(self, report: Report) -> None:
        """Starts the processes."""
        self._report = report
        # The threads that speak to the processes do next to nothing, and must not wait for the loop to be done.
        sys.setswitchinterval(_SWITCH)
        self._nursery.watch(self._loop, self._on_started, self._on_ended, self._on_nursery_lost)
        self._metrics.workers = {slot.number: 0 for slot in self._slots}
        self._tasks = [self._loop.create_task(self._keep(slot, self._fork(slot))) for slot in self._slots]

    def abandon(self, predict: Predict) -> bool:
        """Ends the process whose call lasts too long; it is started again."""
        if not isinstance(predict, Worker):
            return False
        if not predict.abandoned:
            predict.abandoned = True
            _LOG.error("a call of the model does not return, its process is ended")
            self._nursery.kill(predict.key)
        return True

    def close(self, timeout: float) -> bool:
        """Ends the processes after their last answers; False where one is still busy after `timeout` seconds."""
        self._batcher.close()
        for slot in self._slots:
            slot.close()
        end = time.monotonic() + timeout
        for slot in self._slots:
            slot.thread.join(max(0.0, end - time.monotonic()))
        for worker in self._workers.values():
            with contextlib.suppress(OSError):
                worker.connection.shutdown(socket.SHUT_RDWR)
        ended = self._nursery.close(_ENDING)
        return ended and not any(slot.thread.is_alive() for slot in self._slots)

    def _fork(self, slot: _Slot) -> Worker:
        key = next(self._keys)
        self._numbers[key] = slot.number
        worker = Worker(key, self._nursery.start(key, slot.number), self._loop.create_future())
        self._workers[key] = worker
        return worker

    async def _keep(self, slot: _Slot, worker: Worker) -> None:
        """Keeps a process of the model in `slot`, `worker` being the first."""
        delay, first = _FIRST_DELAY, True
        while True:
            failure = await self._load(worker)
            if failure is None:
                delay = _FIRST_DELAY
                self._on_loaded(slot, worker)
                self._on_lost(slot, await worker.ended)
            else:
                worker.connection.close()
                _LOG.error("a process of the model is not there", extra={"worker": slot.number, "reason": failure})
                if first:
                    self._on_first_failure(failure)
                    await self._any_loaded.wait()
                else:
                    await asyncio.sleep(delay)
                    delay = min(delay * 2, _LONGEST_DELAY)
            first = False
            del self._workers[worker.key], self._numbers[worker.key]
            try:
                worker = self._fork(slot)
            except OSError:
                return  # Without the nursery the server ends.

    async def _load(self, worker: Worker) -> str | None:
        """Waits until the model is loaded; why it could not be, or None."""
        readable = asyncio.Event()
        self._loop.add_reader(worker.connection, readable.set)
        try:
            await asyncio.wait_for(readable.wait(), self._load_timeout)
        except TimeoutError:
            self._nursery.kill(worker.key)
            return f"it was not loaded within {self._load_timeout:g} s: its process {await worker.ended}"
        finally:
            self._loop.remove_reader(worker.connection)
        # libuv leaves what it watched non-blocking.
        worker.connection.setblocking(True)
        try:
            kind, reason = messages.receive(worker.connection)
        except PeerGoneError:
            return f"its process {await worker.ended}"
        return reason if kind == FAILED else None

    def _on_loaded(self, slot: _Slot, worker: Worker) -> None:
        self._loaded += 1
        self._any_loaded.set()
        slot.give(worker)
        self._report(State.READY, "")

    def _on_lost(self, slot: _Slot, how: str) -> None:
        self._loaded -= 1
        self._metrics.worker_restarts += 1
        slot.give(None)
        _LOG.error("a process of the model ended, it is started again", extra={"worker": slot.number, "how": how})
        if not self._loaded:
            self._report(State.STUCK, f"the model's process {how}; it is started again")

    def _on_first_failure(self, failure: str) -> None:
        self._failed_first += 1
        if self._failed_first == len(self._slots):
            reason = f"the model could not be loaded: {failure}"
            self._slots[0].give(lambda items: [failed(reason, ErrorKind.NOT_LOADED)] * len(items))
            self._report(State.FAILED, reason)

    def _on_started(self, key: int, pid: int) -> None:
        if key in self._numbers:
            self._metrics.workers[self._numbers[key]] = pid

    def _on_ended(self, key: int, how: str) -> None:
        worker = self._workers.get(key)
        if worker is not None:
            self._metrics.workers[self._numbers[key]] = 0
            worker.ended.set_result(how)

    def _on_nursery_lost(self) -> None:
        self._report(State.FAILED, "the process that starts the model's processes ended")
