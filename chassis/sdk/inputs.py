"""What a person hands to `ChassisModel.test`, as the items that a server would hand to the model."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from chassis.errors import ChassisError
from chassis.runtime.core.json_result import encode

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


def typed_items(given: object, names: Sequence[str]) -> list[Item]:
    """As `items`, for a function that does not take bytes: values stand for themselves, as JSON.

    A mapping whose keys are not `names`, the model's inputs, is a row; a data frame is its rows.

    Raises:
      TestInputError: it is nothing that JSON can express.
    """
    if type(given).__name__ == "DataFrame":
        return [item for row in json.loads(encode(given)) for item in typed_items(row, names)]
    if isinstance(given, Mapping):
        if given and given.keys() <= set(names):
            return [{str(name): _value(value) for name, value in given.items()}]
        return [{names[0]: _value(dict(given))}]
    if isinstance(given, list | tuple) and given and all(isinstance(part, Mapping) for part in given):
        return [item for part in given for item in typed_items(part, names)]
    return [{names[0]: _value(given)}]


def _value(value: object) -> bytes:
    if isinstance(value, str | bytes | bytearray | memoryview | os.PathLike) or callable(getattr(value, "read", None)):
        return _content(value)
    try:
        return encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise TestInputError(
            f"a {type(value).__name__} is not an input: {str(error).replace('result', 'input')}"
        ) from None


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
