"""The service's HTTP server: uvicorn, with connections that nobody can hold."""

from __future__ import annotations

import signal
import socket

import uvicorn
from starlette.types import ASGIApp

from chassis.service.connections import ConnectionLimits, guarded_protocol

_HEAD_BYTES = 32 << 10


def serve(app: ASGIApp, listening: socket.socket, limits: ConnectionLimits, graceful_seconds: int = 2) -> None:
    """Serves `app` until a SIGTERM or SIGINT, which then raises SystemExit here."""
    config = uvicorn.Config(
        app,
        http=guarded_protocol(limits),
        ws="none",
        lifespan="off",
        log_level="error",  # what is malformed is answered; a line of each would fill a disk
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nothing is decided by an address, and the headers are the caller's
        timeout_graceful_shutdown=graceful_seconds,
        h11_max_incomplete_event_size=_HEAD_BYTES,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)  # uvicorn raises what stopped it once more, when it has stopped
    uvicorn.Server(config).run(sockets=[listening])


def _stop(*_: object) -> None:
    raise SystemExit(0)
