"""Part of a file as the body of a request: the kernel sends it if the connection is plain, else it is read."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from chassis.oci.registry.errors import RegistryError

# Between two looks at whether the push is given up; a call into the kernel for each.
_BLOCK_BYTES = 1 << 20


class FileBody:
    """The bytes from `start` to `end` of a file; `close` it.

    `moved` is told of each number of bytes that went out, `check` called before each block: what it raises ends the
    request.
    """

    def __init__(
        self, path: Path, start: int, end: int, moved: Callable[[int], None], check: Callable[[], None]
    ) -> None:
        self.path = path
        self.moved = moved
        self.check = check
        self.stream = path.open("rb", buffering=0)
        self._range = range(start, end, _BLOCK_BYTES)

    def blocks(self) -> Iterator[FileBlock]:
        """The file's bytes, in pieces that a connection sends one after the other."""
        for start in self._range:
            self.check()
            yield FileBlock(self, start, min(start + _BLOCK_BYTES, self._range.stop))

    def close(self) -> None:
        """Closes the file."""
        self.stream.close()


class FileBlock(io.RawIOBase):
    """Some bytes of a `FileBody`; fewer than promised are an error."""

    def __init__(self, body: FileBody, start: int, end: int) -> None:
        super().__init__()
        self._body = body
        self._start = start
        self._end = end

    def read(self, size: int = -1) -> bytes:
        """The next bytes, none at the end."""
        left = self._end - self._start
        self._body.stream.seek(self._start)
        data = self._body.stream.read(left if size < 0 else min(size, left))
        self._advance(len(data), data or not left)
        return data

    def send(self, connection: socket.socket) -> None:
        """Sends all of it from the page cache, within the connection's timeout for each wait."""
        count = connection.sendfile(self._body.stream, self._start, self._end - self._start)
        self._advance(count, self._start + count == self._end)

    def readable(self) -> bool:
        """Always true."""
        return True

    def _advance(self, count: int, enough: object) -> None:
        if not enough:
            raise RegistryError(f"{self._body.path}: became shorter while it was sent; build the image again")
        self._start += count
        self._body.moved(count)
