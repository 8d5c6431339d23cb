"""From the bytes of a connection to its requests: httptools reads them, what HTTP forbids is refused, and too much."""

from __future__ import annotations

from collections.abc import Callable

import httptools

from chassis.runtime.content_coding import CODINGS, coding_of
from chassis.runtime.core.budget import Budget
from chassis.runtime.core.caller import identify
from chassis.runtime.http.host import fault_of
from chassis.runtime.http.known_heads import END_OF_HEAD, MAX_KNOWN, USUAL_NAMES, Head, KnownHeads
from chassis.runtime.http.message import Request, Response, error_response
from chassis.runtime.http.offers import Offers
from chassis.runtime.http.target import path_in
from chassis.runtime.limits import Limits

MAX_HEADERS = 200

COPIES = 2.5
"""As many times its size as a body takes until it is answered: its items, here and in the model's process."""

_UNCOUNTED = 1024
"""Bytes of a body that the budget does not hear of: less than what a connection holds anyway."""

_PIECE = 1024
"""Bytes that are parsed at a time, but for a body whose end is far: some dozens of requests at most."""

_IN_A_TURN = 32
"""Requests after which other connections have their turn."""

_WAITING = 1024
"""Bytes that a request takes which waits for the answers before its own, beside those of its head."""

_UNCOUNTED_HEAD = 8192
"""Bytes of a head that the budget does not hear of."""

_SMALL_HEAD = 5 * MAX_HEADERS
"""Bytes of a head that has not too many headers: each has five at least."""

MAX_WAITING = 16
"""Requests that wait so, after which no more are read."""

_CLOSED = "the request is not one of HTTP/1.1"


class Reader:
    """Reads the requests of one connection.

    A refusal ends what is read. Of an offer to use another protocol the parser does not hear (`offers`).

    Attributes:
      refused: whether something could not be read; nothing is from then on.
      in_head: whether a head is half there.
      in_body: whether a body is.
      body_bytes: of the body as it was sent, so far.
    """

    _cost: int
    _beside: int
    _left: int
    _head_bytes: int
    _raw_bytes: int

    def __init__(
        self,
        limits: Limits,
        budget: Budget,
        take: Callable[[Request | None, Response | None, bool, bool], None],
        proceed: Callable[[], None],
        ahead: Callable[[], int],
        known: KnownHeads,
    ) -> None:
        """Takes the bounds, and what is called: with a request, or else the answer to what is not one, whether the
        connection stays open and whether it is of HTTP/1.0; when a caller waits to send its body; and to hear how many
        requests of the connection are not answered yet. And the heads that its server knows."""
        self.refused = False
        self.in_head = False
        self.in_body = False
        self.body_bytes = 0
        self._limits = limits
        self._budget = budget
        self._take = take
        self._proceed = proceed
        self._ahead = ahead
        self._known = known
        self._between = True
        self._last: Head | None = None
        self._taken = 0
        self._parser = httptools.HttpRequestParser(self)
        self._offers = Offers(self)
        self._host = self._path = ""
        self._target = b""
        self._reset()

    def feed(self, data: bytes) -> bytes:
        """Reads what came; returns what is left of it when enough requests wait, or it is others' turn."""
        self._taken = 0
        position, end = 0, len(data)
        while position < end and not self.refused:
            if self._taken >= _IN_A_TURN or self._ahead() > MAX_WAITING:
                return data[position:]
            between = self._between
            if between and (after := self._read_known(data, position)):
                position = after
                continue
            size = self._left - 1 if self.in_body and self._left > _PIECE else _PIECE
            piece = data if size >= end and not position else data[position : position + size]
            self._last = None
            self._feed_piece(piece)
            if between and self._last is not None:
                self._learn(piece, self._last)
            position += size
        return b""

    def _read_known(self, data: bytes, position: int) -> int:
        """Takes the request at `position`, if its head is known, its body is there and none waits before it.

        Returns where it ends, 0 for another, which the parser has to read.
        """
        stop = data.find(END_OF_HEAD, position, position + MAX_KNOWN) + len(END_OF_HEAD)
        head = self._known.get(data[position:stop])
        if head is None or self._ahead():
            return 0
        method, path, headers, length = head
        end = stop + length
        if end > len(data):
            return 0
        self._taken += 1
        self._take(Request(method, path, headers, data[stop:end], identify(None, None)), None, True, False)
        return end

    def _learn(self, piece: bytes, head: Head) -> None:
        """Keeps what the parser read of `head`, if `piece` was this one request."""
        stop = piece.find(END_OF_HEAD, 0, MAX_KNOWN) + len(END_OF_HEAD)
        if stop + head.length == len(piece):
            self._known.learn(piece[:stop], head)

    def refuse_busy(self) -> None:
        """Answers that memory has run out, and reads no more."""
        self._refuse(503, self._budget.busy())

    def _feed_piece(self, data: bytes) -> None:
        try:
            if self.in_body and len(data) < self._left:
                self.parse(data)
            else:
                self._offers.feed(data)
        except httptools.HttpParserUpgrade:
            # What the client takes for the beginning of another protocol, after CONNECT, which was refused.
            self._refuse(501, "this server serves no other protocol than HTTP/1.1")
        except httptools.HttpParserError as error:
            self._refuse(400, f"{_CLOSED}: {error}")

    def parse(self, data: bytes) -> None:
        """Has the parser read, and bounds what it has not reported yet."""
        head_bytes, body_bytes = self._head_bytes, self.body_bytes
        self._parser.feed_data(data)
        if self.refused or not (self.in_head or self.in_body):
            return
        # A line that is half there, of a head or between chunks, or trailers, which the parser keeps and nobody wants.
        if head_bytes == self._head_bytes and body_bytes == self.body_bytes:
            self._raw_bytes += len(data)
        else:
            self._raw_bytes = len(data) - data.rfind(b"\n") - 1 if self.in_head else 0
        if self._raw_bytes > self._limits.head_bytes:
            if self.in_head:
                self._refuse_head()
            else:
                self._refuse(431, "what is between the body's chunks, or behind them, is too long")
        elif self._head_bytes + self._raw_bytes > _UNCOUNTED_HEAD:
            self._count_head(2 * (self._head_bytes + self._raw_bytes))

    def close(self) -> None:
        """Lets go of what is half there, and of whom it told: nothing is to wait for a search for garbage."""
        self.stop()
        del self._parser, self._offers, self._take, self._proceed, self._ahead, self._known

    def stop(self) -> None:
        """Reads no more."""
        self.refused = True
        self._drop()

    # What the parser calls.

    def on_message_begin(self) -> None:
        """A request line comes."""
        self.in_head = True
        self._between = False

    def on_url(self, url: bytes) -> None:
        """The target, or a part of it."""
        if self.refused:
            return
        self._url += url
        self._head_bytes += len(url)
        if len(self._url) > self._limits.url_bytes:
            self._refuse(414, f"the request's target has more than {self._limits.url_bytes} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, of which none is wanted (RFC 9110, 6.5.1)."""
        if not self.in_head or self.refused:
            return
        size = self._head_bytes = self._head_bytes + len(name) + len(value) + 4
        if size > _SMALL_HEAD and not self._may_grow(size):
            return
        headers = self._headers
        key = USUAL_NAMES.get(name)
        if key is None:
            key = name.decode("latin-1").lower()
            self._usual = False
        text = value.decode("latin-1")
        if key in headers:
            if key == "host":
                self._refuse(400, "the request has more than one Host")
            text = f"{headers[key]}, {text}"
            self._repeated += 1
            self._usual = False
        headers[key] = text

    def _may_grow(self, size: int) -> bool:
        """Refuses a head that is to have `size` bytes, or one header more, if that is too much."""
        if size > self._limits.head_bytes:
            self._refuse_head()
            return False
        if len(self._headers) + self._repeated >= MAX_HEADERS:
            self._refuse(431, f"the request has more than {MAX_HEADERS} headers")
            return False
        return size <= _UNCOUNTED_HEAD or self._count_head(2 * size)

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self.in_head = False
        if self.refused:
            return
        headers = self._headers
        version = self._parser.get_http_version()
        self._old = version == "1.0"
        if not self._old:
            if version != "1.1":
                self._refuse(505, f"this server speaks HTTP/1.1, not HTTP/{version}")
                return
            if "host" not in headers:
                self._refuse(400, "the request has no Host, which HTTP/1.1 asks for")
                return
        host = headers.get("host")
        if host and host != self._host:
            if reason := fault_of(host, self._limits.hosts):
                self._refuse(400, reason)
                return
            self._host = host
        self._method = self._parser.get_method()
        if self._method == b"CONNECT":
            self._refuse(501, "this server is not a proxy")
            return
        transfer = headers.get("transfer-encoding")
        if transfer is not None:
            if self._old:
                self._refuse(400, "HTTP/1.0 has no Transfer-Encoding")
            elif transfer.strip().lower() != "chunked":
                self._refuse(501, "this server knows no Transfer-Encoding but chunked")
            else:
                self._begin_body(-1)
        elif "content-length" in headers:
            length = int(headers["content-length"])  # the parser has seen that it is a number of 64 bits
            if length:
                self._begin_body(length)

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        if self.refused:
            return
        size = len(body)
        self.body_bytes += size
        if self._left > 0:
            self._left -= size
        size = len(self._body) + size
        if size > self._limits.request_bytes:
            self._refuse_body()
            return
        if size > _UNCOUNTED:
            if not self._budget.take(size - self._cost):
                self._refuse(503, self._budget.busy())
                return
            self._cost = size
        self._body += body

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self.refused:
            return
        self.in_body = False
        headers = self._headers
        if self._url != self._target:  # a connection asks for the same again and again
            path = path_in(self._url)
            if path is None:
                self._refuse(400, "the request's target is not a URL")
                return
            self._target, self._path = self._url, path
        keep_alive, old = self._parser.should_keep_alive(), self._old
        self._taken += 1
        if self._ahead() and not self._count_head(_WAITING + 2 * self._head_bytes):
            return
        # Of a body that is compressed nothing is known yet.
        more = int(self._cost * COPIES) - self._cost if self._cost and not self._coding else 0
        if more and not self._budget.take(more):
            refusal = error_response(503, self._budget.busy())
            if self._cost + more > self._budget.total:
                refusal = error_response(413, self._budget.too_large(self._cost + more, "the request's body"))
            self._drop()
            self._take(None, refusal, keep_alive, old)
            return
        request = Request(
            self._method.decode("ascii"),
            self._path,
            headers,
            self._body,
            identify(headers.get("x-request-id"), headers.get("traceparent")),
            self._cost + more + self._beside,
            self._coding,
        )
        self._between = keep_alive
        if keep_alive and self._usual and not old and not request.cost:
            self._last = Head(request.method, request.path, headers, len(self._body))
        self._reset()
        self._take(request, None, keep_alive, old)

    # Steps.

    def _reset(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._repeated = 0
        self._usual = True
        self._head_bytes = 0
        self._raw_bytes = 0
        self._body: bytearray = bytearray()
        self._cost = 0
        self._beside = 0
        self._left = 0
        self._coding = ""
        self._old = False
        self.body_bytes = 0

    def _begin_body(self, length: int) -> None:
        """A body of `length` bytes comes, or chunks if that is -1."""
        headers = self._headers
        if "content-encoding" in headers:
            coding = coding_of(headers)
            if coding is None:
                accepted = ", ".join(CODINGS)
                message = f"content-encoding {headers['content-encoding']!r}: this server reads {accepted}"
                self._refuse(415, message, {"accept-encoding": accepted})
                return
            self._coding = coding
        if length > _UNCOUNTED:
            if length > self._limits.request_bytes:
                self._refuse_body()
                return
            if not self._coding and length * COPIES > self._budget.total:
                self._refuse(413, self._budget.too_large(int(length * COPIES), "the request's body"))
                return
            if not self._budget.has(length):
                self._refuse(503, self._budget.busy())
                return
        self._left = length
        self.in_body = True
        if "expect" in headers and headers["expect"].lower() == "100-continue":
            self._proceed()

    def _refuse_head(self) -> None:
        self._refuse(431, f"the request's head has more than {self._limits.head_bytes} bytes")

    def _refuse_body(self) -> None:
        self._refuse(413, f"the request's body has more than {self._limits.request_bytes} bytes")

    def _refuse(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        """Answers what cannot be read, and reads no more."""
        if not self.refused:
            self.refused = True
            old = self._old
            self._drop()
            self._take(None, error_response(status, message, headers), False, old)

    def _count_head(self, size: int) -> bool:
        """Counts a request as one that takes `size` bytes beside its body; refuses it if there are fewer."""
        more = size - self._beside
        if more > 0:
            if not self._budget.take(more):
                self.refuse_busy()
                return False
            self._beside = size
        return True

    def _drop(self) -> None:
        if self._cost + self._beside:
            self._budget.give(self._cost + self._beside)
        self._reset()
        self._offers.drop()
