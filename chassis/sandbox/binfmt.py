"""Has the kernel start programs of another CPU under an emulator, in a user namespace and nowhere else.

Since Linux 6.7 each user namespace may have a binfmt_misc of its own, so this takes no privilege and changes nothing of
the machine. https://docs.kernel.org/admin-guide/binfmt-misc.html
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_NEW_USER, _NEW_MOUNTS = 0x10000000, 0x00020000
_PRIVATE = 0x4000 | 0x40000  # of each mount below, too
HEAD_BYTES = 20
"""Bytes of an ELF file that tell its class, byte order, ABI, kind and CPU."""
_libc = ctypes.CDLL(None, use_errno=True)


def reason_against(place: Path) -> str:
    """Why the kernel does not start programs of another CPU here; "" if it does. Found by trying, in a child.

    `place` is a directory, which stays as it is.
    """
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            register_here(Path("/proc/self/exe"), bytes(HEAD_BYTES), place)
            os._exit(0)
        except OSError as error:
            os.write(write, str(error).encode())
        finally:
            os._exit(1)
    os.close(write)
    with os.fdopen(read, "rb") as said:
        reason = said.read().decode(errors="replace")
    _, status = os.waitpid(pid, 0)
    return reason or ("" if status == 0 else f"the attempt ended with status {os.waitstatus_to_exitcode(status)}")


def register_here(emulator: Path, head: bytes, place: Path) -> None:
    """Puts this process, of one thread, into namespaces in which `emulator` starts what is of `head`'s CPU.

    What it starts from now on is in them, too. It has its user and group there, and all capabilities until it starts
    a program. The emulator is opened now, so a program needs not see it (flag F), and is told the name that the program
    was started under (P).

    Args:
      emulator: a static program.
      head: the beginning of an ELF file for the CPU that it plays.
      place: a directory to mount binfmt_misc on, which nobody else sees.

    Raises:
      OSError: the kernel gives no such namespaces, or is older than 6.7.
    """
    uid, gid = os.geteuid(), os.getegid()
    _checked("unshare", _libc.unshare(_NEW_USER | _NEW_MOUNTS))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    _checked("mount", _libc.mount(b"none", b"/", None, _PRIVATE, None))
    _checked("mount binfmt_misc", _libc.mount(b"binfmt_misc", os.fsencode(place), b"binfmt_misc", 0, None))
    with emulator.open("rb") as program:
        descriptor = os.open(place / "register", os.O_WRONLY)
        try:
            # By its descriptor: the name might be long, or have a colon.
            os.write(descriptor, _rule(head, f"/proc/self/fd/{program.fileno()}"))
        finally:
            os.close(descriptor)


def _rule(head: bytes, emulator: str) -> bytes:
    """What binfmt_misc is told. Position independent programs are of another kind, and any ABI of the CPU is taken."""
    magic = head[:7] + bytes(9) + b"\x02" + head[17:HEAD_BYTES]
    mask = b"\xff" * 7 + bytes(9) + b"\xfe" + b"\xff" * 3
    escaped = (b"".join(b"\\x%02x" % byte for byte in part) for part in (magic, mask))
    return b":emulated:M::%b:%b:%b:PF" % (*escaped, emulator.encode())


def _checked(what: str, result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
