"""The ladder: which way to give a program a root of its own works here. The first that does is taken, by trying it.

1. bubblewrap, which takes user namespaces. Containers mostly give none.
2. PRoot, which shows a program another root by tracing its system calls. It takes no privilege, and is slower.
3. chroot, for root with CAP_SYS_CHROOT and CAP_MKNOD, as Docker's root has them.

Landlock and seccomp confine the second and third as well, so that the files of the machine are closed there, too.
"""

from __future__ import annotations

import platform
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum, Flag, auto
from pathlib import Path

from chassis.confinement.landlock import NETWORK_SINCE, landlock_version
from chassis.sandbox import binfmt
from chassis.sandbox.errors import SandboxError
from chassis.sandbox.proot import Proot, find_proot
from chassis.sandbox.scratch import scratch_place

_PROBE_TIMEOUT_S = 60
_FILTERED_MACHINES = ("x86_64", "aarch64")


class Rung(Enum):
    """A way to give a program another root; the value is its name for people."""

    BUBBLEWRAP = "bubblewrap"
    PROOT = "PRoot"
    CHROOT = "chroot"


class Need(Flag):
    """What a sandbox has to keep from the program that is in it, and one thing that it has to give."""

    NOTHING = 0
    FILES = auto()
    """Whatever file of the machine is not in its root cannot be opened."""
    NETWORK = auto()
    """It connects to nothing but its own ports."""
    CHILDREN = auto()
    """The reverse: what a rung must have. It can start other programs, also if its CPU is emulated."""


NEEDS = {"children": Need.CHILDREN, "files": Need.FILES, "network": Need.NETWORK}
"""The names that flags and attributes have for them."""


@dataclass(frozen=True, slots=True)
class Tools:
    """The programs of the ladder; None if there is none to be tried."""

    bwrap: Path | None
    proot: Path | None


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The rung that works here.

    Attributes:
      rung: which it is.
      bwrap: bubblewrap's program, for the first rung.
      own_proc: whether it can have a /proc of its own; else it sees this machine's.
      proot: PRoot, for the second rung.
      landlock: whether the kernel has Landlock.
      gives: what it keeps from the program, and whether it starts others for it.
      childless: why it does not start others for an emulated program, if so.
      passed: why each rung before this one does not work, a sentence each.
    """

    rung: Rung
    gives: Need
    landlock: bool
    bwrap: Path | None = None
    own_proc: bool = True
    proot: Proot | None = None
    passed: tuple[str, ...] = ()
    childless: str = ""

    @property
    def ends_all(self) -> bool:
        """Whether all that a program has started ends with it: it has a process namespace of its own."""
        return self.rung is Rung.BUBBLEWRAP and self.own_proc

    def line(self) -> str:
        """Which rung it is, and why, in one line."""
        if self.rung is Rung.BUBBLEWRAP:
            childless = f", without children of an emulated program ({self.childless})" if self.childless else ""
            return "sandbox: bubblewrap" + ("" if self.own_proc else ", with this machine's /proc") + childless
        walls = " with Landlock" if self.landlock else ", without Landlock: this kernel has none"
        return f"sandbox: {self.rung.value}{walls}" + (f" ({'; '.join(self.passed)})" if self.passed else "")


def climb(
    tools: Tools, needs: Need = Need.NOTHING, rungs: Sequence[Rung] = tuple(Rung), emulated: bool = False
) -> Sandbox:
    """The first of `rungs` that works here and does what `needs` names, for a program whose CPU is `emulated` or not.

    Raises:
      SandboxError: none does; the message has the reason of each, and what to change.
    """
    passed: list[str] = []
    weak: list[str] = []
    for rung in rungs:
        found = _TRIES[rung](tools, tuple(passed))
        if isinstance(found, str):
            passed.append(f"{rung.value}: {found}")
            continue
        found = _with_children(found, emulated)
        if missing := needs & ~found.gives:
            weak.append(f"{rung.value}: {_weakness(missing)}")
        else:
            return found
    if weak:
        raise SandboxError(
            f"no sandbox here does what is asked of it ({_names(needs)}):"
            + "".join(f"\n  {sentence}" for sentence in (*passed, *weak))
            + "\n  for files and network it takes user namespaces, or Landlock (Linux 5.13, for the network 6.7); for "
            "children of an emulated program, Linux 6.7 or PRoot\n" + REMEDY
        )
    raise SandboxError(
        "nothing here gives a program a root of its own:" + "".join(f"\n  {s}" for s in passed) + "\n" + REMEDY
    )


REMEDY = (
    "  in a container, one of these is enough:\n"
    "    let it trace its own processes, for PRoot: Docker does on Linux 4.8 and newer, else run it with "
    "--cap-add=SYS_PTRACE (Kubernetes: securityContext.capabilities.add)\n"
    "    let it be root with SYS_CHROOT and MKNOD, which are among Docker's default capabilities\n"
    "    let it make user namespaces: --security-opt seccomp=unconfined --security-opt apparmor=unconfined\n"
    "  on a machine of your own, an ordinary user needs user namespaces: `sysctl kernel.unprivileged_userns_clone=1` "
    "on Debian kernels, `sysctl kernel.apparmor_restrict_unprivileged_userns=0` on Ubuntu 23.10 and later"
)


def network_is_shut() -> bool:
    """Whether this process has a network with nothing but loopback, as Bazel's linux-sandbox makes it."""
    try:
        return {name for _, name in socket.if_nameindex()} <= {"lo"}
    except OSError:
        return False


def _weakness(missing: Need) -> str:
    names = {
        Need.FILES: "files of the machine stay open",
        Need.NETWORK: "the network stays open",
        Need.CHILDREN: "an emulated program cannot start others",
    }
    return " and ".join(text for need, text in names.items() if need in missing)


def _names(needs: Need) -> str:
    return ", ".join(name for name, need in NEEDS.items() if need in needs)


def _with_children(found: Sandbox, emulated: bool) -> Sandbox:
    """PRoot starts what an emulated program starts under the emulator; else the kernel has to."""
    if emulated and found.rung is Rung.CHROOT:
        return replace(found, childless="chroot makes no user namespace")
    if emulated and found.rung is Rung.BUBBLEWRAP:
        with tempfile.TemporaryDirectory(prefix="binfmt-") as place:
            if reason := binfmt.reason_against(Path(place)):
                return replace(found, childless=reason)
    return replace(found, gives=found.gives | Need.CHILDREN)


def _gives(landlock: int) -> Need:
    """What Landlock and seccomp keep from a program."""
    filtered = platform.machine() in _FILTERED_MACHINES
    network = network_is_shut() or (landlock >= NETWORK_SINCE and filtered)
    return (Need.FILES if landlock else Need.NOTHING) | (Need.NETWORK if network else Need.NOTHING)


def _try_bubblewrap(tools: Tools, passed: tuple[str, ...]) -> Sandbox | str:
    if tools.bwrap is None:
        return "there is none"
    version = landlock_version()
    common = [str(tools.bwrap), "--unshare-user", "--unshare-pid", "--ro-bind", "/", "/", "--dev", "/dev"]
    failure = ""
    for own_proc in (True, False):
        proc = ["--proc", "/proc"] if own_proc else []
        failure = _failure([*common, *proc, "--", "/bin/sh", "-c", "exit 0"])
        if not failure:
            gives = Need.FILES | (_gives(version) & Need.NETWORK)
            return Sandbox(Rung.BUBBLEWRAP, gives, version > 0, tools.bwrap, own_proc)
        if "proc" not in failure:
            break
    return failure.removeprefix("bwrap: ").partition(". See ")[0]


def _try_proot(tools: Tools, passed: tuple[str, ...]) -> Sandbox | str:
    if tools.proot is None:
        return "there is none"
    version = landlock_version()
    try:
        proot = find_proot(tools.proot)
        place = scratch_place()
    except SandboxError as error:
        return str(error)
    with tempfile.TemporaryDirectory(prefix="proot-", dir=place) as scratch:
        command = [*proot.command, "-v", "-1", "-r", "/", "/bin/sh", "-c", "exit 0"]
        failure = _failure(command, proot.environment(Path(scratch)))
    return failure or Sandbox(Rung.PROOT, _gives(version), version > 0, proot=proot, passed=passed)


def _try_chroot(tools: Tools, passed: tuple[str, ...]) -> Sandbox | str:
    del tools
    version = landlock_version()
    with tempfile.TemporaryDirectory(prefix="chroot-") as directory:
        failure = _failure([sys.executable, "-I", "-S", "-c", _CHROOT, directory])
    return failure or Sandbox(Rung.CHROOT, _gives(version), version > 0, passed=passed)


_CHROOT = """
import os, stat, sys
try:
    device = sys.argv[1] + "/null"
    os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    open(device, "w").close()
    os.chroot(sys.argv[1])
except OSError as error:
    sys.exit(error.strerror)
"""

_TRIES: dict[Rung, Callable[[Tools, tuple[str, ...]], Sandbox | str]] = {
    Rung.BUBBLEWRAP: _try_bubblewrap,
    Rung.PROOT: _try_proot,
    Rung.CHROOT: _try_chroot,
}


def _failure(command: Sequence[str], environment: dict[str, str] | None = None) -> str:
    """What is the matter if `command` does not succeed; "" if it does."""
    try:
        run = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROBE_TIMEOUT_S,
            env=environment,
        )
    except OSError as error:
        return f"{command[0]} cannot be started: {error.strerror}"
    except subprocess.TimeoutExpired:
        return f"{command[0]} takes more than {_PROBE_TIMEOUT_S} s"
    if run.returncode == 0:
        return ""
    said = run.stderr.decode("utf-8", "replace").strip().splitlines()
    return said[0].removeprefix("proot error: ") if said else f"{command[0]} ends with status {run.returncode}"
