"""JSON that callers send."""

from __future__ import annotations

import json

from chassis.runtime.core.request_error import RequestError


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is no JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse)


def read_object(content: bytes) -> dict[str, object]:
    """The JSON object in `content`, UTF-8.

    Raises:
      RequestError: it is not JSON, or no object.
    """
    try:
        value = _DECODER.decode(content.decode())
    except UnicodeDecodeError:
        raise RequestError(400, "the request's body is not UTF-8") from None
    except ValueError as error:
        raise RequestError(400, f"the request's body is not JSON: {error}") from None
    except RecursionError:
        raise RequestError(400, "the request's body is nested too deeply") from None
    if not isinstance(value, dict):
        raise RequestError(400, "the request's body is not a JSON object")
    return value
