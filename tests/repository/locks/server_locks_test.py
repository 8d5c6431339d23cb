"""The server runs with the releases that it is tested with, whatever the image's platform and Python."""

from __future__ import annotations

import os
import re
from pathlib import Path

import grpc


def test_every_lock_of_the_server_has_the_grpcio_of_the_tests() -> None:
    # chassis/runtime/rpc/completion.py uses what grpcio does not document.
    locks = sorted(Path(os.environ["LOCK"]).parent.glob("linux_*.txt"))
    pinned = {lock.stem: re.findall(r"^grpcio==(\S+)", lock.read_text(), re.MULTILINE) for lock in locks}
    assert len(pinned) >= 20
    assert pinned == {name: [grpc.__version__] for name in pinned}
