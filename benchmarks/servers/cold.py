"""How long a server takes from its start to ready, and its memory, against Python that only loads the model."""

from __future__ import annotations

import statistics
import sys
from dataclasses import dataclass

from benchmarks.servers import peers
from benchmarks.servers.peers import Place
from benchmarks.servers.running import Server, free_port, listening, python_environment

_FLOOR = """
import socket, sys
import numpy
import cloudpickle
with open(sys.argv[1], "rb") as file:
    model = cloudpickle.load(file)
listener = socket.create_server(("127.0.0.1", int(sys.argv[2])))
while True:
    listener.accept()[0].close()
"""
"""Tells that it is done by listening, as a server does."""


@dataclass(frozen=True, slots=True)
class Cold:
    """Medians of several starts, taken in turn.

    Attributes:
      floor_s: of Python with the model's dependencies and its pickle, seconds.
      own_s: of this server, until it is ready over HTTP, with all its front ends.
      ratios: of each pair of starts.
      floor_bytes: memory then.
      own_bytes: likewise, when it had answered its health check.
    """

    floor_s: float
    own_s: float
    ratios: tuple[float, ...]
    floor_bytes: float
    own_bytes: float


def measure(place: Place, starts: int) -> Cold:
    """Starts each `starts` times in turn, after one start that is not counted and leaves bytecode behind."""
    with _floor(place):
        pass
    with peers.own(place, "cheap").server:
        pass
    floor, own, floor_bytes, own_bytes = [], [], [], []
    for _ in range(starts):
        with _floor(place) as server:
            floor.append(server.seconds)
            floor_bytes.append(server.memory())
        with peers.own(place, "cheap").server as server:
            own.append(server.seconds)
            own_bytes.append(server.memory())
    ratios = tuple(one / other for one, other in zip(own, floor, strict=True))
    return Cold(*map(statistics.median, (floor, own)), ratios, *map(statistics.median, (floor_bytes, own_bytes)))


def _floor(place: Place) -> Server:
    port = free_port()
    environment = python_environment(
        [path for path in sys.path if path], PYTHONPYCACHEPREFIX=str(place.work / "bytecode")
    )
    arguments = ["-P", "-c", _FLOOR, str(place.model("cheap") / "model.pkl"), str(port)]
    return Server("Python", arguments, environment, listening, port=port, log=place.log("floor"))
