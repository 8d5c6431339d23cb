"""Numbers as protobuf's wire format has them: seven bits a byte, the lowest first.

https://protobuf.dev/programming-guides/encoding/#varints
"""

from __future__ import annotations


def to_varint(number: int) -> bytes:
    """The bytes of a number that is not negative."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def read_varint(data: bytes | memoryview, position: int) -> tuple[int, int]:
    """The number at `position`, and the position behind it.

    Raises:
      IndexError: it is cut off.
    """
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80 or shift > 63:
            return value, position
        shift += 7
