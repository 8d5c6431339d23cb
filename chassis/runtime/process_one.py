"""Process 1 of a container: passes signals on, reaps orphans, ends with the status of its child.

The kernel ignores signals to process 1 that it has no handler for, and makes it the parent of every orphan. A model may
start programs of its own, whose ends its own code waits for, so the one process cannot be both.
"""

from __future__ import annotations

import os
import signal

from chassis.runtime.process_name import name_process

_IGNORED = {signal.SIGKILL, signal.SIGSTOP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGTSTP}


def become_init() -> None:
    """Forks; returns in the child, which is to be the server. The parent stays behind as process 1 until it ends.

    To be called before any thread is started.
    """
    passed_on = signal.valid_signals() - _IGNORED
    before = signal.pthread_sigmask(signal.SIG_BLOCK, passed_on)
    child = os.fork()
    if child:
        name_process("chassis-init")
        os._exit(_wait(child, passed_on))
    # A session of its own: Ctrl-C in a terminal reaches process 1 alone, which passes it on once.
    os.setsid()
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _wait(child: int, passed_on: set[signal.Signals]) -> int:
    while True:
        received = signal.sigwait(passed_on)
        if received != signal.SIGCHLD:
            os.kill(child, received)
            continue
        while True:
            try:
                ended, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return 1
            if not ended:
                break
            if ended == child:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
