"""Landlock: a process gives up every file that a ruleset does not name, for itself and for all that it starts.

It takes no privilege, holds for root too, and cannot be undone. https://docs.kernel.org/userspace-api/landlock.html
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable
from enum import IntFlag
from pathlib import Path

from chassis.confinement.errors import NoWallsError

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""System calls, of the same numbers on every architecture."""

_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1
_PR_SET_NO_NEW_PRIVS = 38


class Access(IntFlag):
    """What may be done with files, the `LANDLOCK_ACCESS_FS_…` of linux/landlock.h."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_CHAR = 1 << 6
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    MAKE_SOCK = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK = 1 << 11
    MAKE_SYM = 1 << 12
    REFER = 1 << 13
    TRUNCATE = 1 << 14
    IOCTL_DEV = 1 << 15


READ = Access.EXECUTE | Access.READ_FILE | Access.READ_DIR
WRITE = (
    READ
    | Access.WRITE_FILE
    | Access.REMOVE_DIR
    | Access.REMOVE_FILE
    | Access.MAKE_DIR
    | Access.MAKE_REG
    | Access.MAKE_FIFO
    | Access.MAKE_SYM
    | Access.REFER
    | Access.TRUNCATE
)
DEVICE = Access.READ_FILE | Access.WRITE_FILE

_OF_FILES = Access.EXECUTE | Access.WRITE_FILE | Access.READ_FILE | Access.TRUNCATE | Access.IOCTL_DEV
_LAST_OF_ABI = {1: Access.MAKE_SYM, 2: Access.REFER, 3: Access.TRUNCATE, 4: Access.TRUNCATE}

# `LANDLOCK_ACCESS_NET_…`, from version 4 on, and `LANDLOCK_SCOPE_…`, from version 6 on.
_BIND_TCP, _CONNECT_TCP = 1 << 0, 1 << 1
_ABSTRACT_UNIX_SOCKET, _SIGNAL = 1 << 0, 1 << 1

TRUNCATE_SINCE, NETWORK_SINCE, SCOPES_SINCE = 3, 4, 6
"""The versions from which on Landlock keeps a process from truncating, from TCP, and from signals to others."""

_libc = ctypes.CDLL(None, use_errno=True)


def landlock_version() -> int:
    """The version ("ABI") of the kernel's Landlock; 0 if it has none or it is switched off."""
    return max(0, int(_libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _CREATE_RULESET_VERSION)))


class Ruleset:
    """What a process will be left with. A context manager that closes it.

    Without a rule nothing is allowed: no file can be opened or made, no TCP port bound or connected to, no signal sent
    to a process outside. What the kernel's version does not handle stays allowed.
    """

    def __init__(self, ports: Iterable[int] | None = (), *, files: bool = True, binding: bool = False) -> None:
        """`ports` are the TCP ports that may be connected to; None leaves TCP alone.

        `binding` lets any be bound. Without `files` all of them stay open, and file systems can be mounted still.

        Raises:
          NoWallsError: the kernel has no Landlock.
        """
        version = landlock_version()
        if not version:
            raise NoWallsError(
                "this kernel has no Landlock, or it is switched off: it takes Linux 5.13 with `landlock` among the "
                "modules of the parameter `lsm=`"
            )
        self._handled = _handled(version) if files else Access(0)
        net = 0 if version < NETWORK_SINCE or ports is None else _CONNECT_TCP if binding else _BIND_TCP | _CONNECT_TCP
        scopes = _ABSTRACT_UNIX_SOCKET | _SIGNAL if version >= SCOPES_SINCE else 0
        attributes = struct.pack("=QQQ", self._handled, net, scopes)
        size = 24 if version >= SCOPES_SINCE else 16 if version >= NETWORK_SINCE else 8
        self.descriptor = _libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(size), 0)
        if self.descriptor < 0:
            raise NoWallsError(f"Landlock: no ruleset: {os.strerror(ctypes.get_errno())}")
        if net:
            for port in ports or ():
                self._add(2, struct.pack("=QQ", _CONNECT_TCP, port), f"port {port}")

    def __enter__(self) -> Ruleset:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)

    def allow(self, path: str | Path, access: Access) -> None:
        """Allows `access` to a file, or to a directory and all that is below it; links are followed.

        A path that does not exist, or that this process may not see, is passed over.
        """
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            return
        try:
            bits = int(access) & int(self._handled)
            if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
                bits &= int(_OF_FILES)
            # struct landlock_path_beneath_attr, which is packed.
            self._add(_RULE_PATH_BENEATH, struct.pack("=Qi", bits, descriptor), str(path))
        finally:
            os.close(descriptor)

    def restrict(self) -> None:
        """Gives up, for good, what no rule allows.

        Raises:
          NoWallsError: the kernel refuses.
        """
        if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or _libc.syscall(_RESTRICT_SELF, self.descriptor, 0):
            raise NoWallsError(f"Landlock: {os.strerror(ctypes.get_errno())}")

    def _add(self, kind: int, rule: bytes, name: str) -> None:
        if _libc.syscall(_ADD_RULE, self.descriptor, kind, rule, 0):
            raise NoWallsError(f"Landlock: no rule for {name}: {os.strerror(ctypes.get_errno())}")


def _handled(version: int) -> Access:
    last = _LAST_OF_ABI.get(version, Access.IOCTL_DEV)
    return Access((last << 1) - 1)
