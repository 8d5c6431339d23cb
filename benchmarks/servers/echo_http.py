"""The floor of HTTP: httptools reads, the body goes back as it came, with asyncio's loop or uvloop's.

python -m benchmarks.servers.echo_http PORT [uvloop]
"""

from __future__ import annotations

import asyncio
import sys

import httptools


class _Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._parser = httptools.HttpRequestParser(self)
        self._body = b""

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\ncontent-type: application/json\r\n\r\n" % len(self._body)
        self._transport.write(head + self._body)
        self._body = b""


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Echo, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    if sys.argv[2:] == ["uvloop"]:
        import uvloop

        uvloop.install()
    asyncio.run(_serve(int(sys.argv[1])))
