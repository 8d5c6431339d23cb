"""Fields of a protobuf message, counted before it is parsed: two bytes of it may become hundreds in memory.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_SIZES = {_FIXED64: 8, _FIXED32: 4}


class FieldsError(Exception):
    """A message with more fields than wanted."""


class Schema:
    """What the fields of a message hold, by tag: other messages, and packed numbers."""

    def __init__(self, descriptor: Descriptor) -> None:
        """Takes the descriptor of a message that does not hold itself."""
        self.messages: dict[int, Schema] = {}
        self.packed: set[int] = set()
        for field in descriptor.fields:
            tag = field.number << 3 | _LENGTH
            if field.message_type is not None:
                self.messages[tag] = Schema(field.message_type)
            elif field.is_repeated and field.cpp_type != field.CPPTYPE_STRING:
                self.packed.add(tag)


def count_fields(data: bytes, schema: Schema, most: int) -> int:
    """Counts the fields of `data` and of the messages in it; returns how many bytes are packed numbers.

    What is malformed is left to the parser.

    Raises:
      FieldsError: there are more than `most` fields.
    """
    count = packed = 0
    parts = [(0, len(data), schema)]
    try:
        while parts:
            position, end, kinds = parts.pop()
            while position < end:
                count += 1
                if count > most:
                    raise FieldsError
                tag, position = _varint(data, position)
                kind = tag & 7
                if kind == _LENGTH:
                    length, position = _varint(data, position)
                    if tag in kinds.messages:
                        parts.append((position, min(end, position + length), kinds.messages[tag]))
                    elif tag in kinds.packed:
                        packed += length
                    position += length
                elif kind == _VARINT:
                    _, position = _varint(data, position)
                else:
                    position += _SIZES.get(kind, 0)
    except IndexError:
        pass
    return packed


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80 or shift > 63:
            return value, position
        shift += 7
