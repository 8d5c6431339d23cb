"""Environments of other servers: what a lock names, from the index that pip is configured with, in a directory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from chassis.errors import ChassisError
from chassis.locking.index_configuration import uv_environment
from chassis.locking.uv import find_uv

_LIMIT_S = 600


def install(lock: Path, directory: Path) -> Path:
    """Installs what `lock` names, by hash, into `directory`; returns it.

    Raises:
      ChassisError: it cannot be had; the message ends with what uv said.
    """
    command = [
        *(find_uv(), "pip", "install", "--quiet", "--require-hashes", "--no-deps", "--only-binary", ":all:"),
        *("--python", sys.executable, "--target", directory, "--requirements", lock),
    ]
    environment = {name: value for name, value in uv_environment(os.environ).items() if not name.startswith("PYTHON")}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_LIMIT_S)
    if ended.returncode:
        raise ChassisError(f"{lock.name}: its wheels cannot be installed\n{ended.stderr.strip()}")
    return directory
