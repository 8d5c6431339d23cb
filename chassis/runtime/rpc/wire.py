"""Fields of a protobuf message, looked at before it is parsed: two bytes of it may become hundreds in memory, and of a
large content the parser would make a copy.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from chassis.runtime.varint import read_varint, to_varint

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_SIZES = {_FIXED64: 8, _FIXED32: 4}


class FieldsError(Exception):
    """A message with more fields than wanted."""


class Schema:
    """What the fields of a message hold, by tag: other messages, packed numbers, and bytes."""

    def __init__(self, descriptor: Descriptor) -> None:
        """Takes the descriptor of a message that does not hold itself."""
        self.messages: dict[int, Schema] = {}
        self.packed: set[int] = set()
        self.contents: set[int] = set()
        for field in descriptor.fields:
            tag = field.number << 3 | _LENGTH
            if field.message_type is not None:
                self.messages[tag] = Schema(field.message_type)
            elif field.type == field.TYPE_BYTES:
                self.contents.add(tag)
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
                tag, position = read_varint(data, position)
                kind = tag & 7
                if kind == _LENGTH:
                    length, position = read_varint(data, position)
                    if tag in kinds.messages:
                        parts.append((position, min(end, position + length), kinds.messages[tag]))
                    elif tag in kinds.packed:
                        packed += length
                    position += length
                elif kind == _VARINT:
                    _, position = read_varint(data, position)
                else:
                    position += _SIZES.get(kind, 0)
    except IndexError:
        pass
    return packed


class Lifted:
    """A message without its large contents, which stay where they came.

    Attributes:
      message: with a name in the place of each, that no caller can guess.
      contents: name to content.
    """

    def __init__(self, data: bytes, schema: Schema, least: int) -> None:
        """Lifts contents of more than `least` bytes; of what is malformed none, which is left to the parser."""
        self.contents: dict[bytes, memoryview] = {}
        self._secret = os.urandom(16)
        self._least = least
        try:
            self.message = self._without(memoryview(data), schema)
        except IndexError:
            self.contents = {}
            self.message = data

    def _without(self, data: memoryview, schema: Schema) -> bytes:
        parts: list[bytes | memoryview] = []
        start = position = 0
        while position < len(data):
            tag, position = read_varint(data, position)
            kind = tag & 7
            if kind == _VARINT:
                _, position = read_varint(data, position)
            elif kind != _LENGTH:
                position += _SIZES[kind] if kind in _SIZES else len(data) + 1
            else:
                named = position
                length, position = read_varint(data, position)
                end = position + length
                if end > len(data):
                    raise IndexError
                if length > self._least and (tag in schema.messages or tag in schema.contents):
                    value = self._in_place_of(data[position:end], tag, schema)
                    parts += [data[start:named], to_varint(len(value)), value]
                    start = end
                position = end
        if position > len(data):
            raise IndexError
        return b"".join([*parts, data[start:]])

    def _in_place_of(self, value: memoryview, tag: int, schema: Schema) -> bytes:
        if tag in schema.messages:
            return self._without(value, schema.messages[tag])
        name = self._secret + len(self.contents).to_bytes(4, "little")
        self.contents[name] = value
        return name
