#!/usr/bin/env -S python3 -I
"""Starts a command on a machine that runs programs of aarch64 too: in namespaces whose binfmt_misc has the emulator.

    emulated.py QEMU PLACE COMMAND…

QEMU is a static qemu-aarch64, PLACE an empty directory. What the command starts, a Bazel server too, is in the
namespaces.
"""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from chassis.sandbox.binfmt import register_here

# The beginning of a program: 64 bits, little-endian, ET_EXEC, EM_AARCH64.
_HEAD = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 2, 183)


def main(emulator: str, place: str, *command: str) -> None:
    """Becomes the command; says so if the kernel gives no such namespaces."""
    try:
        register_here(Path(emulator), _HEAD, Path(place))
    except OSError as error:
        sys.exit(f"this kernel has no binfmt_misc of a user namespace (Linux 6.7 and later have): {error}")
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])
