"""The columns that a dataclass declares: a predict function takes rows as instances of it."""

from __future__ import annotations

import dataclasses
import datetime
import types
import typing

from chassis.declaration.columns import Column
from chassis.packaging.errors import EntryPointError

_TYPES: dict[object, str] = {
    bool: "BOOL",
    datetime.datetime: "TIMESTAMP",
    float: "FP64",
    int: "INT64",
    str: "TEXT",
}


def record_of(annotation: object) -> type | None:
    """The dataclass that an annotation names, itself or as the element of a list; None if it is something else."""
    arguments = typing.get_args(annotation)
    if len(arguments) == 1 and isinstance(typing.get_origin(annotation), type):
        annotation = arguments[0]
    return annotation if isinstance(annotation, type) and dataclasses.is_dataclass(annotation) else None


def columns_of(record: type) -> tuple[Column, ...]:
    """A column for each field.

    Raises:
      EntryPointError: a field is of a type that no column is.
    """
    try:
        hints = typing.get_type_hints(record)
    except Exception as error:  # whatever evaluating an annotation raises
        raise EntryPointError(f"the annotations of {record.__name__} cannot be read: {error}") from None
    return tuple(
        Column(one.name, _type(record, one.name, hints[one.name])) for one in dataclasses.fields(record) if one.init
    )


def _type(record: type, name: str, hint: object) -> str:
    optional = False
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        arguments = typing.get_args(hint)
        optional = type(None) in arguments
        left = [one for one in arguments if one is not type(None)]
        hint = left[0] if len(left) == 1 else hint
    kind = _TYPES.get(hint)
    if kind is None:
        raise EntryPointError(
            f"{record.__name__}.{name} is of {getattr(hint, '__name__', hint)}, which is not a type of a column: take "
            f"{', '.join(sorted(getattr(one, '__name__', '') for one in _TYPES))}, or one of them with `| None`"
        )
    return kind + "?" * optional
