"""JSON documents that others wrote, read with errors that name the document and the field.

The caller says which error it raises, since who is to blame depends on where the document came from.
"""

from __future__ import annotations

import json
from typing import Any

from chassis.errors import ChassisError


def read_object(data: bytes, where: str, error: type[ChassisError]) -> dict[str, Any]:
    """The JSON object in `data`; `where` names the document."""
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError) as reason:
        raise error(f"{where}: is not JSON: {str(reason)[:200]}") from None
    if not isinstance(fields, dict):
        raise error(f"{where}: expected a JSON object, found {type(fields).__name__}")
    return fields


def list_in(fields: dict[str, Any], name: str, where: str, error: type[ChassisError]) -> list[Any]:
    """The list `name` of an object."""
    value = fields.get(name)
    if not isinstance(value, list):
        raise error(f"{where}: `{name}` is missing or not a list")
    return value
