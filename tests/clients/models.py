"""The models that clients ask, `doubled` of tensors and `echo` of bytes, and what a client makes of the answers."""

from __future__ import annotations

import json
import os
import struct
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.running_server import RunningServer, write_model

_PLAIN = {"media_type": "application/octet-stream", "max_size": "", "max_bytes": None}


def doubled(items: Sequence[Mapping[str, bytes]]) -> list[dict[str, bytes]]:
    """Each row, twice."""
    return [
        {"doubled": struct.pack("<3f", *[2 * value for value in struct.unpack("<3f", item["row"])])} for item in items
    ]


def echo(item: Mapping[str, bytes]) -> dict[str, bytes]:
    """Its input."""
    return {"echoed": item["input"]}


@contextmanager
def serving_doubled(directory: Path, **environment: str) -> Iterator[RunningServer]:
    """A server of `doubled` that is ready."""
    model = write_model(
        directory,
        doubled,
        signature="mapping",
        batch_size=8,
        version="1",
        inputs=[{"name": "row", "datatype": "FP32", "shape": [3], **_PLAIN}],
        outputs=[{"name": "doubled", "datatype": "FP32", "shape": [3], **_PLAIN}],
    )
    with RunningServer(model, environment) as server:
        server.wait_health("SERVING")
        yield server


@contextmanager
def serving_echo(directory: Path) -> Iterator[RunningServer]:
    """A server of `echo` that is ready."""
    outputs = [{"name": "echoed", "datatype": "BYTES", "shape": [], **_PLAIN}]
    with RunningServer(write_model(directory, echo, signature="mapping", outputs=outputs)) as server:
        server.wait_health("SERVING")
        yield server


def told(client: str, *arguments: object) -> dict:
    """What a client, which the variable `client` of the environment names, prints."""
    program = os.environ.get(client) or pytest.skip(f"{client} names no program: run it through Bazel")
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
