"""A client whose requests take long keeps no other client's waiting."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

from tests.hostile.service.callers import SECONDS, ask, ended, job
from tests.service.service_process import ServiceProcess

_ANN, _BOB = "a" * 32, "b" * 32
_TOKENS = f"ann {_ANN}\nbob {_BOB}\n"
_REQUESTS = 100


def test_requests_that_take_long_keep_no_other_client_waiting(tmp_path: Path) -> None:
    """All of ann's wait for a disk that does not answer: here a log that is a pipe."""
    with ServiceProcess(tmp_path / "state", _TOKENS) as service, contextlib.ExitStack() as stack:
        slow = job(service, _ANN)
        ended(service, slow, _ANN)
        log = service.state / "logs" / f"{slow}.log"
        log.unlink()
        os.mkfifo(log)
        asked = (
            f"GET /api/jobs/{slow}/logs HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {_ANN}\r\n\r\n".encode()
        )
        for _ in range(_REQUESTS):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", int(service.port)), SECONDS))
            connection.sendall(asked)
        try:
            assert ask(service, "GET", "/api/usage", token=_BOB).document["client"] == "bob"
            assert ended(service, job(service, _BOB), _BOB)["status"]["state"] == "succeeded"
        finally:
            log.rename(tmp_path / "pipe")
            log.touch()
            os.close(os.open(tmp_path / "pipe", os.O_WRONLY | os.O_NONBLOCK))  # which lets those go that wait
