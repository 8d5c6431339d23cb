"""What the bytes of a blob are sent from: a file of this machine, or something that hands them out from any offset."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from chassis.oci import digest as digests
from chassis.oci.descriptor import Descriptor
from chassis.oci.registry.errors import BrokenConnectionError, RegistryError
from chassis.oci.registry.file_body import FileBody
from chassis.oci.registry.request import Body

Moved = Callable[[int], None]
Check = Callable[[], None]
_MAX_FAILURES = 4
_ADVANCE_BYTES = 256 << 10  # a connection that brought less has failed


class SourceError(BrokenConnectionError):
    """What a blob was read from broke off; an upload goes on where it was, from the source's next try."""


class BlobSource(Protocol):
    """One blob's bytes; `where` names the place for people."""

    where: str

    def body(self, start: int, end: int, moved: Moved, check: Check) -> Body:
        """The bytes from `start` to `end`. `moved` is told of each number of bytes that went out, `check` called before
        each piece: what it raises ends the request."""

    def defect(self, descriptor: Descriptor) -> str:
        """Why these are not the blob's bytes, in words with the remedy; "" if nothing is known against them."""


class FileSource:
    """A file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.where = str(path)

    def body(self, start: int, end: int, moved: Moved, check: Check) -> Body:
        """Left to the kernel if the connection is plain."""
        return FileBody(self.path, start, end, moved, check)

    def defect(self, descriptor: Descriptor) -> str:
        """The digest of the file, if it is another."""
        found, size = digests.of_file(self.path)
        if found == descriptor.digest:
            return ""
        return (
            f"{self.path}: changed since the image was built: it has the digest {found} and {size} bytes, "
            f"expected {descriptor.digest} and {descriptor.size} bytes\n  build the image again"
        )


class Stream(Protocol):
    """Bytes on their way from elsewhere."""

    def pieces(self) -> Iterator[bytes]:
        """The bytes as they come; `SourceError` if they break off."""

    def close(self) -> None:
        """Lets go of the connection."""


class StreamedBody:
    """A body that comes from elsewhere, opened again where it broke off, so that a registry sees one stream; another
    number of bytes than was promised is an error."""

    def __init__(
        self, where: str, open_at: Callable[[int], Stream], start: int, end: int, moved: Moved, check: Check
    ) -> None:
        """`open_at` gives the bytes from an offset to `end`; it may raise `SourceError`."""
        self._where = where
        self._open_at = open_at
        self._offset = start
        self._end = end
        self._moved = moved
        self._check = check
        self._stream: Stream | None = None

    def blocks(self) -> Iterator[bytes]:
        """The pieces as they come."""
        failures = 0
        while self._offset < self._end:
            begin = self._offset
            try:
                self._stream = self._open_at(self._offset)
                yield from self._pass_on(self._stream)
                cause = SourceError(f"{self._where}: broke off, {self._end - self._offset} bytes before the end")
            except SourceError as error:
                cause = error
            if self._offset >= self._end:
                return
            self.close()
            failures = 1 if self._offset - begin >= _ADVANCE_BYTES else failures + 1
            if failures >= _MAX_FAILURES:
                raise cause

    def close(self) -> None:
        """Lets go of the source."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _pass_on(self, stream: Stream) -> Iterator[bytes]:
        for piece in stream.pieces():
            self._check()
            if self._offset + len(piece) > self._end:
                raise RegistryError(f"{self._where}: gives more bytes than the blob has")
            yield piece
            self._offset += len(piece)
            self._moved(len(piece))
