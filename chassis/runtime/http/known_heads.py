"""Heads that a server has read before: a client sends the same again and again, and the same bytes mean the same.

To parse a head of three headers is a seventh of all that the server does for a small request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

_USUAL = (
    *("Host", "Content-Type", "Content-Length", "User-Agent", "Accept", "Accept-Encoding", "Connection"),
    "Inference-Header-Content-Length",
)
USUAL_NAMES = {given.encode(): name.lower() for name in _USUAL for given in (name, name.lower())}
"""The headers that most requests have, as most clients write them; none is a secret, and none names the request."""

END_OF_HEAD = b"\r\n\r\n"
MAX_KNOWN = 1024
"""Bytes of a head that is kept, at most."""

_MAX_HEADS = 128


class Head(NamedTuple):
    """What a head says whose request is of HTTP/1.1, has none but usual headers and leaves the connection open.

    Attributes:
      method, path, headers: as `Request` has them.
      length: of the body.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    length: int


class KnownHeads(dict[bytes, Head]):
    """The heads of one server, by their bytes with the empty line."""

    def learn(self, content: bytes, head: Head) -> None:
        """Keeps a head; of very many the latest."""
        self.pop(content, None)
        if len(self) >= _MAX_HEADS:
            del self[next(iter(self))]
        self[content] = head
