"""From the bytes of a gRPC message to a message of protobuf: inflated, and looked at before it is parsed.

A message of gRPC does not say in its bytes whether it is compressed, and the core tells nobody. But a message of
protobuf begins with a field's tag, which gzip's first byte never is, nor zlib's in a message that this server knows.
"""

from __future__ import annotations

from collections.abc import Callable

import grpc

from chassis.runtime.content_coding import ContentDecoder, ContentError, TooLargeError
from chassis.runtime.core.budget import Budget, trim_memory
from chassis.runtime.core.request_error import RequestError
from chassis.runtime.rpc.call import Call, CallError
from chassis.runtime.rpc.wire import FieldsError, Lifted, Schema, count_fields

_SMALL = 1 << 16
_MAX_FIELDS = 1 << 17
"""Fields of a message, those of its fields among them: each may be two bytes, and takes hundreds when it is read."""

_PACKED = 24
"""Bytes that a byte of a packed number may take, for a moment."""

_TRIMMED = 1 << 24
"""Bytes of a message after which what gRPC's core held it in, piece by piece, is returned to the system."""

_GZIP = b"\x1f\x8b"
_ZLIB = 0x78


async def plain(content: list[bytes], decoder: ContentDecoder, call: Call) -> bytes:
    """The one element of `content`, inflated if it is compressed; it is taken out, so that its memory is free again.

    Raises:
      CallError: it is not of its coding, or inflates to more than is read, or than the budget leaves.
    """
    coding = coding_of(content[0])
    if not coding:
        return content.pop()
    try:
        data, cost = await decoder.decode(content.pop(), coding)
    except (TooLargeError, RequestError) as error:
        raise CallError(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error)) from None
    except ContentError as error:
        raise CallError(grpc.StatusCode.INTERNAL, f"the message: {error}") from None
    call.cost += cost
    return bytes(data)


def parse(
    data: bytes, read: Callable[[bytes], object], schema: Callable[[], Schema] | None, budget: Budget, call: Call
) -> object:
    """The message in `data`, but for its large contents, which are `lifted` of `call`.

    Raises:
      CallError: it needs more memory than `budget` leaves.
      google.protobuf.message.DecodeError: it is not a message.
    """
    if len(data) <= _SMALL or schema is None:
        return read(data)
    try:
        packed = count_fields(data, schema(), _MAX_FIELDS)
        budget.require(packed * _PACKED, "the message")
    except FieldsError:
        text = f"the message has more than {_MAX_FIELDS} fields"
        raise CallError(grpc.StatusCode.RESOURCE_EXHAUSTED, text) from None
    except RequestError as error:
        raise CallError(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error)) from None
    if len(data) > _TRIMMED:
        trim_memory()
    lifted = Lifted(data, schema(), _SMALL)
    call.lifted = lifted.contents
    return read(lifted.message)


def coding_of(data: bytes) -> str:
    """How its caller compressed `data`; empty for not at all."""
    if data[:2] == _GZIP:
        return "gzip"
    return "deflate" if len(data) > 1 and data[0] == _ZLIB and not (data[0] << 8 | data[1]) % 31 else ""
