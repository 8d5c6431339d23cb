"""A predict function's result as compact JSON, NumPy arrays and scalars included."""

from __future__ import annotations

import json
from collections.abc import Mapping


def encode(result: object) -> bytes:
    """Returns `result` as compact UTF-8 JSON.

    What has a `tolist` method (arrays and scalars of NumPy, CuPy, PyTorch, …) becomes lists and numbers, so that none
    of them has to be imported here. Mapping keys that are such scalars become numbers.

    Raises:
      TypeError: a part is none of JSON's types; the message names its type.
      ValueError: the result holds NaN, an infinity or itself, which JSON cannot express.
    """
    try:
        text = _ENCODER.encode(result)
    except TypeError:
        text = _ENCODER.encode(_plain(result))
    except ValueError as error:
        if "Circular" in str(error):
            raise ValueError("the result holds itself, which JSON cannot express") from None
        raise ValueError("the result holds NaN or an infinity, which JSON cannot express") from None
    return text.encode()


def _convert(value: object) -> object:
    tolist = getattr(value, "tolist", None)
    if tolist is not None:
        return tolist()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"the result holds a {type(value).__name__}, which JSON cannot express")


def _plain(value: object) -> object:
    """Replaces mapping keys that json refuses though they are numbers; the slow way, for results that need it."""
    if isinstance(value, Mapping):
        return {_plain_key(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _plain_key(key: object) -> object:
    if isinstance(key, str | int | float | None):
        return key
    tolist = getattr(key, "tolist", None)
    if tolist is None:
        raise TypeError(f"the result has a mapping key of type {type(key).__name__}, which JSON cannot express")
    return tolist()


_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_convert)
