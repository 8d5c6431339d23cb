"""Seccomp: a filter of system calls that a process sets for itself and all that it starts.

What is refused answers EPERM, as a container's runtime has it: programs know that. https://docs.kernel.org/userspace-api/seccomp_filter.html
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chassis.confinement.errors import NoWallsError

_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
# Of struct seccomp_data; the lower half of an argument comes first on little-endian machines.
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_LOAD, _EQUAL, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x45, 0x54, 0x06
_X32 = 0x40000000
_NEW_NAMESPACES = 0x7E020000
"""`CLONE_NEW…` of clone(2)."""


@dataclass(frozen=True, slots=True)
class _Machine:
    """Its AUDIT_ARCH, and where its system calls differ: a column of _NUMBERS."""

    audit: int
    column: int


@dataclass(frozen=True, slots=True)
class _Argument:
    """What an argument of a call, or the bits of it that `mask` has, must be for the call to be let through.

    Only the lower 32 bits count, so the kernel must take no more of it than these.
    """

    index: int
    values: tuple[int, ...]
    mask: int = 0xFFFFFFFF


_MACHINES = {"x86_64": _Machine(0xC000003E, 0), "aarch64": _Machine(0xC00000B7, 1)}

# Name to number on x86_64 and on aarch64; None if the machine has no such call.
_NUMBERS: dict[str, tuple[int | None, int | None]] = {
    "accept": (43, 202),
    "accept4": (288, 242),
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bind": (49, 200),
    "bpf": (321, 280),
    "chmod": (90, None),
    "chown": (92, None),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "clone": (56, 220),
    "clone3": (435, 435),
    "connect": (42, 203),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "fanotify_mark": (301, 263),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "fchown": (93, 55),
    "fchownat": (260, 54),
    "fcntl": (72, 25),
    "file_setattr": (469, 469),
    "finit_module": (313, 273),
    "fremovexattr": (199, 16),
    "fsconfig": (431, 431),
    "fsetxattr": (190, 7),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "futimesat": (261, None),
    "getxattr": (191, 8),
    "getxattrat": (464, 464),
    "init_module": (175, 105),
    "inotify_add_watch": (254, 27),
    "inotify_init": (253, None),
    "inotify_init1": (294, 26),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioctl": (16, 29),
    "ioperm": (173, None),
    "iopl": (172, None),
    "ioprio_set": (251, 30),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "kill": (62, 129),
    "lchown": (94, None),
    "lgetxattr": (192, 9),
    "listen": (50, 201),
    "listmount": (458, 458),
    "listxattr": (194, 11),
    "listxattrat": (465, 465),
    "llistxattr": (195, 12),
    "lookup_dcookie": (212, 18),
    "lremovexattr": (198, 15),
    "lsetxattr": (189, 6),
    "migrate_pages": (256, 238),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "move_pages": (279, 239),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "msgctl": (71, 187),
    "msgget": (68, 186),
    "msgrcv": (70, 188),
    "msgsnd": (69, 189),
    "name_to_handle_at": (303, 264),
    "nfsservctl": (180, 42),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "pivot_root": (155, 41),
    "prlimit64": (302, 261),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "removexattr": (197, 14),
    "removexattrat": (466, 466),
    "request_key": (249, 218),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "semctl": (66, 191),
    "semget": (64, 190),
    "semop": (65, 193),
    "semtimedop": (220, 192),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "setpriority": (141, 140),
    "settimeofday": (164, 170),
    "setxattr": (188, 5),
    "setxattrat": (463, 463),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "shmget": (29, 194),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "statmount": (457, 457),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "tgkill": (234, 131),
    "tkill": (200, 130),
    "truncate": (76, 45),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "utime": (132, None),
    "utimensat": (280, 88),
    "utimes": (235, None),
    "vhangup": (153, 58),
}

_METADATA = (
    *("chmod", "chown", "fchmod", "fchmodat", "fchmodat2", "fchown", "fchownat", "file_setattr", "fremovexattr"),
    *(
        "fsetxattr",
        "futimesat",
        "lchown",
        "lremovexattr",
        "lsetxattr",
        "removexattr",
        "removexattrat",
        "setxattr",
        "setxattrat",
    ),
    *("utime", "utimensat", "utimes"),
)
"""What changes a file without opening it for writing, so that Landlock lets it through."""

_ATTRIBUTES = ("getxattr", "getxattrat", "lgetxattr", "listxattr", "listxattrat", "llistxattr")
"""What reads attributes of a file without opening it, the same; answers EOPNOTSUPP, with which copying goes on."""

_OTHERS_PROCESSES = ("kill", "pidfd_send_signal", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "tgkill", "tkill")
_OWN_PID = ("kill", "tgkill")
"""Of these, what stays for the process itself: abort(3)."""

_MISSING = ("clone3", "io_uring_enter", "io_uring_register", "io_uring_setup")
"""Answer ENOSYS, for which callers have another way: clone3's flags cannot be seen by a filter."""

_IOCTLS = (
    *(0x5401, 0x802C542A, 0x540F, 0x5413),  # TCGETS, TCGETS2, TIOCGPGRP, TIOCGWINSZ: what a terminal is asked
    *(0x541B, 0x5421, 0x5450, 0x5451),  # FIONREAD, FIONBIO, FIONCLEX, FIOCLEX
    *(0x40049409, 0x4020940D),  # FICLONE, FICLONERANGE: these take a file that is open for writing
)
"""The rest answers ENOTTY: some change a file that is open for reading, or signal others (FIOSETOWN)."""

_FCNTLS = (
    *range(8),  # F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_SETLK, F_SETLKW
    *(9, 11, 16),  # F_GETOWN, F_GETSIG, F_GETOWN_EX
    *(36, 37, 38),  # F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW
    *range(1027, 1035),  # F_DUPFD_QUERY, F_CREATED_QUERY, F_CANCELLK, F_DUPFD_CLOEXEC, F_…PIPE_SZ, F_…_SEALS
)
"""Not F_SETOWN, with which a descriptor signals other processes, nor F_NOTIFY and F_SETLEASE, to watch them."""

_AF_UNIX, _SOCK_STREAM, _SOCK_SEQPACKET, _SOCK_TYPE_MASK = 1, 1, 5, 0xF
_ONLY: dict[str, tuple[_Argument, ...]] = {
    "clone": (_Argument(0, (0,), mask=_NEW_NAMESPACES),),
    "fcntl": (_Argument(1, _FCNTLS),),
    "ioctl": (_Argument(1, _IOCTLS),),
    "prlimit64": (_Argument(0, (0,)),),
    "sched_setaffinity": (_Argument(0, (0,)),),
    # A pair of datagram sockets can send to any other socket by its name; these are connected for good.
    "socketpair": (
        _Argument(0, (_AF_UNIX,)),
        _Argument(1, (_SOCK_STREAM, _SOCK_SEQPACKET), mask=_SOCK_TYPE_MASK),
    ),
}
"""Calls that are let through with these arguments alone."""

_STREAMS = (
    _Argument(1, (_SOCK_STREAM, _SOCK_SEQPACKET), mask=_SOCK_TYPE_MASK),
    _Argument(2, (0, 6)),  # IPPROTO_TCP: not MPTCP, which Landlock does not see
)
"""Arguments of socket(2)."""

_NOT_OF_SERVERS = (
    *("acct", "add_key", "bpf", "chroot", "clock_settime", "delete_module", "fanotify_init", "fanotify_mark"),
    *("finit_module", "fsconfig", "fsmount", "fsopen", "fspick", "init_module", "ioperm", "iopl", "kcmp"),
    *("kexec_file_load", "kexec_load", "keyctl", "lookup_dcookie", "mount", "mount_setattr", "move_mount"),
    *("name_to_handle_at", "nfsservctl", "open_by_handle_at", "open_tree", "open_tree_attr", "perf_event_open"),
    *("pidfd_getfd", "pivot_root", "quotactl", "quotactl_fd", "reboot", "request_key", "setns", "settimeofday"),
    *("swapoff", "swapon", "syslog", "umount2", "unshare", "userfaultfd", "vhangup"),
)
"""What no server of an image has a use for."""

_SPECIAL = {*_ONLY, *_MISSING, *_OTHERS_PROCESSES, *_METADATA, *_ATTRIBUTES, "truncate"}
_NEVER = tuple(name for name in _NUMBERS if name not in _SPECIAL)


def confining_filter(*, metadata: bool, signals: bool, truncating: bool) -> bytes:
    """The filter's program (`struct sock_filter`s) that leaves no socket, namespace, key ring, or reach into others.

    It is for the process that calls this, or is forked by the one that does: `signals` go by the process's number.

    Args:
      metadata: whether modes, owners, times and attributes of files may be changed, and attributes read by name.
      signals: whether signals may be sent to other processes.
      truncating: whether files may be truncated by their name.

    Raises:
      NoWallsError: the machine is neither x86_64 nor aarch64.
    """
    machine = _machine()
    refused = dict.fromkeys(_NEVER, errno.EPERM) | {"socket": errno.EACCES} | dict.fromkeys(_MISSING, errno.ENOSYS)
    if not metadata:
        refused |= dict.fromkeys(_METADATA, errno.EPERM) | dict.fromkeys(_ATTRIBUTES, errno.EOPNOTSUPP)
    if not truncating:
        refused["truncate"] = errno.EPERM
    only: dict[str, tuple[_Argument, ...]] = dict(_ONLY)
    if not signals:
        refused |= {name: errno.EPERM for name in _OTHERS_PROCESSES if name not in _OWN_PID}
        only |= dict.fromkeys(_OWN_PID, (_Argument(0, (os.getpid(),)),))
    return _program(machine, refused, only)


def serving_filter(*, sockets: bool) -> bytes:
    """The filter's program for a server of an image: no namespace, mount, key ring or other part of the kernel.

    It may trace its own processes, as PRoot does; whose those are is Landlock's matter. Without `sockets` it has but
    streams, of TCP and Unix: to which ports of TCP they connect is Landlock's matter, too.

    Raises:
      NoWallsError: the machine is neither x86_64 nor aarch64.
    """
    refused = dict.fromkeys(_NOT_OF_SERVERS, errno.EPERM) | dict.fromkeys(_MISSING, errno.ENOSYS)
    only = {"clone": _ONLY["clone"]} | ({} if sockets else {"socket": _STREAMS})
    return _program(_machine(), refused, only)


def set_filter(program: bytes) -> None:
    """Sets the filter for this process, which must not be able to gain privileges any more.

    Raises:
      NoWallsError: the kernel refuses.
    """
    buffer = ctypes.create_string_buffer(program, len(program))
    pointer = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, pointer, 0, 0):
        raise NoWallsError(f"no filter of system calls: {os.strerror(ctypes.get_errno())}")


def _program(machine: _Machine, refused: Mapping[str, int], only: Mapping[str, Sequence[_Argument]]) -> bytes:
    """`refused`: name to errno. `only`: name to the arguments with which a call is let through."""
    steps: list[tuple[int, int, int, int]] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, machine.audit),
        (_RETURN, 0, 0, _KILL_PROCESS),
        (_LOAD, 0, 0, _NUMBER),
    ]
    if machine.column == 0:
        # Not the end of the process: a tracer such as PRoot takes a call back by making its number negative.
        steps += [(_ANY_BIT, 0, 1, _X32), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]
    for name, error in sorted(refused.items()):
        if (number := _NUMBERS[name][machine.column]) is not None:
            steps += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | error)]
    for name, arguments in sorted(only.items()):
        error = errno.ENOTTY if name == "ioctl" else errno.EPERM
        steps += _when(_number(name, machine), arguments, error)
    steps.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def _when(number: int, arguments: Sequence[_Argument], error: int) -> list[tuple[int, int, int, int]]:
    """Refuses a call unless each of `arguments` has one of its values."""
    tests: list[tuple[int, int, int, int]] = []
    for argument in arguments:
        tests += [(_LOAD, 0, 0, _ARGUMENTS + 8 * argument.index), (_AND, 0, 0, argument.mask)]
        count = len(argument.values)
        tests += [(_EQUAL, count - place, 0, value) for place, value in enumerate(argument.values)]
        tests.append((_RETURN, 0, 0, _ERRNO | error))
    tests.append((_RETURN, 0, 0, _ALLOW))
    return [(_EQUAL, 0, len(tests), number), *tests]


def _machine() -> _Machine:
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        raise NoWallsError(f"no filter of system calls for {platform.machine()}: there are x86_64 and aarch64")
    return machine


def _number(name: str, machine: _Machine) -> int:
    number = _NUMBERS[name][machine.column]
    assert number is not None
    return number
