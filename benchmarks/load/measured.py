"""Runs a load program against a server, and what came of it over several rounds."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.servers.running import Server, python_environment
from chassis.errors import ChassisError

_MORE_S = 60.0


class LoadError(ChassisError):
    """A load program that failed, or requests that did; the message names the server."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of a load.

    Attributes:
      rate: requests a second.
      p50: seconds within which half of the requests were answered.
      p99: the same of 99 in 100.
      cost: processor seconds that the server spent on a request.
    """

    rate: float
    p50: float
    p99: float
    cost: float


def median(rounds: Sequence[Measured]) -> Measured:
    """The medians of several runs."""
    fields = ("rate", "p50", "p99", "cost")
    return Measured(*(statistics.median(getattr(measured, field) for measured in rounds) for field in fields))


def ask_grpc(server: Server, port: int, concurrency: int, seconds: float, message: Path) -> Measured:
    """Sends the message in the file `message`, over four channels."""
    arguments = ["-P", "-m", "benchmarks.load.grpc_client", port, concurrency, seconds, message]
    return _run(server, [sys.executable, *map(str, arguments)], seconds)


def ask_http(
    server: Server, port: int, concurrency: int, seconds: float, *, wrk: Path, path: str, body: Path
) -> Measured:
    """Posts the file `body` to `path`, with wrk."""
    command = [wrk, "--threads", "1", "--connections", concurrency, "--duration", f"{seconds:g}s", "--latency"]
    command += ["--script", Path(__file__).with_name("post.lua"), f"http://127.0.0.1:{port}{path}", "--", body]
    return _run(server, [str(part) for part in command], seconds)


def ask_stream(server: Server, port: int, kind: str, tokens: int, seconds: float) -> Measured:
    """Reads streams of as many `tokens`, of `kind` "sse" or "grpc"; rate and cost are of a token."""
    arguments = ["-P", "-m", "benchmarks.load.stream_client", kind, port, tokens, seconds]
    return _run(server, [sys.executable, *map(str, arguments)], seconds)


def _run(server: Server, command: list[str], seconds: float) -> Measured:
    before = server.processor_seconds()
    ended = subprocess.run(
        command,
        env=python_environment([path for path in sys.path if path]),
        capture_output=True,
        text=True,
        timeout=seconds + _MORE_S,
    )
    spent = server.processor_seconds() - before
    lines = [line for line in ended.stdout.splitlines() if line.startswith("{")]
    if ended.returncode or not lines:
        raise LoadError(f"{server.name}: the load program failed\n{ended.stdout}{ended.stderr}")
    found = json.loads(lines[-1])
    if found["errors"] or not found["requests"]:
        raise LoadError(f"{server.name}: {found['errors']} of {found['requests']} requests failed")
    return Measured(found["requests"] / found["seconds"], found["p50"], found["p99"], spent / found["requests"])
