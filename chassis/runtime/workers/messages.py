"""What the server and a worker say to each other: a length of 8 bytes, then a tuple in marshal's format.

Both are one interpreter, forked, so that marshal's format is the same; it can express nothing that runs.
"""

from __future__ import annotations

import marshal
import socket
import struct
from collections.abc import Sequence

from chassis.runtime.core.answer import Answer, ErrorKind, Item, RemoteError
from chassis.runtime.core.predict import ModelContractError

Message = tuple

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
    content = marshal.dumps(message)
    try:
        if len(content) > _LARGE:
            connection.sendall(_LENGTH.pack(len(content)))
            connection.sendall(content)
        else:
            connection.sendall(_LENGTH.pack(len(content)) + content)
    except OSError as error:
        raise PeerGoneError(str(error)) from None


def receive(connection: socket.socket) -> Message:
    """Waits for a message.

    Raises:
      PeerGoneError: there is none, and none will come.
    """
    (length,) = _LENGTH.unpack(_read(connection, _LENGTH.size))
    return marshal.loads(_read(connection, length))


def _read(connection: socket.socket, size: int) -> bytearray:
    buffer = bytearray(size)
    view = memoryview(buffer)
    done = 0
    while done < size:
        try:
            count = connection.recv_into(view[done:])
        except OSError as error:
            raise PeerGoneError(str(error)) from None
        if not count:
            raise PeerGoneError("the other process ended")
        done += count
    return buffer


# From the worker, once: the model is loaded, or why it is not.
LOADED = "loaded"
FAILED = "failed"

# From the worker, after each list of items.
_ANSWERS = "answers"
_CONTRACT = "contract"
_RAISED = "raised"


def items_message(items: Sequence[Item]) -> Message:
    """Items that are to be answered."""
    return ("items", [dict(item) for item in items])


def answers_message(answers: Sequence[Answer]) -> Message:
    """Their answers."""
    return (_ANSWERS, [(answer.output, answer.error, answer.kind and answer.kind.value) for answer in answers])


def contract_message(error: ModelContractError) -> Message:
    """The function returned something else than it promises."""
    return (_CONTRACT, str(error))


def raised_message(kind: str, description: str, at: str) -> Message:
    """The function raised."""
    return (_RAISED, kind, description, at)


def read_answers(message: Message) -> list[Answer]:
    """The answers in `message`.

    Raises:
      ModelContractError: the function broke its promise.
      RemoteError: it raised.
    """
    kind, *fields = message
    if kind == _ANSWERS:
        return [Answer(output, error, kind and _KINDS[kind]) for output, error, kind in fields[0]]
    if kind == _CONTRACT:
        raise ModelContractError(*fields)
    raise RemoteError(*fields)
