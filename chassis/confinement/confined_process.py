"""Runs a program behind walls: what it starts ends with it, and what it says is bounded."""

from __future__ import annotations

import dataclasses
import errno
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from chassis.confinement.descendants import adopt_orphans, end_descendants
from chassis.confinement.errors import NoWallsError
from chassis.confinement.guardian import in_guardian
from chassis.confinement.walls import Walls


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended; `output` is the end of what it wrote to both streams. None of `status`: out of time.

    `not_started` is the number of the error (`errno`) if the kernel did not start the program; it has no status then.
    """

    status: int | None
    output: str
    not_started: int = 0


def run_confined(
    command: Sequence[str],
    walls: Walls,
    *,
    request: str,
    environment: Mapping[str, str],
    timeout: float,
    shown: int,
) -> Ended:
    """Runs `command` with `request` on standard input, for at most `timeout` seconds.

    When this returns, nothing runs any more of what it started, also of what has left its session; nor when this
    process is killed meanwhile (guardian.py). The last `shown` bytes of output are kept.

    Raises:
      NoWallsError: the kernel has not what the walls are made of.
      ConfinementError: something goes on of what it started.
    """

    def work() -> object:
        return dataclasses.astuple(_run(command, walls, request, environment, timeout, shown))

    return Ended(*cast(tuple[int | None, str, int], in_guardian(work)))


def _run(
    command: Sequence[str], walls: Walls, request: str, environment: Mapping[str, str], timeout: float, shown: int
) -> Ended:
    adopt_orphans()
    # Files, not pipes: a process that is left behind keeps a pipe open.
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as given, walls.built() as restrict:
        given.write(request.encode())
        given.seek(0)
        try:
            process = subprocess.Popen(
                command,
                stdin=given,
                stdout=said,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                preexec_fn=restrict,
            )
        except subprocess.SubprocessError as error:
            raise NoWallsError(f"the walls around {command[0]} cannot be built: {error}") from None
        except OSError as error:
            return Ended(None, "", error.errno or errno.ENOEXEC)
        status: int | None = None
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        finally:
            end_descendants()
        said.seek(max(0, said.seek(0, os.SEEK_END) - shown))
        return Ended(status, said.read(shown).decode("utf-8", "replace"))
