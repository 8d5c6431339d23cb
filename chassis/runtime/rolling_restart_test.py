"""Servers are restarted one after the other, as Kubernetes does, and no request of their callers fails.

Whoever sends requests learns that a server is about to stop some seconds later, as kube-proxy and balancers do.
"""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from tests.support.running_server import RunningServer, write_model

STALE = 3.0
"""Seconds for which requests are sent to a server that has been told to stop."""

RATE = 1000
"""Requests a second that are meant to be sent."""

CALLERS = 32
_BODY = b'{"instances": ["x"]}'


def length(inputs: list[bytes]) -> list[int]:
    """The length of each."""
    return [len(content) for content in inputs]


class Endpoints:
    """The servers that requests are sent to now, in turn."""

    def __init__(self, ports: list[int]) -> None:
        self.ports = ports
        self.failures: list[str] = []
        self.answered = 0
        self.ended = False
        self._turn = 0

    def next(self) -> int:
        self._turn += 1
        return self.ports[self._turn % len(self.ports)]

    async def call(self, connections: dict[int, tuple[asyncio.StreamReader, asyncio.StreamWriter]]) -> None:
        """One request, over a connection that is kept as long as the server lets it."""
        port = self.next()
        try:
            if port not in connections:
                connections[port] = await asyncio.open_connection("127.0.0.1", port)
            reader, writer = connections[port]
            head = f"POST /v1/models/tested:predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(_BODY)}\r\n\r\n"
            writer.write(head.encode() + _BODY)
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines[1:] if line)
            answer = await reader.readexactly(int(headers["content-length"]))
            if " 200 " not in lines[0] or answer != b'{"predictions":[1]}':
                self.failures.append(f"{lines[0]} {answer!r}")
            self.answered += 1
            if headers.get("connection") == "close":
                connections.pop(port)[1].close()
        except (OSError, asyncio.IncompleteReadError) as error:
            self.failures.append(repr(error))
            connections.pop(port, None)

    async def caller(self) -> None:
        """Requests at a steady rate, until the end."""
        connections: dict[int, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not self.ended:
            await self.call(connections)
            due = max(due + CALLERS / RATE, loop.time() - 0.5)
            await asyncio.sleep(max(0.0, due - loop.time()))
        for _, writer in connections.values():
            writer.close()


@pytest.mark.parametrize("delay", ["4"])
def test_no_request_fails_while_servers_are_replaced(delay: str, tmp_path: Path) -> None:
    model = write_model(tmp_path, length, batch_size=16)
    given = {"CHASSIS_STOP_DELAY": delay}

    def started() -> RunningServer:
        server = RunningServer(model, given)
        server.wait_health("SERVING")
        return server

    async def replace(endpoints: Endpoints, old: RunningServer) -> RunningServer:
        new = await asyncio.to_thread(started)
        old.signal(signal.SIGTERM)
        await asyncio.sleep(STALE)
        endpoints.ports = [new.http_port if port == old.http_port else port for port in endpoints.ports]
        assert await asyncio.to_thread(old.wait_end) == 0
        return new

    async def roll(servers: list[RunningServer]) -> Endpoints:
        endpoints = Endpoints([server.http_port for server in servers])
        async with asyncio.TaskGroup() as callers:
            for _ in range(CALLERS):
                callers.create_task(endpoints.caller())
            try:
                for index in range(len(servers)):
                    servers.append(await replace(endpoints, servers[index]))
            finally:
                endpoints.ended = True
        return endpoints

    servers = [started(), started()]
    try:
        endpoints = asyncio.run(roll(servers))
    finally:
        for server in servers:
            server.__exit__(None, None, None)
    assert endpoints.failures == []
    # On a busy machine fewer are sent: what counts is that they come all the time.
    assert endpoints.answered > 2 * STALE * RATE / 10
