"""Starts the tools of publishing as `bazel run` does, with nothing of this machine's configuration."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_LIMIT_SECONDS = 60


def tool_command(tool: str, *arguments: str) -> list[str]:
    """What starts `chassis/tools/<tool>.py`."""
    return [sys.executable, "-m", f"chassis.tools.{tool}", *arguments]


def tool_environment(**environment: str) -> dict[str, str]:
    """An environment to start a tool in."""
    root = Path(__file__).resolve().parents[2]
    paths = os.pathsep.join([str(root), *(path for path in sys.path if path)])
    return {"PATH": os.environ.get("PATH", ""), "HOME": "/nonexistent", "PYTHONPATH": paths, **environment}


def run_tool(tool: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """Runs `chassis/tools/<tool>.py` and returns its status and what it wrote, as text."""
    return subprocess.run(
        tool_command(tool, *arguments),
        env=tool_environment(**environment),
        capture_output=True,
        text=True,
        timeout=_LIMIT_SECONDS,
        check=False,
    )
