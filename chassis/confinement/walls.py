"""What confined code is left with: its inputs to read, a directory to write, the system's programs, and nothing else.

Files are Landlock's matter (landlock.py), everything else seccomp's (seccomp.py): no socket of any kind, no namespace,
no key ring, no other process, no capability. Both hold for root, and take no privilege. If the kernel's Landlock is too
old for that, the file system has to be mounted read-only, as Bazel's linux-sandbox has it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chassis.confinement import landlock
from chassis.confinement.errors import NoWallsError
from chassis.confinement.landlock import DEVICE, READ, WRITE, Ruleset, landlock_version
from chassis.confinement.seccomp import confining_filter, set_filter

_SYSTEM = (
    *("/bin", "/lib", "/lib32", "/lib64", "/usr/bin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec"),
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/usr/share/zoneinfo"),
    # What math libraries ask of the machine.
    *("/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu", "/sys/devices/system/node"),
)
"""Programs and libraries of the machine: nothing that one machine has and another has not to know."""

_DEVICES = ("/dev/full", "/dev/null", "/dev/random", "/dev/urandom", "/dev/zero")

_OWN = (
    *("auxv", "cmdline", "comm", "environ", "limits", "maps", "numa_maps", "oom_score_adj", "smaps", "smaps_rollup"),
    *("stat", "statm", "status", "fd", "fdinfo"),
)
"""Of /proc/self. The rest tells of the machine: its connections (net, also below task), its mounts and its cgroups."""

_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 1, 24, 47, 4
_CAPABILITY_VERSION_3 = 0x20080522
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Walls:
    """What a process may read and write beyond the system's programs.

    Attributes:
      readable: files, and directories with all that is below them; of a link, what it leads to.
      writable: directories that it may write to.
      metadata: whether it may change modes, times and attributes, of whatever file the user may: for code of one's own.
    """

    readable: tuple[str | Path, ...]
    writable: tuple[Path, ...]
    metadata: bool = False

    @contextmanager
    def built(self) -> Iterator[Callable[[], None]]:
        """Gives the function that puts a forked child behind the walls, the `preexec_fn` of a Popen.

        Raises:
          NoWallsError: the kernel has not what they are made of.
        """
        version = landlock_version()
        if 0 < version < landlock.TRUNCATE_SINCE and not _is_read_only("/"):
            raise NoWallsError(
                f"this kernel's Landlock, version {version}, lets confined code truncate files: it takes Linux 6.2, or "
                "a sandbox that mounts the file system read-only"
            )
        signals = version >= landlock.SCOPES_SINCE
        with Ruleset() as ruleset:
            path: str | Path
            for path in _SYSTEM:
                ruleset.allow(path, READ)
            for path in _DEVICES:
                ruleset.allow(path, DEVICE)
            for path in self.readable:
                ruleset.allow(path, READ)
            for path in self.writable:
                ruleset.allow(path, WRITE)

            def restrict() -> None:
                _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
                for name in _OWN:  # the child's
                    ruleset.allow(f"/proc/self/{name}", READ)
                resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
                drop_capabilities()
                ruleset.restrict()
                truncating = version >= landlock.TRUNCATE_SINCE
                set_filter(confining_filter(metadata=self.metadata, signals=signals, truncating=truncating))

            yield restrict


def action_inputs(root: Path) -> tuple[str, ...]:
    """`root`, the directory that Bazel's sandbox runs an action in, and the links below it.

    In a sandbox these are the inputs of the action, and nothing else: a directory of links to where the files are. A
    link stands for what it leads to, and for all that is in it if that is a directory.
    """
    return (str(root), *_links(str(root)))


def drop_capabilities() -> None:
    """Gives up every capability, for good if this process may: a root that is one no more."""
    _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    number = 0
    while _libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0) == 0:
        number += 1
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    if _libc.capset(header, bytes(24)):
        raise NoWallsError(f"capabilities cannot be dropped: {os.strerror(ctypes.get_errno())}")


def _links(root: str) -> Iterator[str]:
    """The symbolic links below a directory."""
    pending = [root]
    while pending:
        with contextlib.suppress(OSError), os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_symlink():
                    yield entry.path
                elif entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)


def _is_read_only(path: str) -> bool:
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
