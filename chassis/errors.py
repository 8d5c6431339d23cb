"""The one root of every error that Chassis raises for a person to act on."""

from __future__ import annotations


class ChassisError(Exception):
    """An error whose message names what is wrong, what was expected and what to do.

    Tools print it without a traceback and exit with 1; every other exception is a defect of Chassis itself.
    """
