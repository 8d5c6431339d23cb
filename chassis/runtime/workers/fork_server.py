"""A process that was forked before the server had any thread, and forks the model's processes whenever it is asked.

A fork of the server itself would copy gRPC's locks and threads' half-done work; a new interpreter would have to be
executed, which an emulator of another CPU cannot do. It holds nothing but the server's settings, reaps what it forked,
and tells how each ended. The first process of the model has all of this module's imports to wait for: they are few.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from chassis.errors import ChassisError
from chassis.runtime.ending import CLOSING, flush
from chassis.runtime.process_name import name_process

if TYPE_CHECKING:
    import asyncio

    from chassis.runtime.settings import Settings

_LONGEST = 4096
_START = "start"
_KILL = "kill"
_STARTED = "started"
_ENDED = "ended"


class NoProcessError(ChassisError):
    """A process of the model that the system refuses to start."""


class ForkServer:
    """The server's end. All methods belong to the event loop's thread."""

    def __init__(self, control: socket.socket, pid: int) -> None:
        self._control = control
        self._pid = pid
        self._begun: dict[int, socket.socket] = {}

    def begin(self, count: int) -> None:
        """Starts the first `count` processes, whose keys and numbers count from 0: they load while the server does."""
        self._begun = {number: self.start(number, number) for number in range(count)}

    def watch(
        self,
        loop: asyncio.AbstractEventLoop,
        started: Callable[[int, int], None],
        ended: Callable[[int, str], None],
        lost: Callable[[], None],
    ) -> None:
        """Reports a worker's key with its process id, or with how it ended; and that the fork server ended."""

        def read() -> None:
            content = self._control.recv(_LONGEST)
            if not content:
                loop.remove_reader(self._control)
                lost()
                return
            what, key, value = marshal.loads(content)
            (started if what == _STARTED else ended)(key, value)

        loop.add_reader(self._control, read)

    def start(self, key: int, number: int) -> socket.socket:
        """Has a process forked that serves as worker `number`; `key` is what reports call it. Returns its connection.

        One that has begun already is not forked again.

        Raises:
          OSError: the fork server ended.
        """
        begun = self._begun.pop(key, None)
        if begun is not None:
            return begun
        own, other = socket.socketpair()
        with other:
            socket.send_fds(self._control, [marshal.dumps((_START, key, number))], [other.fileno()])
        return own

    def kill(self, key: int) -> None:
        """Ends a worker with SIGKILL, if it still runs."""
        with contextlib.suppress(OSError):
            self._control.send(marshal.dumps((_KILL, key, 0)))

    def close(self, timeout: float) -> bool:
        """Ends the fork server and what it forked; False if that took more than `timeout` seconds."""
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_WR)
        self._control.settimeout(timeout)
        try:
            while self._control.recv(_LONGEST):
                pass
        except TimeoutError:
            return False
        except OSError:
            pass
        os.waitpid(self._pid, 0)
        return True


def start_fork_server(settings: Settings) -> ForkServer:
    """Forks the fork server, which begins with the model's processes; to be called before any thread is started.

    Raises:
      NoProcessError: the system allows no more processes, or files.
    """
    try:
        fork_server = _fork(settings)
        fork_server.begin(settings.workers)
    except OSError as error:
        raise NoProcessError(
            f"cannot start a process for the model: {error.strerror}; CHASSIS_WORKERS=0 has it in the server's own"
        ) from None
    return fork_server


def _fork(settings: Settings) -> ForkServer:
    own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    flush()
    pid = os.fork()
    if not pid:
        own.close()
        _run(_ForkServer(other, settings).run)
    other.close()
    return ForkServer(own, pid)


class _ForkServer:
    """The process itself."""

    def __init__(self, control: socket.socket, settings: Settings) -> None:
        self._control = control
        self._settings = settings
        self._children: dict[int, int] = {}
        """Process id to key."""

    def run(self) -> NoReturn:
        """Forks and reaps until the server closes the connection, or is gone; then until no child is left."""
        # A session of its own: Ctrl-C in a terminal is the server's. What is sent to each process of a container's
        # control group is the server's too: it has to answer what it accepted, and needs its workers for that.
        os.setsid()
        name_process("chassis-forks")
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        woken, wake = socket.socketpair()
        woken.setblocking(False)
        wake.setblocking(False)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        self._inherited = (woken, wake)
        open_ = True
        while open_:
            ready, _, _ = select.select([self._control, woken], [], [])
            if woken in ready:
                self._reap()
            if self._control in ready:
                open_ = self._obey()
        end = time.monotonic() + CLOSING
        while self._children and time.monotonic() < end:
            select.select([woken], [], [], max(0.0, end - time.monotonic()))
            self._reap()
        for pid in self._children:
            _kill_group(pid)
            os.waitpid(pid, 0)
        os._exit(0)

    def _obey(self) -> bool:
        """Does what the server asks; False if it asks no more."""
        try:
            content, descriptors, _, _ = socket.recv_fds(self._control, _LONGEST, 1, socket.MSG_CMSG_CLOEXEC)
        except ConnectionError:
            return False
        if not content:
            return False
        what, key, number = marshal.loads(content)
        if what == _START:
            self._fork(key, number, socket.socket(fileno=descriptors[0]))
        for pid, other in self._children.items():
            if what == _KILL and other == key:
                _kill_group(pid)
        return True

    def _fork(self, key: int, number: int, connection: socket.socket) -> None:
        try:
            pid = os.fork()
        except OSError as error:
            connection.close()
            self._tell(_ENDED, key, f"could not be started: {error.strerror}")
            return
        if not pid:
            os.setpgid(0, 0)
            name_process(f"chassis-model-{number}")
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for inherited in (self._control, *self._inherited):
                inherited.close()
            _run(lambda: _work(connection, self._settings, number))
        connection.close()
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)  # here too, so that it is done whichever of both comes first
        self._children[pid] = key
        self._tell(_STARTED, key, pid)

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._inherited[0].recv(_LONGEST):
                pass
        while self._children:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None:
                return
            pid = ended.si_pid
            key = self._children.pop(pid, None)
            if key is not None:
                _kill_group(pid)  # what it started, while nothing else can have its number
            _, status = os.waitpid(pid, 0)
            if key is not None:
                code = os.waitstatus_to_exitcode(status)
                how = f"ended with status {code}" if code >= 0 else f"was ended by {_signal_name(-code)}"
                self._tell(_ENDED, key, how)

    def _tell(self, what: str, key: int, value: str | int) -> None:
        with contextlib.suppress(OSError):
            self._control.send(marshal.dumps((what, key, value)))


def _kill_group(pid: int) -> None:
    """Ends a process of the model and those that it started."""
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)


def _work(connection: socket.socket, settings: Settings, number: int) -> NoReturn:
    from chassis.runtime.workers.worker import work  # here: beside the server's own imports, not before them

    work(connection, settings, number)


def _run(main: Callable[[], NoReturn]) -> NoReturn:
    """Runs a forked process: it never returns into what was forked."""
    try:
        main()
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        flush()
        os._exit(1)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
