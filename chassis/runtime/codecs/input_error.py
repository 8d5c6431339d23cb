"""An input that is not what the model declares."""

from __future__ import annotations


class InputError(ValueError):
    """Why an item cannot become what the function takes; the caller sees the message."""


_MOST = 40


def shown(value: object) -> str:
    """`value` for a message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= _MOST else text[: _MOST - 1] + "…"
