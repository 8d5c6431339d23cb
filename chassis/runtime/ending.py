"""How a process that ran a model ends."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from typing import NoReturn

CLOSING = 2.0
"""Seconds that the model's libraries have to end."""


def run_exit_functions(code: int, timeout: float) -> None:
    """Does what the model's libraries registered to do at the end.

    After `timeout` seconds the process ends with `code`, whatever is left of it; with a timeout of 0 nothing is done.
    """
    if not timeout:
        return
    timer = threading.Timer(timeout, os._exit, (code,))
    timer.daemon = True
    timer.start()
    atexit._run_exitfuncs()
    timer.cancel()


def end_process(code: int, timeout: float = 0.0) -> NoReturn:
    """Ends with what the model's libraries registered to do at the end, if they do it within `timeout` seconds.

    Modules are not torn down: threads that still run in them would crash.
    """
    run_exit_functions(code, timeout)
    flush()
    os._exit(code)


def flush() -> None:
    """Sees what was written off."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
