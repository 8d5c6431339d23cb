"""The kinds of values that a declaration has: what each accepts, and how the build hands it to the server."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from chassis.errors import ChassisError

_ONE_MEDIA_TYPE = r"[\w!#$&^.+*-]+/[\w!#$&^.+*-]+(?: *;[^\x00-\x1f,]*)?"
_MEDIA_TYPE = re.compile(rf"{_ONE_MEDIA_TYPE}(?:, *{_ONE_MEDIA_TYPE})*", re.ASCII)
_VERSION = re.compile(r"([A-Za-z0-9][A-Za-z0-9._+-]{0,127})?")


class MetadataError(ChassisError):
    """Metadata that cannot be understood; the message names the key."""


class Kind:
    """Texts, and the base of the other kinds.

    Attributes:
      name: for errors and for the reference.
      left_out: the value that model.json leaves out; None if it has each.
    """

    name = "text"
    left_out: object = None

    def accept(self, place: str, value: object) -> object:
        """Returns `value` as a declaration holds it.

        Raises:
          MetadataError: it is of another type, or out of bounds; the message begins with `place`.
        """
        if not isinstance(value, str):
            raise self.wrong_type(place, value)
        return value

    def document(self, value: object) -> object:
        """The value as JSON has it, for `accept` to read."""
        return value

    def served(self, value: object) -> object:
        """The value as model.json has it: parsed, so that a starting server has nothing to parse."""
        return value

    def read(self, value: object) -> object:
        """What `served` wrote, as JSON gave it back."""
        return value

    def wrong_type(self, place: str, value: object) -> MetadataError:
        """The error for a value of another type."""
        return MetadataError(f"{place}: {value!r} is of the wrong type, expected {self.name}")


class Name(Kind):
    """A text that is not empty."""

    name = "a text that is not empty"

    def accept(self, place: str, value: object) -> object:
        if super().accept(place, value) == "":
            raise MetadataError(f"{place} is empty, expected a name")
        return value


class MediaType(Kind):
    """A media type, with parameters or without, or several, with commas between: https://www.rfc-editor.org/rfc/rfc6838#section-4.2."""

    name = "a media type such as application/json"

    def accept(self, place: str, value: object) -> object:
        text = super().accept(place, value)
        if not isinstance(text, str) or not _MEDIA_TYPE.fullmatch(text):
            raise MetadataError(
                f"{place}: {str(value)[:100]!r} is not a media type, expected such as application/json or image/png"
            )
        return value


class Version(Kind):
    """A version, which is part of URLs and of an image's tags; empty for none."""

    name = "a version such as 0.0.1"

    def accept(self, place: str, value: object) -> object:
        text = super().accept(place, value)
        if not isinstance(text, str) or not _VERSION.fullmatch(text):
            raise MetadataError(
                f"{place}: {str(value)[:100]!r} is not a version, expected letters, digits and . _ + - such as 0.0.1"
            )
        return value


class Count(Kind):
    """An integer of at least `least`, and of 31 bits: OMI has no larger."""

    def __init__(self, least: int = 0) -> None:
        self.least = least
        self.name = f"an integer of at least {least}"

    def accept(self, place: str, value: object) -> object:
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.wrong_type(place, value)
        if not self.least <= value < 1 << 31:
            raise MetadataError(f"{place} is {value}, expected {self.least} or more, and less than 2^31")
        return value


class Number(Kind):
    """A finite number of at least 0."""

    name = "a number of at least 0"

    def accept(self, place: str, value: object) -> object:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise self.wrong_type(place, value)
        if not math.isfinite(value) or value < 0:
            raise MetadataError(f"{place} is {value}, expected 0 or more")
        return value


class Texts(Kind):
    """A list of texts; none of them is empty, the list may be."""

    name = "a list of texts"

    def accept(self, place: str, value: object) -> object:
        if not isinstance(value, list | tuple):
            raise self.wrong_type(place, value)
        for text in value:
            if not isinstance(text, str) or not text:
                raise MetadataError(f"{place}: {text!r} is not a text, expected {self.name}, none of them empty")
        return tuple(value)

    def document(self, value: object) -> object:
        assert isinstance(value, tuple)
        return list(value)

    served = document

    def read(self, value: object) -> object:
        assert isinstance(value, list)
        return tuple(value)


class HeaderNames(Texts):
    """Names of headers, in lower case, which HTTP and gRPC both can send as text."""

    name = "a list of names of headers such as x-tenant"

    def accept(self, place: str, value: object) -> object:
        names = super().accept(place, value)
        assert isinstance(names, tuple)
        for name in names:
            if not re.fullmatch(r"[A-Za-z0-9_.-]+", name) or name.lower().endswith("-bin"):
                raise MetadataError(
                    f"{place}: {name!r} is not the name of a header that holds text: letters, digits, `-`, `_`, `.`, "
                    "without `-bin`, which gRPC has for bytes, at its end"
                )
        return tuple(dict.fromkeys(name.lower() for name in names))


class Names(Texts):
    """A selection of `choices`, at least one."""

    def __init__(self, choices: Sequence[str]) -> None:
        self.choices = tuple(choices)
        self.name = f"a list of {', '.join(choices)}"

    def accept(self, place: str, value: object) -> object:
        if not isinstance(value, list | tuple):
            raise self.wrong_type(place, value)
        for choice in value:
            if choice not in self.choices:
                raise MetadataError(f"{place}: {choice!r} is not one of {', '.join(self.choices)}")
        if not value:
            raise MetadataError(f"{place}: name at least one of {', '.join(self.choices)}")
        return tuple(value)
