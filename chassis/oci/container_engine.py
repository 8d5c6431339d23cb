"""Container engines of this machine that take an image as an archive on their standard input."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO, cast

from chassis.errors import ChassisError

_ANSWER_SECONDS = 10.0
_SHOWN_CHARACTERS = 300


class EngineError(ChassisError):
    """An engine is not known, or refuses the image."""


class NoEngineError(EngineError):
    """No engine answers; the message says why not, and ends with what to do about it."""


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine's program, the arguments that make it answer, and those that load an archive from its input."""

    name: str
    probe: tuple[str, ...]
    load: tuple[str, ...]


# `version` of docker, nerdctl and ctr asks the daemon; podman has none and is asked for what it would do.
ENGINES = (
    Engine("podman", ("info",), ("load",)),
    Engine("docker", ("version",), ("load",)),
    Engine("nerdctl", ("version",), ("load",)),
    Engine("ctr", ("version",), ("images", "import", "-")),
)


def find_engine(wanted: str = "") -> Engine:
    """The first engine that answers; `wanted` restricts the search to one.

    Raises:
      NoEngineError: none does.
      EngineError: `wanted` is not known.
    """
    known = [engine for engine in ENGINES if not wanted or engine.name == wanted]
    if not known:
        raise EngineError(f"engine {wanted!r} is not known; known are {', '.join(e.name for e in ENGINES)}")
    reasons = []
    for engine in known:
        reason = _reason_against(engine)
        if not reason:
            return engine
        reasons.append(f"{engine.name}: {reason}")
    raise NoEngineError("no container engine answers:\n  " + "\n  ".join(reasons) + "\n  start one")


def load(engine: Engine, write: Callable[[BinaryIO], str], seconds: float) -> tuple[str, str]:
    """Lets `write` write an archive into the engine; returns what `write` did and what the engine said.

    If `write` fails, the engine is ended before its input is, so that it never takes the part for the whole.

    Raises:
      EngineError: the engine refuses the archive or does not end within `seconds`.
    """
    command = [engine.name, *engine.load]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdin is not None
    result, broken = "", False
    try:
        try:
            result = write(cast(BinaryIO, process.stdin))
        except BrokenPipeError:  # what the engine says, and its status, tell why
            broken = True
        said, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise EngineError(f"{' '.join(command)}: did not end within {seconds:g} s") from None
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
    text = _shown(said)
    if process.returncode or broken:
        raise EngineError(f"{' '.join(command)}: fails with status {process.returncode}: {text or 'no reason given'}")
    return result, text


def _reason_against(engine: Engine) -> str:
    if not shutil.which(engine.name):
        return "is not on the PATH"
    try:
        done = subprocess.run(
            [engine.name, *engine.probe],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=_ANSWER_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"does not answer within {_ANSWER_SECONDS:g} s"
    except OSError as error:
        return f"does not start: {error.strerror}"
    if done.returncode:
        lines: Sequence[str] = _shown(done.stderr).splitlines()
        return lines[-1] if lines else f"`{engine.name} {' '.join(engine.probe)}` fails with status {done.returncode}"
    return ""


def _shown(data: bytes) -> str:
    return data.decode(errors="replace").strip()[-_SHOWN_CHARACTERS:]
