"""The model in one process or several that share one batcher; one that ends is started again."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import socket

from chassis.runtime.core.batch import Batch, Lane
from chassis.runtime.core.batcher import Batcher, NotLoaded
from chassis.runtime.core.metrics import Metrics
from chassis.runtime.core.service import ModelState, Report
from chassis.runtime.workers import messages
from chassis.runtime.workers.fork_server import ForkServer
from chassis.runtime.workers.messages import FAILED, MessageDecoder

_LOG = logging.getLogger(__name__)

_FIRST_DELAY = 0.1
_MAX_DELAY = 10.0
"""Seconds before a process that did not load is started again; doubled each time."""

_CLOSING_SECONDS = 0.5
"""Seconds that a connection may stay open after its process ended: a process that it forked may hold it open."""

_ENDING = 4.0
"""Seconds for the processes to end, more than they are given."""


class Worker(asyncio.Protocol):
    """One process of the model, at the other end of a connection; a `Lane` once it has loaded the model.

    Attributes:
      key: how the fork server calls it.
      number: its place among the processes.
      connection: to it.
      loaded: becomes why the model could not be loaded, None if it was.
      gone: is done when the connection has ended.
      ended: becomes how the process ended.
      abandoned: whether it is ended because its call lasts too long.
    """

    ahead = 0

    def __init__(
        self, loop: asyncio.AbstractEventLoop, batcher: Batcher, key: int, number: int, connection: socket.socket
    ) -> None:
        """Takes whose batches it will be given, and what it is called."""
        self.key = key
        self.number = number
        self.connection = connection
        self.loaded: asyncio.Future[str | None] = loop.create_future()
        self.gone: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[str] = loop.create_future()
        self.abandoned = False
        self._batcher = batcher
        self._transport: asyncio.Transport | None = None
        self._decoder = MessageDecoder()
        self._serves = False
        self._batch: Batch | None = None
        self._computes = self._closes = False

    def serve(self) -> None:
        """Takes batches from now on."""
        if not self.gone.done():
            self._serves = True
            self._batcher.add(self)

    def call(self, batch: Batch) -> None:
        """Sends the items of `batch`."""
        assert self._transport is not None
        self._batch = batch
        stream, items = batch.stream, batch.begin()
        if stream is None or not items:
            self._transport.writelines(messages.encoded(messages.items_message(items)))
            return
        self._computes, self._closes = True, False
        stream.source = _Source(self, batch)
        self._transport.writelines(messages.encoded(messages.stream_message(items[0])))

    def go_on(self, batch: Batch, more: bool) -> None:
        """Has the next piece of `batch`, a stream, computed, or the stream closed; once it has ended nothing is done.

        The process hears of nothing while it computes: what it is to close it is told with the piece.
        """
        if self._transport is None or self._batch is not batch:
            return
        if self._computes:
            self._closes = not more
            return
        batch.resume()
        self._computes = more
        self._transport.writelines(messages.encoded(messages.go_on_message(more)))

    def is_busy(self) -> bool:
        """Whether it has not answered."""
        return self._batch is not None and not self.gone.done()

    def disconnect(self) -> None:
        """Ends the connection, whoever else holds it open."""
        if self._transport is not None:
            self._transport.abort()

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        for message in self._decoder.feed(data):
            if not self.loaded.done():
                kind, reason = message
                self.loaded.set_result(reason if kind == FAILED else None)
            elif self._batch is not None:
                piece = messages.read_piece(message)
                if piece is not None:
                    self._computes = False
                    self._batch.pause()
                    if self._closes:
                        self.go_on(self._batch, more=False)
                    elif self._batch.stream is not None:
                        self._batch.stream.put(piece)
                    continue
                batch, self._batch = self._batch, None
                batch.end()
                self._batcher.finished(self, batch, messages.read_outcome(message))

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self.gone.set_result(None)
        if self._serves:
            self._batcher.lost(self, "the model's process ended while it ran the item")


class _Source:
    """A worker at one stream."""

    def __init__(self, worker: Worker, batch: Batch) -> None:
        self._worker = worker
        self._batch = batch

    def go_on(self, more: bool) -> None:
        """Has the next piece computed, or the stream closed."""
        self._worker.go_on(self._batch, more)


class WorkerPool:
    """A `Backend` of several processes."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        batcher: Batcher,
        fork_server: ForkServer,
        *,
        workers: int,
        load_timeout: float,
        metrics: Metrics,
    ) -> None:
        """Takes the loop to report to, whose items to answer, what starts processes and how many.

        A process that is started again and has not loaded after `load_timeout` seconds is ended and started once more.
        If none has loaded for as long, the model is lost.
        """
        self._loop = loop
        self._batcher = batcher
        self._fork_server = fork_server
        self._count = workers
        self._load_timeout = load_timeout
        self._metrics = metrics
        self._keys = itertools.count()
        self._workers: dict[int, Worker] = {}
        self._loaded = 0
        self._failed_first = 0
        self._any_loaded = asyncio.Event()
        self._lost: asyncio.TimerHandle | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._report: Report = lambda state, reason: None

    def start(self, report: Report) -> None:
        """Starts the processes."""
        self._report = report
        self._fork_server.watch(self._loop, self._on_started, self._on_ended, self._on_fork_server_lost)
        self._metrics.workers = dict.fromkeys(range(self._count), 0)
        self._tasks = [self._loop.create_task(self._keep(self._fork(number))) for number in range(self._count)]

    def abandon(self, lane: Lane) -> bool:
        """Ends the process whose call lasts too long; it is started again."""
        if not isinstance(lane, Worker):
            return False
        if not lane.abandoned:
            lane.abandoned = True
            _LOG.error("a call of the model does not return, its process is ended")
            self._fork_server.kill(lane.key)
        return True

    def close(self, timeout: float) -> bool:
        """Ends the processes; False if one was at a call, or did not end within some seconds."""
        workers = list(self._workers.values())
        for worker in workers:
            with contextlib.suppress(OSError):
                worker.connection.shutdown(socket.SHUT_RDWR)
        return self._fork_server.close(max(timeout, _ENDING)) and not any(worker.is_busy() for worker in workers)

    def _fork(self, number: int) -> Worker:
        key = next(self._keys)
        worker = Worker(self._loop, self._batcher, key, number, self._fork_server.start(key, number))
        self._workers[key] = worker
        return worker

    async def _keep(self, worker: Worker) -> None:
        """Keeps one process of the model running: `worker`, and after its end the next."""
        delay, first = _FIRST_DELAY, True
        while True:
            await self._loop.create_unix_connection(lambda worker=worker: worker, sock=worker.connection)  # type: ignore[misc]
            failure = await self._load(worker)
            if failure is None:
                delay = _FIRST_DELAY
                self._on_loaded(worker)
                self._on_lost(worker, await self._end(worker))
            else:
                worker.disconnect()
                _LOG.error("a process of the model is not there", extra={"worker": worker.number, "reason": failure})
                if first:
                    self._on_first_failure(failure)
                    await self._any_loaded.wait()
                else:
                    await asyncio.sleep(delay)
                    delay = min(delay * 2, _MAX_DELAY)
            first = False
            del self._workers[worker.key]
            try:
                worker = self._fork(worker.number)
            except OSError:
                return  # Without the fork server the server ends.

    async def _load(self, worker: Worker) -> str | None:
        """Waits until the model is loaded; why it could not be, or None."""
        either = (worker.loaded, worker.gone)
        await asyncio.wait(either, timeout=self._load_timeout, return_when=asyncio.FIRST_COMPLETED)
        if worker.loaded.done():
            return worker.loaded.result()
        if worker.gone.done():
            return f"its process {await self._end(worker)}"
        self._fork_server.kill(worker.key)
        return f"it was not loaded within {self._load_timeout:g} s: its process {await worker.ended}"

    async def _end(self, worker: Worker) -> str:
        """How the process ended; one that closed its connection and has not ended is ended."""
        await asyncio.wait((worker.gone, worker.ended), return_when=asyncio.FIRST_COMPLETED)
        if worker.gone.done():
            done, _ = await asyncio.wait((worker.ended,), timeout=_CLOSING_SECONDS)
            if not done:
                self._fork_server.kill(worker.key)
        return await worker.ended

    def _on_loaded(self, worker: Worker) -> None:
        self._loaded += 1
        self._any_loaded.set()
        if self._lost is not None:
            self._lost.cancel()
            self._lost = None
        worker.serve()
        self._report(ModelState.READY, "")

    def _on_lost(self, worker: Worker, how: str) -> None:
        self._loaded -= 1
        self._metrics.worker_restarts += 1
        _LOG.error("a process of the model ended, it is started again", extra={"worker": worker.number, "how": how})
        if not self._loaded:
            self._report(ModelState.STUCK, f"the model's process {how}; it is started again")
            self._lost = self._loop.call_later(self._load_timeout, self._on_none_left, how)

    def _on_none_left(self, how: str) -> None:
        self._fail(f"the model's process {how}, and none has loaded the model again within {self._load_timeout:g} s")

    def _fail(self, reason: str) -> None:
        """There will be no process any more; who waits for one is told."""
        if not self._loaded:
            self._batcher.add(NotLoaded(self._loop, self._batcher, reason))
        self._report(ModelState.FAILED, reason)

    def _on_first_failure(self, failure: str) -> None:
        self._failed_first += 1
        if self._failed_first == self._count:
            self._fail(f"the model could not be loaded: {failure}")

    def _on_started(self, key: int, pid: int) -> None:
        if key in self._workers:
            self._metrics.workers[self._workers[key].number] = pid

    def _on_ended(self, key: int, how: str) -> None:
        worker = self._workers.get(key)
        if worker is not None:
            self._metrics.workers[worker.number] = 0
            worker.ended.set_result(how)
            self._loop.call_later(_CLOSING_SECONDS, worker.disconnect)

    def _on_fork_server_lost(self) -> None:
        for task in self._tasks:
            task.cancel()  # so that nothing that is loaded later, and could not be started again, counts
        self._fail("the process that starts the model's processes ended")
