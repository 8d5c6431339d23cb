"""Sizes and durations as people write them: `10M`, `60s`."""

from __future__ import annotations

import re

from chassis.declaration.kinds import Kind, MetadataError

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_size(text: str, place: str = "size") -> int | None:
    """Returns bytes for `10M`, `1.5G`, `512 KiB` or `100`; None for an empty text. A unit is a power of 1024.

    Raises:
      MetadataError: it is not one of these; the message begins with `place`.
    """
    if not text:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if not match:
        raise MetadataError(f"{place}: {text!r} is not a size, expected such as 10M")
    return int(float(match[1]) * _UNITS[match[2].upper()])


def parse_duration(text: str, place: str = "duration") -> float:
    """Returns seconds for `60s`, `500ms`, `5m`, `1h` or `60`.

    Raises:
      MetadataError: it is not one of these; the message begins with `place`.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|)", text.strip())
    if not match or not float(match[1]):
        raise MetadataError(f"{place}: {text!r} is not a duration, expected such as 60s")
    return float(match[1]) * _SECONDS[match[2]]


class Size(Kind):
    """A size such as `10M`; empty for none."""

    name = "a size such as 10M"

    def accept(self, place: str, value: object) -> object:
        if not isinstance(value, str):
            raise self.wrong_type(place, value)
        if value:
            parse_size(value, place)
        return value


class Duration(Kind):
    """A duration such as `60s`; model.json has its seconds."""

    name = "a duration such as 60s"

    def accept(self, place: str, value: object) -> object:
        if not isinstance(value, str):
            raise self.wrong_type(place, value)
        parse_duration(value, place)
        return value

    def served(self, value: object) -> object:
        assert isinstance(value, str)
        return parse_duration(value)
