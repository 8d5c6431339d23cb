"""Which Bazel runs: one of the PATH that works, or the fetched one; decided once and written down for
`bazelw`.

The file that holds the decision has five lines: `program` or `tree`; the program's path or the tree's; and
the three things that it was made about, as `bazelw` saw them (see `Candidates`). If one of those changes
it is made again.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from chassis.bootstrap.progress import Progress

PROBE_TIMEOUT_S = 120.0
OLDEST_MAJOR = 7
_NONE = "none"


class Candidates(NamedTuple):
    """What the PATH offers: the lines of `ls -lnL` for bazel and bazelisk, or `none`; and the version asked
    for.
    """

    bazel: str
    bazelisk: str
    version: str

    def programs(self) -> list[Path]:
        """The paths of those that are there, bazel first."""
        lines = [line for line in (self.bazel, self.bazelisk) if line not in ("", _NONE)]
        return [Path(line[line.index(" /") + 1 :]) for line in lines if " /" in line]


class Choice(NamedTuple):
    """`kind` is `program`, with the path of a bazel of the machine's, or `tree`, with a fetched one's."""

    kind: str
    path: Path


def read(file: Path) -> tuple[Choice, Candidates] | None:
    """The decision written in `file` and what it was made about; None if there is none."""
    try:
        kind, path, bazel, bazelisk, version = file.read_text().split("\n")[:5]
    except (OSError, ValueError):
        return None
    return Choice(kind, Path(path)), Candidates(bazel, bazelisk, version)


def write(file: Path, choice: Choice, candidates: Candidates) -> None:
    """Writes the decision at once or not at all."""
    text = "\n".join([choice.kind, str(choice.path), *candidates, ""])
    temporary = file.with_name(f"{file.name}.{os.urandom(8).hex()}")
    temporary.write_text(text)
    temporary.replace(file)


def first_that_works(candidates: Candidates, progress: Progress, timeout_s: float = PROBE_TIMEOUT_S) -> Path | None:
    """The first program of the PATH that works as a Bazel here, or None; says why the others were passed
    over.
    """
    for program in candidates.programs():
        progress.say(f"trying {program} (at most {timeout_s:.0f} s)")
        defect = find_defect(program, candidates.version, timeout_s)
        if defect is None:
            return program
        progress.say(f"passed over {program}: {defect}")
    return None


def find_defect(program: Path, version: str, timeout_s: float) -> str | None:
    """Why `program` cannot be used as Bazel, in words; None if it can.

    It has to say a version of 7 or newer, and to resolve a module that is in the central registry (or in the
    registry of the user's own bazelrc), in a workspace made for that.
    """
    with tempfile.TemporaryDirectory(prefix="chassis-probe-") as name:
        directory = Path(name)
        (directory / "MODULE.bazel").write_text('bazel_dep(name = "platforms", version = "0.0.10")\n')
        (directory / "BUILD.bazel").write_text("")
        if version:
            (directory / ".bazelversion").write_text(version + "\n")
        status, output = _run([str(program), "--version"], directory, timeout_s)
        match = re.search(r"^bazel (\d+)\S*", output, re.MULTILINE)
        if status != 0 or not match:
            return _reason(status, output, "it does not start")
        if int(match.group(1)) < OLDEST_MAJOR:
            return f"it is {match.group(0)}, and version {OLDEST_MAJOR} or newer is needed"
        base = directory / "output"
        command = [str(program), "--batch", f"--output_base={base}", "query", "--lockfile_mode=off"]
        status, output = _run([*command, "@platforms//os:linux"], directory, timeout_s)
        _make_removable(base)
        if status != 0:
            return _reason(status, output, "it cannot resolve a module of the central registry")
        return None


def _run(command: list[str], directory: Path, timeout_s: float) -> tuple[int | None, str]:
    """The exit status, None if it ran out of time, and the output; nothing of it is left running."""
    try:
        process = subprocess.Popen(
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        return 127, str(error)
    with process:
        try:
            output = process.communicate(timeout=timeout_s)[0]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return None, ""
        return process.returncode, output


def _reason(status: int | None, output: str, what: str) -> str:
    if status is None:
        return f"{what}: no answer in time"
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"error|could not|unable|fail", line, re.IGNORECASE)]
    return f"{what}: {(errors or lines or [f'exit status {status}'])[-1][:300]}"


def _make_removable(directory: Path) -> None:
    for path, _, _ in os.walk(directory):
        Path(path).chmod(0o700)
    shutil.rmtree(directory, ignore_errors=True)
