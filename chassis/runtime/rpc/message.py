"""From the bytes of a gRPC message to a message of protobuf: inflated, and looked at before it is parsed.

A message of gRPC does not say in its bytes whether it is compressed, and the core tells nobody. But a message of
protobuf begins with a field's tag, which gzip's first byte never is, nor zlib's in a message that this server knows.
"""

from __future__ import annotations

from collections.abc import Callable

import grpc

from chassis.runtime.core.budget import Budget
from chassis.runtime.core.request_error import RequestError
from chassis.runtime.rpc.call import CallError
from chassis.runtime.rpc.wire import FieldsError, Schema, count_fields

_SMALL = 1 << 16
_MOST_FIELDS = 1 << 17
"""Fields of a message, those of its fields among them: each may be two bytes, and takes hundreds when it is read."""

_PACKED = 24
"""Bytes that a byte of a packed number may take, for a moment."""

_GZIP = b"\x1f\x8b"
_ZLIB = 0x78


def read_message(
    content: list[bytes],
    read: Callable[[bytes], object],
    schema: Callable[[], Schema] | None,
    most: int,
    budget: Budget,
) -> object:
    """The message in the one element of `content`, which is taken out, so that its memory is free again.

    Raises:
      CallError: it inflates to more than `most` bytes, or needs more memory than `budget` leaves.
      google.protobuf.message.DecodeError: it is not a message.
    """
    data = content.pop()
    try:
        data = inflated(data, most, budget)
        if len(data) > _SMALL:
            packed = count_fields(data, schema(), _MOST_FIELDS) if schema is not None else 0
            budget.require(len(data) + packed * _PACKED, "the message")
    except FieldsError:
        text = f"the message has more than {_MOST_FIELDS} fields"
        raise CallError(grpc.StatusCode.RESOURCE_EXHAUSTED, text) from None
    except RequestError as error:
        raise CallError(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error)) from None
    return read(data)


def inflated(data: bytes, most: int, budget: Budget) -> bytes:
    """`data` itself, or what it was before its caller compressed it.

    Raises:
      CallError: it is not of its coding, or inflates to more than `most` bytes.
      RequestError: that takes more than `budget` leaves.
    """
    zlib = len(data) > 1 and data[0] == _ZLIB and not (data[0] << 8 | data[1]) % 31
    if not zlib and data[:2] != _GZIP:
        return data
    from chassis.runtime.content_coding import ContentError, Inflater, TooLargeError  # here, since few callers do this

    inflater = Inflater("deflate" if zlib else "gzip")
    result = bytearray()
    try:
        for piece in inflater.feed(data, most):
            budget.require(2 * (len(result) + len(piece)), "the message, inflated,")
            result += piece
        if not inflater.complete():
            raise ContentError("the message ends within its compressed content")
    except TooLargeError:
        text = f"the message has more than {most} bytes when it is inflated"
        raise CallError(grpc.StatusCode.RESOURCE_EXHAUSTED, text) from None
    except ContentError as error:
        raise CallError(grpc.StatusCode.INTERNAL, str(error)) from None
    return bytes(result)
