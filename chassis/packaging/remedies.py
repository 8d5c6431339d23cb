"""What to do about an error of the model's own code, or of a file that it reads, while it is pickled."""

from __future__ import annotations

import re

from chassis.data import DataNotFoundError

_NOT_IN_MAIN = re.compile(
    r"Can't (?:get attribute|resolve path) '(\w+)' on <?module "
    r"'(?:__main__|chassis\.packaging\.dump_(?:and_check_)?worker)'"
)
"""An unpickler's error, of Python 3.14 the second; `__main__` is the program that pickles, while it runs."""


def remedy(error: BaseException) -> str:
    """What to do, as a line of its own; empty if nothing is known of `error`."""
    if isinstance(error, FileNotFoundError) and not isinstance(error, DataNotFoundError):
        return (
            "\n  a path beside the source leads nowhere, here and in the image: add the file to `data` of the "
            'chassis_model, and find it with chassis.data_path("…")'
        )
    missing = _NOT_IN_MAIN.match(str(error))
    if isinstance(error, AttributeError) and missing:
        return (
            f"\n  the file was saved by a script that defines {missing[1]} itself: put {missing[1]} into a module of "
            "its own, a py_library among `deps` that the script imports too, and save the file again"
        )
    return ""
