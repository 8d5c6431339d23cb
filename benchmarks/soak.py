"""Minutes of mixed load over every front end of one server, with workers killed and a SIGTERM in it.

Every request has a number and is accounted for: answered with its own number, failed as it was to, told that the
model's process ended (only where a worker was killed), or refused by a server that was told to stop. Anything else, a
status other than 0 after SIGTERM, or memory that grows ends the run with status 1.

    ./bazelw run //benchmarks:soak -- --minutes 10
"""

from __future__ import annotations

import asyncio
import collections
import itertools
import json
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from absl import flags

from benchmarks.load.front_ends import FrontEnd, Omi, Outcome, V1Http, V2Grpc, V2Http
from benchmarks.servers.running import Server, free_port, http_ready, python_environment
from chassis.command_line.run import run_main
from chassis.errors import ChassisError
from tests.support.running_server import write_model

_MINUTES = flags.DEFINE_float("minutes", 10.0, "Length of the run.", lower_bound=0.2)
_CALLERS = flags.DEFINE_integer("callers", 4, "Requests at a time through each front end.", lower_bound=1)
_KILLS = flags.DEFINE_integer("kills", 4, "Workers that are killed, evenly over the run.", lower_bound=1)

_NAME = "tested"
_BATCH_SIZE = 16
_WORKERS = 2
_BAD = 0.02
"""The part of the requests that are to fail."""

_SERVERS = 2
_MAX_FAULTS = 20
_SETTLED = 0.25
"""The part of each server's life after which its memory is to stay."""

_GROWTH_BYTES = 8_000_000
_SAMPLES = 40
_DRAIN_S = 30.0


class SoakError(ChassisError):
    """A run that was not as it is to be."""


def answer(inputs: Sequence[bytes]) -> list[dict[str, int]]:
    """The model: each input's number and the process that saw it; a bad one fails."""
    found = [json.loads(content) for content in inputs]
    for item in found:
        if item["bad"]:
            raise ValueError(f"{item['number']} is bad")
    return [{"number": item["number"], "process": os.getpid()} for item in found]


@dataclass(slots=True)
class _Account:
    """What was asked, what became of it, and what was not as it is to be."""

    sent: collections.Counter[str] = field(default_factory=collections.Counter)
    became: collections.Counter[tuple[str, Outcome]] = field(default_factory=collections.Counter)
    memory: list[list[int]] = field(default_factory=list)
    """Bytes of each server, at equal distances of time."""

    kills: int = 0
    faults: list[str] = field(default_factory=list)


class _Soak:
    """A server under load until its SIGTERM, then another one on the same ports."""

    def __init__(self, place: Path, account: _Account) -> None:
        self._place = place
        self._account = account
        self._grpc_port, self._http_port = free_port(), free_port()
        self._numbers = itertools.count()
        self._choices = random.Random(1)
        self._processes: dict[int, None] = {}
        """Of the workers that answered, the latest last."""
        self._stopping = False

    async def run(self, seconds: float, servers: int) -> None:
        """Loads each of `servers` for its part of `seconds`."""
        for number in range(servers):
            with await asyncio.to_thread(self._start, number) as server:
                await self._load(server, seconds / servers, max(1, _KILLS.value // servers))

    def _start(self, number: int) -> Server:
        environment = python_environment(
            [path for path in sys.path if path],
            CHASSIS_MODEL_DIR=str(write_model(self._place / "model", answer, batch_size=_BATCH_SIZE)),
            CHASSIS_HOST="127.0.0.1",
            CHASSIS_WORKERS=str(_WORKERS),
            CHASSIS_LOG_FORMAT="json",
            PSC_MODEL_PORT=str(self._grpc_port),
            HTTP_PORT=str(self._http_port),
        )
        return Server(
            "the server",
            ["-P", "-m", "chassis.runtime"],
            environment,
            http_ready("/v2/health/ready"),
            port=self._http_port,
            log=self._place / f"server{number}.log",
        )

    async def _load(self, server: Server, seconds: float, kills: int) -> None:
        self._stopping = False
        self._processes.clear()
        kinds: dict[str, Callable[[], FrontEnd]] = {
            "OMI": lambda: Omi(self._grpc_port),
            "v2 gRPC": lambda: V2Grpc(self._grpc_port, _NAME),
            "v2 HTTP": lambda: V2Http(self._http_port, _NAME),
            "v1 HTTP": lambda: V1Http(self._http_port, _NAME),
        }
        callers = [
            asyncio.create_task(self._call(name, make)) for name, make in kinds.items() for _ in range(_CALLERS.value)
        ]
        memory: list[int] = []
        self._account.memory.append(memory)
        killed = 0
        for sample in range(1, _SAMPLES + 1):
            await asyncio.sleep(seconds / _SAMPLES)
            memory.append(server.memory())
            if killed < kills and sample >= (killed + 1) * _SAMPLES / (kills + 1):
                killed += 1
                os.kill(next(reversed(self._processes)), signal.SIGKILL)
        self._account.kills += killed
        self._stopping = True
        status = await asyncio.to_thread(server.terminate, _DRAIN_S)
        if status:
            self._account.faults.append(f"the server ended with status {status} after SIGTERM")
        await asyncio.wait_for(asyncio.gather(*callers), _DRAIN_S)

    async def _call(self, name: str, make: Callable[[], FrontEnd]) -> None:
        """Sends one request after another, until one is refused."""
        front_end = make()
        outcome = None
        while outcome is not Outcome.REFUSED:
            number = next(self._numbers)
            bad = self._choices.random() < _BAD
            self._account.sent[name] += 1
            try:
                found = await front_end.ask(number, bad=bad)
            except TimeoutError:
                self._account.faults.append(f"{name}: {number} was not answered")
                continue
            outcome = found.outcome
            self._account.became[name, outcome] += 1
            if found.process:
                self._processes.pop(found.process, None)
                self._processes[found.process] = None
            if outcome is Outcome.WRONG:
                self._account.faults.append(f"{name}: {found.detail}")
            if outcome is Outcome.REFUSED and not self._stopping:
                self._account.faults.append(f"{name}: {number} was refused though nobody stopped the server")
        await front_end.close()


def main(argv: Sequence[str]) -> None:
    """Runs, prints the account, and fails if it is not as it is to be."""
    del argv
    account = _Account()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=os.environ.get("TEST_TMPDIR")) as directory:
        asyncio.run(_Soak(Path(directory), account).run(_MINUTES.value * 60, _SERVERS))
    print(f"{time.monotonic() - started:.0f} s, {_CALLERS.value} callers of each front end, {os.cpu_count()} CPUs")
    for name, sent in account.sent.items():
        parts = [f"{account.became[name, outcome]:,} {outcome.value}" for outcome in Outcome]
        print(f"  {name:8} {sent:,} sent: {', '.join(parts)}")
    _check(account)
    print(f"every one of {account.sent.total():,} requests is accounted for")


def _check(account: _Account) -> None:
    faults = account.faults
    if account.sent.total() != account.became.total():
        faults.append(f"{account.sent.total()} requests were sent, {account.became.total()} became something")
    lost = sum(count for (_, outcome), count in account.became.items() if outcome is Outcome.LOST_WORKER)
    if lost > account.kills * _BATCH_SIZE:
        faults.append(f"{lost} requests were lost with {account.kills} workers of {_BATCH_SIZE} items at a time")
    for number, memory in enumerate(account.memory):
        settled = memory[int(len(memory) * _SETTLED) :]
        half = len(settled) // 2
        before, after = statistics.median(settled[:half]), statistics.median(settled[half:])
        print(f"  memory of server {number}: {before / 1e6:.1f} MB, later {after / 1e6:.1f} MB")
        if after - before > _GROWTH_BYTES:
            faults.append(f"the memory of server {number} grew by {(after - before) / 1e6:.1f} MB")
    if faults:
        shown = "\n".join(f"  {fault}" for fault in faults[:_MAX_FAULTS])
        raise SoakError(f"{len(faults)} things were not as they are to be\n{shown}")


if __name__ == "__main__":
    run_main(main)
