"""Whether this machine gives an ordinary process the namespaces that Bazel's linux-sandbox is made of.

Without them Bazel takes its processwrapper-sandbox in silence, which keeps neither the network nor other files from an
action.
"""

from __future__ import annotations

import ctypes
import os

_USER, _MOUNT, _NETWORK, _PROCESS = 0x10000000, 0x00020000, 0x40000000, 0x20000000


def why_no_namespaces() -> str:
    """What the kernel answers when they are asked for; "" if it gives them."""
    libc = ctypes.CDLL(None, use_errno=True)
    child = os.fork()
    if child == 0:
        # Some systems give a namespace in which nothing is allowed: there the second call fails.
        refused = libc.unshare(_USER) or libc.unshare(_MOUNT | _NETWORK | _PROCESS)
        os._exit(ctypes.get_errno() & 0xFF if refused else 0)
    status = os.waitpid(child, 0)[1]
    return os.strerror(status >> 8) if status else ""
