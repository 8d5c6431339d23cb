"""Tests of chassis.confinement: each is something that a program tries from behind the walls."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chassis.confinement.confined_process import Ended, run_confined
from chassis.confinement.descendants import end_descendants
from chassis.confinement.errors import ConfinementError
from chassis.confinement.landlock import READ, Ruleset, landlock_version
from chassis.confinement.walls import Walls, action_inputs, drop_capabilities

_SECONDS = 60
_PYTHON = (Path(sys.base_prefix), Path(sys.executable).resolve().parent)

# Each answers with what it got, or lets out the error that kept it from that.
_ATTEMPTS = """
import asyncio, ctypes, fcntl, json, os, shutil, socket, struct, subprocess, sys
secret, outside, port, pid = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
segment, queue, semaphores = map(int, sys.argv[6:])
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
intel = os.uname().machine == "x86_64"
def call(*arguments):
    result = libc.syscall(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
def call_of(x86_64, aarch64, *arguments):
    return call(x86_64 if intel else aarch64, *arguments)
def datagram(kind, address):
    os.chdir(outside)  # a socket's path is short
    return socket.socketpair(socket.AF_UNIX, kind)[0].sendto(b"forged", address)
def signal_by_a_pipe(command, value):
    reader, writer = os.pipe()
    fcntl.fcntl(reader, command, value)
    fcntl.fcntl(reader, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    os.write(writer, b"x")
def given():
    return os.open(sys.argv[5], os.O_RDONLY)
def flags():
    now = bytearray(8)
    fcntl.ioctl(given(), 0x80086601, now)
    fcntl.ioctl(given(), 0x40086602, struct.pack("q", struct.unpack("q", now)[0] | 0x40))
async def answered():
    return await asyncio.sleep(0.001, "yes")
def read_only_truncate():
    os.close(os.open(sys.argv[5], os.O_RDONLY | os.O_TRUNC))
attempts = {
    "read": lambda: open(secret).read(),
    "list": lambda: os.listdir(os.path.dirname(secret)),
    "list root": lambda: os.listdir("/"),
    "read through a link": lambda: (os.symlink(secret, outside + "/../in/link"), open(outside + "/../in/link").read()),
    "hard link": lambda: os.link(secret, outside + "/../in/hard"),
    "write": lambda: open(outside + "/made", "w").close(),
    "overwrite": lambda: open(secret, "w").close(),
    "overwrite an input": lambda: open(sys.argv[5], "w").close(),
    "truncate": lambda: os.truncate(secret, 0),
    "truncate an input": read_only_truncate,
    "rename": lambda: os.rename(secret, secret + "2"),
    "remove": lambda: os.unlink(secret),
    "make a directory": lambda: os.mkdir(outside + "/d"),
    "mode": lambda: os.chmod(secret, 0o777),
    "mode of an input": lambda: os.chmod(os.open(sys.argv[5], os.O_RDONLY), 0o777),
    "times": lambda: os.utime(secret, (1, 1)),
    "environment of another": lambda: open(f"/proc/{pid}/environ", "rb").read(),
    "memory of another": lambda: open(f"/proc/{pid}/mem", "rb").read(1),
    "root of another": lambda: os.listdir(f"/proc/{pid}/root/"),
    "signal": lambda: os.kill(pid, 0),
    "trace": lambda: call(101 if os.uname().machine == "x86_64" else 117, 16, pid, 0, 0),
    "tcp": lambda: socket.create_connection(("127.0.0.1", port)),
    "udp": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", port)),
    "unix": lambda: socket.socket(socket.AF_UNIX).connect(outside + "/socket"),
    "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "datagram to a name": lambda: datagram(socket.SOCK_DGRAM, "log"),
    "raw datagram to a name": lambda: datagram(socket.SOCK_RAW, "log"),
    "datagram to an abstract name": lambda: datagram(socket.SOCK_DGRAM, "\\0gone"),
    "stream to a name": lambda: datagram(socket.SOCK_STREAM, "socket"),
    "pair of another family": lambda: socket.socketpair(30, socket.SOCK_STREAM),
    "name of a pair": lambda: socket.socketpair()[0].bind("\\0mine"),
    "listen": lambda: socket.socketpair()[0].listen(),
    "connect": lambda: call_of(42, 203, socket.socketpair()[0].fileno(), struct.pack("H7s", 1, b"socket"), 9),
    "accept": lambda: socket.socketpair()[0].accept(),
    "owner of a descriptor": lambda: signal_by_a_pipe(8, pid),
    "owner of a descriptor, extended": lambda: signal_by_a_pipe(15, struct.pack("ii", 1, pid)),
    "signal of a descriptor": lambda: signal_by_a_pipe(10, 9),
    "owner of a socket": lambda: fcntl.ioctl(socket.socketpair()[0], 0x8901, struct.pack("i", pid)),
    "group of a socket": lambda: fcntl.ioctl(socket.socketpair()[0], 0x8902, struct.pack("i", pid)),
    "lease": lambda: fcntl.fcntl(given(), 1024, 0),
    "notice of a directory": lambda: fcntl.fcntl(os.open(os.path.dirname(sys.argv[5]), os.O_RDONLY), 1026, 2),
    "inotify": lambda: call_of(294, 26, 0),
    "old inotify": lambda: call(253) if intel else call(26, 0),
    "inotify of a directory": lambda: call_of(254, 27, call_of(294, 26, 0), outside.encode(), 0xFFF),
    "fanotify": lambda: call_of(300, 262, 0x200, 0),
    "System V memory": lambda: call_of(30, 196, segment, None, 0),
    "System V memory, listed": lambda: call_of(31, 195, segment, 2, ctypes.create_string_buffer(256)),
    "System V memory, removed": lambda: call_of(31, 195, segment, 0, 0),
    "message": lambda: call_of(69, 189, queue, struct.pack("qq", 1, 1), 8, 0o4000),
    "message, received": lambda: call_of(70, 188, queue, ctypes.create_string_buffer(64), 8, 0, 0o4000),
    "queue removed": lambda: call_of(71, 187, queue, 0, 0),
    "semaphore": lambda: call_of(65, 193, semaphores, struct.pack("Hhh", 0, 1, 0), 1),
    "semaphore, timed": lambda: call_of(220, 192, semaphores, struct.pack("Hhh", 0, 1, 0), 1, None),
    "semaphores removed": lambda: call_of(66, 191, semaphores, 0, 0, 0),
    "processors of another": lambda: os.sched_setaffinity(pid, os.sched_getaffinity(pid)),
    "scheduler of another": lambda: os.sched_setscheduler(pid, os.SCHED_BATCH, os.sched_param(0)),
    "parameters of another": lambda: os.sched_setparam(pid, os.sched_param(0)),
    "attributes of another": lambda: call_of(314, 274, pid, struct.pack("IIQiIQQQ", 48, 3, 0, 0, 0, 0, 0, 0), 0),
    "priority of another": lambda: os.setpriority(os.PRIO_PROCESS, pid, 19),
    "class of input and output of another": lambda: call_of(251, 30, 1, pid, 3 << 13),
    "limit of another": lambda: call_of(302, 261, pid, 7, None, ctypes.create_string_buffer(16)),
    "flags of an input": flags,
    "attributes of an input": lambda: fcntl.ioctl(given(), 0x401C5820, bytes(28)),
    "verity of an input": lambda: fcntl.ioctl(given(), 0x40806685, struct.pack("III116x", 1, 1, 4096)),
    "extended attributes": lambda: os.listxattr(secret),
    "extended attribute": lambda: call_of(192, 9, secret.encode(), b"user.secret", ctypes.create_string_buffer(64), 64),
    "sockets of the machine": lambda: open("/proc/self/net/unix").read(),
    "sockets of the machine, by a thread": lambda: open(f"/proc/self/task/{os.getpid()}/net/unix").read(),
    "mounts": lambda: open("/proc/self/mountinfo").read(),
    "mounts, by a call": lambda: call(458, struct.pack("IIQQQ", 24, 0, 2**64 - 1, 0, 0), bytes(800), 100, 0),
    "io_uring": lambda: call(425, 8, 0),
    "keys": lambda: call(250 if os.uname().machine == "x86_64" else 219, 0, -3, 0),
    "namespace": lambda: os.unshare(0x10000000) if hasattr(os, "unshare") else call(272, 0x10000000),
    "shared memory": lambda: open("/dev/shm/x", "w"),
    "capabilities": lambda: os.chroot("/"),
    "program": lambda: subprocess.run(["/bin/cat", secret], check=True, capture_output=True).stdout.decode(),
}
got = {}
for name, attempt in attempts.items():
    try:
        got[name] = repr(attempt())
    except (OSError, subprocess.CalledProcessError):
        pass
print(json.dumps({
    "got": got,
    "input": open(sys.argv[5]).read(),
    "sum": subprocess.run(["/bin/sh", "-c", "echo $((1+2))"], capture_output=True, text=True).stdout.strip(),
    "urandom": len(os.urandom(8)),
    "capabilities": [line.split()[1] for line in open("/proc/self/status") if line.startswith(("CapPrm", "CapEff"))],
    "pair": len(socket.socketpair()),
    "asyncio": asyncio.run(answered()),
    "own processors": os.sched_setaffinity(0, os.sched_getaffinity(0)),
    "own": [name for name in ("maps", "stat", "status") if open("/proc/self/" + name).read()],
    "descriptors": len(os.listdir("/proc/self/fd")) > 2,
    "lock": fcntl.flock(given(), fcntl.LOCK_SH),
    "copy": os.path.basename(shutil.copyfile(sys.argv[5], outside + "/../in/copy")),
    "written": open(outside + "/../in/own", "w").write("own"),
}))
"""


def _confined(code: str, walls: Walls, *arguments: object, timeout: float = _SECONDS) -> Ended:
    return run_confined(
        [sys.executable, "-I", "-S", "-c", code, *map(str, arguments)],
        Walls((*walls.readable, *_PYTHON), walls.writable),
        request="",
        environment={},
        timeout=timeout,
        shown=100_000,
    )


@contextlib.contextmanager
def _system_v() -> Iterator[tuple[int, int, int]]:
    """A segment of memory, a queue and a semaphore of this process, which are there to be found."""
    libc = ctypes.CDLL(None, use_errno=True)
    segment, queue, semaphore = libc.shmget(0, 4096, 0o600), libc.msgget(0, 0o600), libc.semget(0, 1, 0o600)
    try:
        assert min(segment, queue, semaphore) >= 0
        yield segment, queue, semaphore
    finally:
        removed = (libc.shmctl(segment, 0, None), libc.msgctl(queue, 0, None), libc.semctl(semaphore, 0, 0))
    assert removed == (0, 0, 0), "they were removed, or never there"


@pytest.mark.parametrize("landlock", [7, 3])
def test_confined_code_has_its_inputs_and_its_directory_and_nothing_else(
    tmp_path: Path, landlock: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if landlock < landlock_version():  # as on an older kernel: no rules for TCP, none for signals
        monkeypatch.setattr("chassis.confinement.landlock.landlock_version", lambda: landlock)
        monkeypatch.setattr("chassis.confinement.walls.landlock_version", lambda: landlock)
    for name in ("in", "secret", "outside", "inputs"):
        (tmp_path / name).mkdir()
    secret, given = tmp_path / "secret" / "key", tmp_path / "inputs" / "data"
    secret.write_text("open sesame")
    given.write_text("for the model")
    before = {path: (path.stat().st_mode, path.stat().st_mtime_ns) for path in (secret, given)}
    with contextlib.suppress(OSError):  # not every file system has them
        os.setxattr(secret, "user.secret", b"open sesame")
    # Without capabilities, as a service's processes are: the kernel itself guards those that have more than the caller.
    sleeper = subprocess.Popen(["/bin/sleep", str(_SECONDS)], preexec_fn=drop_capabilities)
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_UNIX) as named,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log,
        _system_v() as objects,
    ):
        os.chdir(tmp_path)  # a socket's path is short
        named.bind("outside/socket")
        named.listen()
        log.bind("outside/log")
        log.setblocking(False)
        port = server.getsockname()[1]
        walls = Walls((tmp_path / "inputs",), (tmp_path / "in",))
        try:
            ended = _confined(_ATTEMPTS, walls, secret, tmp_path / "outside", port, sleeper.pid, given, *objects)
        finally:
            sleeper.kill()
            sleeper.wait()
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()
        with pytest.raises(BlockingIOError):
            log.recv(100)
    assert ended.status == 0, ended.output
    found = json.loads(ended.output)
    assert found.pop("got") == {}
    assert [int(mask, 16) for mask in found.pop("capabilities")] == [0, 0]
    assert found == {"input": "for the model", "sum": "3", "urandom": 8, "pair": 2, "written": 3} | {
        "asyncio": "yes",
        "own processors": None,
        "own": ["maps", "stat", "status"],
        "descriptors": True,
        "lock": None,
        "copy": "copy",
    }
    assert secret.read_text() == "open sesame"
    assert given.read_text() == "for the model"
    assert before == {path: (path.stat().st_mode, path.stat().st_mtime_ns) for path in (secret, given)}
    assert sorted(path.name for path in (tmp_path / "outside").iterdir()) == ["log", "socket"]


def test_what_detaches_itself_ends_with_the_program(tmp_path: Path) -> None:
    code = """
import os, sys, time
for _ in range(3):
    if not os.fork():
        os.setsid()
        if os.fork():
            os._exit(0)
        with open(sys.argv[1], "a") as log:
            while True:
                log.write("x")
                log.flush()
                time.sleep(0.001)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.001)
print("started")
"""
    log = tmp_path / "log"
    start = time.monotonic()
    ended = _confined(code, Walls((), (tmp_path,)), log)
    assert (ended.status, ended.output) == (0, "started\n")
    assert time.monotonic() - start < _SECONDS / 2
    size = log.stat().st_size
    assert size
    with contextlib.suppress(ChildProcessError):
        assert os.waitpid(-1, os.WNOHANG) == (0, 0)
    end_descendants()
    assert log.stat().st_size == size


_KILLED = """
import os, sys, time
from pathlib import Path
from chassis.confinement.confined_process import run_confined
from chassis.confinement.walls import Walls
code = '''
import os, sys, time
for _ in range(3):
    if not os.fork():
        os.setsid()
        if os.fork():
            os._exit(0)
        while True:
            with open(sys.argv[1], "a") as log:
                log.write("x")
            time.sleep(0.001)
time.sleep(600)
'''
python = tuple(map(Path, sys.argv[2:]))
command = [sys.executable, "-I", "-S", "-c", code, sys.argv[1] + "/log"]
print(run_confined(command, Walls(python, (Path(sys.argv[1]),)), request="", environment={}, timeout=600, shown=1000))
"""


def test_what_detaches_itself_ends_when_the_program_that_confines_it_is_killed(tmp_path: Path) -> None:
    """As Bazel does it: SIGKILL to the whole process group."""
    log = tmp_path / "log"
    command = [sys.executable, "-c", _KILLED, str(tmp_path), *map(str, _PYTHON)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(command, start_new_session=True, env=environment)
    _until(lambda: (log.exists() and log.stat().st_size > 100) or process.poll() is not None)
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(_SECONDS)
    _until(lambda: not _writers(log))


def _writers(log: Path) -> list[str]:
    """The processes that name the file among their arguments."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if os.fsencode(log) in place.read_bytes().split(b"\0"):
                found.append(place.parent.name)
    return found


def _until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + _SECONDS / 2
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_program_that_runs_out_of_time_ends_with_what_it_started(tmp_path: Path) -> None:
    code = "import os, time\nos.fork()\nos.setsid() if os.fork() else None\ntime.sleep(600)"
    ended = _confined(code, Walls((), (tmp_path,)), timeout=0.5)
    assert ended.status is None


def test_the_inputs_of_an_action_are_what_its_links_lead_to(tmp_path: Path) -> None:
    real, root = tmp_path / "real", tmp_path / "root"
    (real / "tree" / "deep").mkdir(parents=True)
    (real / "tree" / "deep" / "leaf").write_text("leaf")
    (real / "file").write_text("file")
    (real / "other").write_text("other")
    (root / "external" / "a").mkdir(parents=True)
    (root / "external" / "a" / "file").symlink_to(real / "file")
    (root / "tree").symlink_to(real / "tree")
    (root / "gone").symlink_to(real / "gone")
    assert set(map(Path, action_inputs(root))) == {root, root / "external" / "a" / "file", root / "tree", root / "gone"}
    code = """
import sys
print(open(sys.argv[1] + "/external/a/file").read(), open(sys.argv[1] + "/tree/deep/leaf").read())
open(sys.argv[2])
"""
    ended = _confined(code, Walls(action_inputs(root), ()), root, real / "other")
    assert "file leaf" in ended.output
    assert "PermissionError" in ended.output


def test_a_ruleset_is_refused_by_name_where_the_kernel_has_no_landlock(monkeypatch: pytest.MonkeyPatch) -> None:
    assert landlock_version() >= 1
    monkeypatch.setattr("chassis.confinement.landlock._CREATE_RULESET", 9999)
    with pytest.raises(Exception, match="this kernel has no Landlock"):
        Ruleset()


def test_a_landlock_that_lets_files_be_truncated_takes_a_read_only_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chassis.confinement.walls.landlock_version", lambda: 2)
    monkeypatch.setattr("chassis.confinement.walls._is_read_only", lambda path: False)
    with pytest.raises(ConfinementError, match=r"version 2, lets confined code truncate files: it takes Linux 6\.2"):
        _confined("print(1)", Walls((), ()))
    monkeypatch.setattr("chassis.confinement.walls._is_read_only", lambda path: True)
    assert _confined("print(1)", Walls((), ())).output == "1\n"


def test_a_path_that_does_not_exist_is_passed_over(tmp_path: Path) -> None:
    with Ruleset() as ruleset:
        ruleset.allow(tmp_path / "gone", READ)
