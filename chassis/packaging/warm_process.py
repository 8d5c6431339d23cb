"""A process that has imported what models import, kept for the next one: see warm_worker.py, which is what it runs."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chassis.confinement.confined_process import Ended
from chassis.confinement.descendants import end_descendants
from chassis.confinement.errors import ConfinementError
from chassis.confinement.guardian import start_guarded
from chassis.confinement.left_files import remove_left
from chassis.confinement.walls import Walls
from chassis.packaging.warm_worker import NO_WALLS

_STARTED_S = 60.0
_PRINTED_BYTES = 1 << 16


class NotWarmError(Exception):
    """This process cannot stand for one that imports everything itself."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a worker is started with.

    Attributes:
      worker: the module.
      arguments: of its command line.
      request: on standard input.
      directory: where it runs.
      environment: its variables.
      walls: those around it.
    """

    worker: str
    arguments: Sequence[str]
    request: str
    directory: Path
    environment: Mapping[str, str]
    walls: Walls


class WarmProcess:
    """Started once, and asked for steps of models, one after the other."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        imports: Sequence[tuple[str, Sequence[str]]],
        readable: Sequence[str | Path],
        place: Path,
        timeout: float,
    ) -> None:
        """Starts it and has it import.

        Args:
          command: the interpreter, and what it runs before two descriptors that are added here.
          environment: its variables.
          imports: modules, with the names taken of each.
          readable: what it and all of its steps may read, beside `place`.
          place: a directory for its files, with its `home` and its `tmp`, which it may write to. It goes at the end,
            and its parent too if this process is gone.
          timeout: seconds that the imports may take.

        Raises:
          NotWarmError: it failed, or what it imports cannot be shared by forks.
          ConfinementError: the kernel lacks what the walls take.
        """
        self._place = place
        self.models.mkdir()
        self.work.mkdir()
        self._output.touch()
        # No directory in which this process writes, or makes what the code is to read: that would follow its links.
        walls = Walls((*readable, place), (place / "home", place / "tmp", self.work, self._output), metadata=True)
        jobs, self._jobs = os.pipe()
        self._answers, answers = os.pipe()
        log, parent = place / "imports.log", os.getpid()

        def at_end() -> None:
            remove_left(place if os.getppid() == parent else place.parent)

        def start() -> subprocess.Popen[bytes]:
            with log.open("wb") as said, walls.built() as restrict:
                return subprocess.Popen(
                    [*command, str(jobs), str(answers)],
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=said,
                    env=dict(environment),
                    pass_fds=(jobs, answers),
                    preexec_fn=restrict,
                )

        try:
            self._guardian, self._process = start_guarded(start, at_end)
        except BaseException:
            os.close(self._jobs)
            os.close(self._answers)
            raise
        finally:
            os.close(jobs)
            os.close(answers)
        try:
            if self._ask({"imports": imports}, _STARTED_S + timeout) is not True:
                raise NotWarmError
            self._printed = _end_of(log, _PRINTED_BYTES)
        except BaseException:
            self.stop()
            raise

    @property
    def models(self) -> Path:
        """Where its steps may read, and neither they nor the process itself may write."""
        return self._place / "models"

    @property
    def work(self) -> Path:
        """Where a step may have a directory that it may write to."""
        return self._place / "work"

    @property
    def _output(self) -> Path:
        return self._place / "output.log"

    def run(self, step: Step, timeout: float, shown: int) -> Ended:
        """Runs one step, for at most `timeout` seconds; what it started is ended when this returns.

        The last `shown` bytes of what it wrote are kept, behind what the imports wrote.

        Raises:
          NotWarmError: the process is gone.
          ConfinementError: the kernel lacks what the walls take.
        """
        request = self._place / "request.json"
        try:
            request.write_text(step.request)
            self._output.write_bytes(self._printed)
        except OSError:
            raise NotWarmError from None
        status = self._ask(
            {
                "worker": step.worker,
                "arguments": list(step.arguments),
                "request": str(request),
                "output": str(self._output),
                "directory": str(step.directory),
                "environment": dict(step.environment),
                "readable": [str(path) for path in step.walls.readable],
                "writable": [str(path) for path in step.walls.writable],
                "metadata": step.walls.metadata,
            },
            timeout,
        )
        said = _end_of(self._output, shown).decode("utf-8", "replace")
        if status == NO_WALLS:
            raise ConfinementError(said.strip())
        return Ended(status, said)

    def stop(self) -> None:
        """Ends it, with all that it started."""
        os.close(self._jobs)
        os.close(self._answers)
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(self._guardian, signal.SIGTERM)
            os.waitpid(self._guardian, 0)

    def _ask(self, what: Mapping[str, Any], timeout: float) -> Any:
        """What it answers; None if that takes too long, and then the step is ended."""
        try:
            os.write(self._jobs, json.dumps(what).encode() + b"\n")
            answer = self._answer(time.monotonic() + timeout)
            if answer is None:
                end_descendants(self._process)
                if self._answer(time.monotonic() + _STARTED_S) is None:  # of the step that was ended
                    raise NotWarmError
        except OSError:
            raise NotWarmError from None
        end_descendants(self._process)
        return answer

    def _answer(self, end: float) -> Any:
        text = b""
        while not text.endswith(b"\n"):
            if not select.select([self._answers], [], [], max(0.0, end - time.monotonic()))[0]:
                return None
            block = os.read(self._answers, 1 << 16)
            if not block:
                raise NotWarmError
            text += block
        return json.loads(text)


def _end_of(file: Path, most: int) -> bytes:
    with file.open("rb") as content:
        content.seek(max(0, content.seek(0, os.SEEK_END) - most))
        return content.read(most)
