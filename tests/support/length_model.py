"""A model for tests of the server: it answers with lengths, and misbehaves if an input says so."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.running_server import RunningServer, write_model


def lengths(inputs: list[bytes]) -> list[dict[str, int]]:
    """Answers each input with its length and the size of the batch that it came in; some inputs do something else."""
    if b"pause" in inputs:
        time.sleep(0.3)
    if b"bad" in inputs:
        raise ValueError("no good")
    if b"exit" in inputs:
        raise SystemExit(3)
    if b"short" in inputs:
        return []
    if b"none" in inputs:
        return None  # type: ignore[return-value]
    return [
        {"length": len(content), "batch": len(inputs)} if content != b"object" else object()  # type: ignore[misc]
        for content in inputs
    ]


@contextmanager
def serving_lengths(directory: Path) -> Iterator[RunningServer]:
    """A server of `lengths` that is ready: batches of 4, inputs and outputs of 1000 bytes, requests of 100,000."""
    model = write_model(directory, lengths, batch_size=4, max_size=1000, version="0.0.1")
    with RunningServer(model, {"CHASSIS_MAX_REQUEST_BYTES": "100000"}) as running:
        running.wait_health("SERVING")
        yield running
