"""A build at one and the same path wherever it runs: /chassis, in a file system view of its own.

Compilers, code generators and build systems write the paths of sources and headers into what they make. With bwrap
(https://github.com/containers/bubblewrap) the directories of a build are mounted where every other build has them.
Where the kernel refuses that, the build takes place at the real paths.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path("/chassis")
_PROBE_TIMEOUT_S = 30


@dataclass(slots=True)
class View:
    """Where a build finds its directories; `bwrap` is None where they are at their real paths."""

    bwrap: Path | None
    _mounts: dict[str, tuple[Path, bool]] = field(default_factory=dict)

    def add(self, name: str, path: Path, writable: bool = False) -> Path:
        """Brings in a directory or file as `name`, and returns the path at which the build will see it."""
        self._mounts[name] = (path.resolve(), writable)
        return ROOT / name if self.bwrap else path.resolve()

    def command(self, command: Sequence[str], directory: Path, environment: Mapping[str, str]) -> list[str]:
        """The command line that runs `command` in this view, in `directory`, with exactly `environment`."""
        if not self.bwrap:
            return [*command]
        arguments = [*_whole_machine(self.bwrap), "--clearenv", "--chdir", str(directory)]
        for name, (path, writable) in sorted(self._mounts.items()):
            arguments += ["--bind" if writable else "--ro-bind", str(path), str(ROOT / name)]
        for name, value in environment.items():
            arguments += ["--setenv", name, value]
        return [*arguments, "--", *command]


def _whole_machine(bwrap: Path) -> list[str]:
    """A root of its own that has what the machine's has: so there is room for one more directory."""
    arguments = [str(bwrap), "--unshare-net", "--die-with-parent"]
    for path in sorted(Path("/").iterdir()):
        if path == ROOT:
            continue
        if path.is_symlink():
            arguments += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            arguments += ["--dev-bind", str(path), str(path)]
    return arguments


def open_view(bwrap: Path | None) -> View:
    """A view through `bwrap` where the kernel lets it, else one of the real paths."""
    if bwrap is not None:
        command = [*_whole_machine(bwrap), "--", "/bin/sh", "-c", "exit 0"]
        try:
            run = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=_PROBE_TIMEOUT_S)
        except (OSError, subprocess.TimeoutExpired):
            return View(None)
        if run.returncode == 0:
            return View(bwrap)
    return View(None)
