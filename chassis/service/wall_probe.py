"""Whether a client's code is confined here: tried, at the service's start, by a model that attacks.

The model is built as every client's is. What it reaches is seen from both sides: it says what it got, and the service
looks for what it left.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import re
import secrets
import socket
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from chassis.errors import ChassisError
from chassis.service.build_policy import STRATEGIES

_ANSWER = re.compile(r"CHASSIS-PROBE (\{.*?\}) END")

_ATTACK = """
import json, os, socket, subprocess
given = json.loads({given!r})
got = []
def attempt(what, act):
    try:
        act()
    except Exception:
        return
    got.append(what)
attempt("reads files of the service", lambda: open(given["secret"]).read())
for directory in given["directories"]:
    attempt("lists " + directory, lambda: os.listdir(directory))
    attempt("writes to " + directory, lambda: open(os.path.join(directory, given["name"]), "w").close())
attempt("connects to this machine's ports", lambda: socket.create_connection(("127.0.0.1", given["port"]), 5))
attempt("sends datagrams", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
attempt("sees other processes", lambda: open("/proc/" + str(given["pid"]) + "/environ").read())
quiet = {{name: subprocess.DEVNULL for name in ("stdin", "stdout", "stderr")}}
subprocess.Popen(["/bin/sh", "-c", "sleep 60; : " + given["name"]], start_new_session=True, **quiet)
raise Exception("CHASSIS-PROBE " + json.dumps({{"got": got}}) + " END")
"""


class UnconfinedError(ChassisError):
    """Builds here do not confine a client's code."""


class _Attack:
    """What runs the attack where it is unpickled."""

    def __init__(self, source: str) -> None:
        self._source = source

    def __reduce__(self) -> tuple[object, ...]:
        return exec, (self._source, {})


@dataclass(slots=True)
class Attack:
    """A model that attacks, and what is watched meanwhile. A context manager.

    Attributes:
      state: the service's directory; files to read and to write are there.
      directories: what it tries to list, and to write to.
    """

    state: Path
    directories: tuple[Path, ...]
    _name: str = field(default_factory=lambda: f"chassis-probe-{secrets.token_hex(8)}")
    _kept: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _port: socket.socket | None = None

    def __enter__(self) -> Attack:
        self._secret.write_text("secret")
        self._kept.callback(self._secret.unlink)
        self._port = self._kept.enter_context(socket.create_server(("127.0.0.1", 0)))
        self._port.setblocking(False)
        return self

    def __exit__(self, *_: object) -> None:
        for directory in self.directories:
            with contextlib.suppress(OSError):
                (directory / self._name).unlink()
        self._kept.close()

    @property
    def _secret(self) -> Path:
        return self.state / f"{self._name}.secret"

    def pickle(self) -> bytes:
        """The model."""
        assert self._port is not None
        given = {
            "secret": str(self._secret),
            "directories": [str(directory) for directory in self.directories],
            "name": self._name,
            "port": self._port.getsockname()[1],
            "pid": os.getpid(),
        }
        return pickle.dumps(_Attack(_ATTACK.format(given=json.dumps(given))), protocol=5)

    def findings(self, said: str) -> list[str]:
        """What the attack got, by what the build printed, and by what it left; empty if it got nothing."""
        answer = _ANSWER.search(said)
        if not answer:
            return [f"is not known to run: {said.strip()[-2000:] or 'the build printed nothing'}"]
        found = [str(what) for what in json.loads(answer[1])["got"]]
        found += [f"wrote to {directory}" for directory in self.directories if (directory / self._name).exists()]
        assert self._port is not None
        with contextlib.suppress(BlockingIOError):
            self._port.accept()
            found.append("connected to a port of this machine")
        if any(self._name.encode() in command for command in _commands()):
            found.append("goes on running after its build")
        return found


def confining_strategy(
    state: Path,
    directories: tuple[Path, ...],
    build: Callable[[bytes, str], str],
    strategies: tuple[str, ...] = STRATEGIES,
) -> str:
    """The first of Bazel's strategies in which a client's code is confined.

    Args:
      state: the service's directory.
      directories: what a client's code must neither list nor write to.
      build: builds a model of a pickle with a strategy, and returns what the build printed.
      strategies: those that are tried.

    Raises:
      UnconfinedError: there is none.
    """
    reasons = []
    for strategy in strategies:
        with Attack(state, (*directories, Path(tempfile.gettempdir()))) as attack:
            found = attack.findings(build(attack.pickle(), strategy))
        if not found:
            return strategy
        reasons.append(f"  with {strategy}, a model that is built here {'; '.join(found)}")
    raise UnconfinedError(
        "builds on this machine do not confine the code of models, so this service takes none from clients:\n"
        + "\n".join(reasons)
        + "\n  what it takes: docs/security.md. --accept_unconfined_builds serves all the same: whoever may publish "
        "then reads and changes what this account can, its credentials included"
    )


def _commands() -> Iterator[bytes]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                yield (entry / "cmdline").read_bytes()
