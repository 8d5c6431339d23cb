"""What the server and a worker say to each other: a length of 8 bytes, then a tuple in marshal's format.

Both are one interpreter, forked, so that marshal's format is the same; it can express nothing that runs. Large contents
of items follow by themselves, and are their lengths in the tuple: neither side makes another copy of them.
"""

from __future__ import annotations

import marshal
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from chassis.runtime.core.answer import Answer, ErrorKind, Item, RemoteError
from chassis.runtime.core.predict import ModelContractError

if TYPE_CHECKING:
    from chassis.call import Request

Message = tuple[Any, ...]

_LENGTH = struct.Struct("<Q")
_LARGE = 1 << 16
"""Bytes above which a copy costs more than a call of the kernel."""

_KINDS = {kind.value: kind for kind in ErrorKind}


class PeerGoneError(Exception):
    """The other side closed the connection, or ended."""


def send(connection: socket.socket, message: Message) -> None:
    """Sends `message`.

    Raises:
      PeerGoneError: nobody reads it.
      ValueError: it holds something else than marshal's types; nothing was sent.
    """
    pieces = [*encoded(message)]
    try:
        for piece in pieces:
            connection.sendall(piece)
    except OSError as error:
        raise PeerGoneError(str(error)) from None


class MessageReader:
    """The messages of a connection that is waited for: each with one call of the kernel, if it is not large."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._view = memoryview(bytearray(_LARGE))

    def receive(self) -> Message:
        """Waits for a message; the other side sends none before it has heard of this one.

        Raises:
          PeerGoneError: there is none, and none will come.
        """
        done = self._fill(self._view, 0, _LENGTH.size)
        (length,) = _LENGTH.unpack_from(self._view)
        end = _LENGTH.size + length
        view = self._view
        if end > len(view):
            view = memoryview(bytearray(end))
            view[:done] = self._view[:done]
        self._fill(view[:end], done, end)
        message: Message = marshal.loads(view[_LENGTH.size : end])
        if message[0] == _LARGE_ITEMS:
            return self._with_contents(message)
        return message

    def _with_contents(self, message: Message) -> Message:
        """The items of `message`, whose large contents come now; `encoded` saw to it that none is read already."""
        items = message[1]
        for item in items:
            for name, content in item.items():
                if isinstance(content, int):
                    item[name] = self._take(content)
        return (_ITEMS, items, *message[2:])

    def _take(self, length: int) -> bytes:
        """Reads as many bytes, straight to where they stay."""
        parts: list[bytes] = []
        while length:
            try:
                part = self._connection.recv(length, socket.MSG_WAITALL)
            except OSError as error:
                raise PeerGoneError(str(error)) from None
            if not part:
                raise PeerGoneError("the other process ended")
            parts.append(part)
            length -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _fill(self, view: memoryview, done: int, wanted: int) -> int:
        """Reads into `view` behind `done` bytes until there are `wanted` or more; returns how many there are."""
        while done < wanted:
            try:
                count = self._connection.recv_into(view[done:])
            except OSError as error:
                raise PeerGoneError(str(error)) from None
            if not count:
                raise PeerGoneError("the other process ended")
            done += count
        return done


class MessageDecoder:
    """What has come over a connection that is not waited for, put together into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._wanted = _LENGTH.size
        self._length: int | None = None

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that are whole with `data`."""
        self._buffer += data
        while len(self._buffer) >= self._wanted:
            if self._length is None:
                (self._length,) = _LENGTH.unpack_from(self._buffer)
                self._wanted = _LENGTH.size + self._length
                continue
            with memoryview(self._buffer) as view:
                message = marshal.loads(view[_LENGTH.size : self._wanted])
            del self._buffer[: self._wanted]
            self._wanted, self._length = _LENGTH.size, None
            yield message


def encoded(message: Message) -> list[bytes]:
    """`message` as it is sent, in one piece or more.

    Raises:
      ValueError: it holds something else than marshal's types.
    """
    kind, contents = message[0], []
    if kind == _ITEMS and any(len(content) > _LARGE for item in message[1] for content in item.values()):
        items = []
        for item in message[1]:
            items.append({name: len(content) if len(content) > _LARGE else content for name, content in item.items()})
            contents += [content for content in item.values() if len(content) > _LARGE]
        content = marshal.dumps((_LARGE_ITEMS, items, *message[2:]))
        # At least as long as what a receiver may read at once, so that it reads nothing of what follows.
        content += bytes(max(0, _LARGE - _LENGTH.size - len(content)))
        return [_LENGTH.pack(len(content)), content, *contents]
    content = marshal.dumps(message)
    length = _LENGTH.pack(len(content))
    return [length, content] if len(content) > _LARGE else [length + content]


# From the server.
_ITEMS = "items"
_LARGE_ITEMS = "large items"

_STREAM = "stream"
_MORE = "more"
_CLOSE = "close"

# From the worker, once: the model is loaded, or why it is not.
LOADED = "loaded"
FAILED = "failed"

# From the worker, after each list of items.
_ANSWERS = "answers"
_PIECE = "piece"
_CONTRACT = "contract"
_RAISED = "raised"


def items_message(items: Sequence[Item], requests: Sequence[Request] = ()) -> Message:
    """Items that are to be answered, and what the function is told of the request of each, if it takes that."""
    found = [dict(item) for item in items]
    return (_ITEMS, found, [tuple(request) for request in requests]) if requests else (_ITEMS, found)


def stream_message(item: Item, requests: Sequence[Request] = ()) -> Message:
    """An item that is to be answered piece by piece, and what the function is told of its request."""
    return (_STREAM, [dict(item)], [tuple(request) for request in requests])


def read_requests(message: Message) -> list[Request]:
    """What the function is told of the requests in `message`."""
    if len(message) < 3 or not message[2]:
        return []
    from chassis.call import Request  # here, since few functions take it

    return [Request(*told) for told in message[2]]


def go_on_message(more: bool) -> Message:
    """The next piece is to be given, or no more."""
    return (_MORE if more else _CLOSE, [])


def wants_stream(message: Message) -> bool:
    """Whether the items of `message` are to be answered piece by piece."""
    return bool(message[0] == _STREAM)


def wants_more(message: Message) -> bool:
    """Whether the next piece is to be given."""
    return bool(message[0] == _MORE)


def piece_message(answer: Answer) -> Message:
    """One piece."""
    return (_PIECE, *_plain(answer))


def read_piece(message: Message) -> Answer | None:
    """The piece in `message`; None if it is something else."""
    kind, *fields = message
    if kind != _PIECE:
        return None
    return _answer(*fields)


def answers_message(answers: Sequence[Answer]) -> Message:
    """Their answers."""
    return (_ANSWERS, [_plain(answer) for answer in answers])


def contract_message(error: ModelContractError) -> Message:
    """The function returned something else than it promises."""
    return (_CONTRACT, str(error))


def raised_message(kind: str, description: str, at: str) -> Message:
    """The function raised."""
    return (_RAISED, kind, description, at)


def read_outcome(message: Message) -> list[Answer] | Exception:
    """The answers in `message`, or what the function raised."""
    kind, *fields = message
    if kind == _ANSWERS:
        return [_answer(*parts) for parts in fields[0]]
    return ModelContractError(*fields) if kind == _CONTRACT else RemoteError(*fields)


def _plain(answer: Answer) -> Message:
    return (answer.output, answer.error, answer.kind and answer.kind.value, answer.parameters)


def _answer(
    output: Mapping[str, bytes] | None, error: str | None, kind: str | None, parameters: Mapping[str, object] | None
) -> Answer:
    return Answer(output, error, _KINDS[kind] if kind else None, parameters)
