"""Starts the tools of publishing as `bazel run` does, with nothing of this machine's configuration."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_LIMIT_SECONDS = 60


def run_tool(tool: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """Runs `chassis/tools/<tool>.py` and returns its status and what it wrote, as text."""
    root = Path(__file__).resolve().parents[2]
    paths = os.pathsep.join([str(root), *(path for path in sys.path if path)])
    return subprocess.run(
        [sys.executable, "-m", f"chassis.tools.{tool}", *arguments],
        env={"PATH": os.environ.get("PATH", ""), "HOME": "/nonexistent", "PYTHONPATH": paths, **environment},
        capture_output=True,
        text=True,
        timeout=_LIMIT_SECONDS,
        check=False,
    )
