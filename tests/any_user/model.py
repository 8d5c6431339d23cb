"""Asks what a library asks of the user, of the home and of the machine."""

from __future__ import annotations

import ctypes.util
import getpass
import locale
import os
import tempfile
from pathlib import Path

WARMED: list[bytes] = []


def ask(content: bytes) -> dict[str, object]:
    """What is found."""
    cache = Path("~/.cache/x").expanduser()
    cache.mkdir(parents=True, exist_ok=True)
    (cache / "file").write_bytes(content)
    with tempfile.TemporaryFile() as file:
        file.write(content)
    if content == b"warm":
        WARMED.append(content)
    return {
        "warmed": len(WARMED),
        "user": getpass.getuser(),
        "uid": os.getuid(),
        "cached": (cache / "file").read_text(),
        "c": ctypes.util.find_library("c"),
        "stdc++": ctypes.util.find_library("stdc++"),
        "none": ctypes.util.find_library("nobody-has-this"),
        "locale": locale.setlocale(locale.LC_ALL, ""),
        "process": Path("/proc/self/comm").read_text().strip(),
    }
