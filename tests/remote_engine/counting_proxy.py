"""A proxy on loopback that counts the bytes of each direction, for what a build brings to the client."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from types import TracebackType

_CHUNK = 1 << 18
_SECONDS_BETWEEN_WRITES = 0.1


class CountingProxy:
    """Passes connections on to a port of 127.0.0.1, and keeps `{"sent": BYTES, "received": BYTES}` in a file.

    The words are the client's: it received what came from the port.
    """

    def __init__(self, target: int, totals: Path) -> None:
        self._target, self._totals = target, totals
        self._sent = self._received = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.port = 0

    def __enter__(self) -> CountingProxy:
        self._thread.start()
        self.port = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _start(self) -> int:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self._writing = asyncio.create_task(self._write())
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def _stop(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _write(self) -> None:
        while True:
            whole = self._totals.with_suffix(".part")
            whole.write_text(json.dumps({"sent": self._sent, "received": self._received}) + "\n")
            whole.replace(self._totals)
            await asyncio.sleep(_SECONDS_BETWEEN_WRITES)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
        await asyncio.gather(self._pump(reader, there_writer, True), self._pump(there_reader, writer, False))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_sent: bool) -> None:
        try:
            while data := await reader.read(_CHUNK):
                if is_sent:
                    self._sent += len(data)
                else:
                    self._received += len(data)
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass  # either end may go; the other is told by the close
        finally:
            writer.close()
