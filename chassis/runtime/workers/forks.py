"""What a model forks is ended by signals, which its own process leaves to the server, or is.

`multiprocessing`, for one, ends its processes with SIGTERM and waits for them.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

_Handler = Callable[[int, FrameType | None], object] | signal.Handlers

_ORDINARY: dict[signal.Signals, _Handler] = {
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGHUP: signal.SIG_DFL,
    signal.SIGINT: signal.default_int_handler,
}

_before = threading.local()


def keep_signals() -> None:
    """From now on processes that this one forks treat signals as any program in Python does."""
    os.register_at_fork(before=_hold, after_in_parent=_release, after_in_child=_take)


def _hold() -> None:
    """A signal that comes while the handlers are the wrong ones waits."""
    _before.mask = signal.pthread_sigmask(signal.SIG_BLOCK, _ORDINARY)


def _release() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _before.mask)


def _take() -> None:
    # If the model is a thread of the server: its event loop would take this one's signals for its own.
    signal.set_wakeup_fd(-1)
    for number, handler in _ORDINARY.items():
        signal.signal(number, handler)
    _release()
