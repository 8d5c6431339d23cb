"""What a person hands to `ChassisModel.test`, as the items that a server would hand to the model."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from chassis.errors import ChassisError

Item = dict[str, bytes]

# One word that ends as files do, or that has a directory before it: `missing.json`, `./cases/one`.
_EXTENSIONS = "json|jsonl|txt|csv|png|jpe?g|gif|bmp|tiff?|wav|mp3|mp4|npy|npz|parquet"
_LOOKS_LIKE_PATH = re.compile(rf"([.]{{0,2}}/)?([\w-]+/)*[\w-]+[.]({_EXTENSIONS})|([.]{{1,2}}/|/[\w.-]+/)[\w./-]+")


class TestInputError(ChassisError, TypeError):
    """Something that cannot be an input of a model."""

    __test__ = False


def items(given: object, name: str) -> list[Item]:
    """Returns the items that `given` stands for; content without a name goes under `name`.

    Args:
      given: a path, bytes, a text (the path of a file if there is one, else the content itself), an open file, a
        mapping from input name to any of these, or a list of such mappings.
      name: the model's first input.

    Raises:
      TestInputError: it is not one of these, or a file that cannot be read, or a text that is the path of none.
    """
    if isinstance(given, Mapping):
        return [_item(given)]
    if isinstance(given, Sequence) and not isinstance(given, str | bytes | bytearray):
        if not given:
            raise TestInputError("the list of inputs is empty, expected at least one mapping")
        for place, part in enumerate(given):
            if not isinstance(part, Mapping):
                raise TestInputError(
                    f"input {place} of the list is a {type(part).__name__}, expected a mapping of input names"
                )
        return [_item(part) for part in given]
    return [{name: _content(given)}]


def _item(mapping: Mapping[object, object]) -> Item:
    if not mapping:
        raise TestInputError("the mapping has no input, expected such as {'input': content}")
    found = {}
    for key, value in mapping.items():
        if not isinstance(key, str):
            raise TestInputError(f"the input name {key!r} is a {type(key).__name__}, expected a str")
        found[key] = _content(value)
    return found


def _content(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    if isinstance(value, str):
        if _names_file(value):
            return _read(Path(value))
        if _LOOKS_LIKE_PATH.fullmatch(value):
            raise TestInputError(
                f"{value!r} looks like a path, and there is no such file in {Path.cwd()}\n"
                f"  name a file that is there; if the text itself is the input: {value.encode()!r}"
            )
        return value.encode()
    if isinstance(value, os.PathLike):
        return _read(Path(value))
    read = getattr(value, "read", None)
    if callable(read):
        content = read()
        return content.encode() if isinstance(content, str) else bytes(content)
    raise TestInputError(
        f"a {type(value).__name__} is not an input: "
        "give a path, bytes, a str, an open file, a mapping or a list of them"
    )


def _names_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # too long for a name, or with a NUL: content
        return False


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TestInputError(f"{path}: {error.strerror}") from None
