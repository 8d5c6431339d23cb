"""A predict function's result as compact JSON: arrays, frames, dataclasses, dates and the like become JSON's own types.

| of | becomes |
| --- | --- |
| arrays and scalars of NumPy, CuPy, PyTorch, … (what has `tolist`) | lists and numbers |
| data frame of pandas | a list of rows, each an object; a series: a list. A missing value is `null` |
| dataclass, model of pydantic | an object |
| Enum | its value |
| date, time, datetime | text of ISO 8601; a timedelta: seconds |
| Decimal, UUID, path | text |
| set | a list in the order of its elements' JSON |

NaN and infinities are errors: JSON has neither. In pandas alone NaN stands for a missing value.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Set
from typing import Any


def encode(result: object) -> bytes:
    """Returns `result` as compact UTF-8 JSON.

    None of the libraries is imported here. Mapping keys that are scalars of NumPy become numbers, other keys texts.

    Raises:
      TypeError: a part is not one of JSON's types, nor of those above; the message names its type.
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
    if type(value).__module__.partition(".")[0] == "pandas":
        return _of_pandas(value)
    tolist = getattr(value, "tolist", None)
    if tolist is not None:
        return tolist()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Set):
        return sorted((_plain(item) for item in value), key=_ENCODER.encode)
    if hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        return {name: getattr(value, name) for name in value.__dataclass_fields__ if hasattr(value, name)}
    dump = getattr(value, "model_dump", None)
    if dump is not None and hasattr(value, "model_fields_set"):
        return dump()
    if _is_of(value, "enum", "Enum"):
        return value.value  # type: ignore[attr-defined]
    if _is_of(value, "datetime", "timedelta"):
        return value.total_seconds()  # type: ignore[attr-defined]
    text = _text(value)
    if text is None:
        raise TypeError(f"the result holds a {type(value).__name__}, which JSON cannot express")
    return text


def _text(value: object) -> str | None:
    """The text of a value that has an exact one; None for another."""
    if any(_is_of(value, "datetime", name) for name in ("date", "time")):
        return str(value.isoformat())  # type: ignore[attr-defined]
    known = (("decimal", "Decimal"), ("uuid", "UUID"), ("pathlib", "PurePath"))
    return str(value) if any(_is_of(value, *name) for name in known) else None


def _of_pandas(value: Any) -> object:
    """Frames, series and scalars, with `null` for what is missing."""
    kind = type(value).__name__
    if kind in ("NaTType", "NAType"):
        return None
    if kind == "Timestamp":
        return value.isoformat()
    if kind == "Timedelta":
        return value.total_seconds()
    if kind == "DataFrame":
        keys = [_json_key(column) for column in value.columns]
        if len({*keys}) < len(keys):
            twice = next(key for number, key in enumerate(keys) if key in keys[:number])
            raise TypeError(f"the result is a frame with two columns that JSON calls {twice!r}: it would lose one")
        return value.astype(object).where(value.notna(), None).to_dict("records")
    if hasattr(value, "notna") and hasattr(value, "astype"):
        return [item if present else None for item, present in zip(value.tolist(), value.notna(), strict=True)]
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"the result holds a {kind} of pandas, which JSON cannot express")


def _is_of(value: object, module: str, name: str) -> bool:
    """Whether `value` is of a class of a module that may not be imported, in which case it is not."""
    found = sys.modules.get(module)
    return found is not None and isinstance(value, getattr(found, name))


def _plain(value: object) -> object:
    """Replaces mapping keys that json refuses; the slow way, for results that need it."""
    if isinstance(value, Mapping):
        return {_plain_key(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | int | float):
        return value
    return _plain(_convert(value))


def _plain_key(key: object) -> object:
    if isinstance(key, str | int | float | None):
        return key
    tolist = getattr(key, "tolist", None)
    if tolist is not None:
        return tolist()
    if _is_of(key, "enum", "Enum"):
        return _plain_key(key.value)  # type: ignore[attr-defined]
    text = _text(key)
    if text is None:
        raise TypeError(f"the result has a mapping key of type {type(key).__name__}, which JSON cannot express")
    return text


def _json_key(key: object) -> str:
    """What an object of JSON calls `key`."""
    plain = _plain_key(key)
    return plain if isinstance(plain, str) else _ENCODER.encode(plain)


_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_convert)
