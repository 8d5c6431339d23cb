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
        """Left to the kernel where the connection is plain."""
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


class StreamedBody:
    """A body that comes in pieces from elsewhere; another number of bytes than was promised is an error."""

    def __init__(
        self, where: str, pieces: Iterator[bytes], size: int, moved: Moved, check: Check, close: Callable[[], object]
    ) -> None:
        self._where = where
        self._pieces = pieces
        self._size = size
        self._moved = moved
        self._check = check
        self._close = close

    def blocks(self) -> Iterator[bytes]:
        """The pieces as they come."""
        left = self._size
        for piece in self._pieces:
            self._check()
            left -= len(piece)
            if left < 0:
                raise RegistryError(f"{self._where}: gives more bytes than the blob has")
            yield piece
            self._moved(len(piece))
        if left:
            raise SourceError(f"{self._where}: broke off, {left} bytes before the end")

    def close(self) -> None:
        """Lets go of the source."""
        self._close()
