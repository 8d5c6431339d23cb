"""Clients of a service as attackers are: raw requests, uploads, and servers on loopback that note what reaches them."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from chassis.declaration.model import ModelMetadata
from chassis.packed_model.model import PackedModel, write_archive
from tests.service.service_process import ServiceProcess

SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: its status, headers in lower case, and JSON (empty if it has none)."""

    status: int
    headers: dict[str, str]
    document: dict[str, Any]


def ask(
    service: ServiceProcess,
    method: str,
    path: str,
    document: object = None,
    *,
    token: str = "",
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> Reply:
    """Sends one request."""
    sent = {"content-type": "application/json"} if document is not None else {}
    if token:
        sent["authorization"] = f"Bearer {token}"
    content = json.dumps(document).encode() if document is not None else body
    connection = http.client.HTTPConnection("127.0.0.1", int(service.port), timeout=SECONDS)
    connection.request(method, path, content, sent | (headers or {}))
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    try:
        found = json.loads(text)
    except ValueError:
        found = {}
    names = {name.lower(): value for name, value in answer.getheaders()}
    return Reply(answer.status, names, found if isinstance(found, dict) else {})


def archive(name: str = "cats", extra_bytes: int = 0) -> bytes:
    """A packed model; its pickle is never loaded."""
    content = io.BytesIO()
    write_archive(PackedModel(ModelMetadata(name, model_version="1"), b"pickle" + bytes(extra_bytes), ()), content)
    return content.getvalue()


def send(service: ServiceProcess, token: str = "", name: str = "cats", extra_bytes: int = 0) -> Reply:
    """Uploads a model."""
    headers = {"content-type": "application/x-tar"}
    return ask(service, "POST", "/api/uploads", token=token, body=archive(name, extra_bytes), headers=headers)


def submit(service: ServiceProcess, token: str = "", name: str = "cats", **request: object) -> Reply:
    """Uploads a model and makes a job of it; what the service answers to the latter."""
    upload = send(service, token, name)
    assert upload.status == 201, upload
    return ask(service, "POST", "/api/jobs", {"upload_id": upload.document["upload_id"], **request}, token=token)


def job(service: ServiceProcess, token: str = "", name: str = "cats", **request: object) -> str:
    """Makes a job; its id."""
    made = submit(service, token, name, **request)
    assert made.status == 202, made
    return str(made.document["job_id"])


def state(service: ServiceProcess, job_id: str, token: str = "") -> str:
    """The state of a job."""
    return str(ask(service, "GET", f"/api/jobs/{job_id}", token=token).document["status"]["state"])


def until(condition: Callable[[], object], seconds: float = SECONDS) -> None:
    """Waits until `condition` holds.

    Raises:
      AssertionError: it does not within `seconds`.
    """
    end, asked = time.monotonic() + seconds, threading.Event()
    while not condition():
        assert time.monotonic() < end, f"not within {seconds:g} s"
        asked.wait(0.02)


def ended(service: ServiceProcess, job_id: str, token: str = "") -> dict[str, Any]:
    """The job, once it has ended."""
    until(lambda: state(service, job_id, token) in ("succeeded", "failed", "cancelled"))
    return ask(service, "GET", f"/api/jobs/{job_id}", token=token).document


@dataclass(slots=True)
class Receiver:
    """A server that notes all requests; `answer` writes what it says to each.

    Attributes:
      address: `host:port`.
      requests: method, path, headers in lower case, body.
      arrived: released at each request.
    """

    address: str
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def wait(self) -> tuple[str, str, dict[str, str], bytes]:
        """The newest request, once one has come that was not waited for."""
        assert self.arrived.acquire(timeout=SECONDS), "no request came"
        return self.requests[-1]


def plain_answer(handler: BaseHTTPRequestHandler) -> None:
    """Takes it: 204."""
    handler.send_response(204)
    handler.end_headers()


@contextlib.contextmanager
def receiver(
    answer: Callable[[BaseHTTPRequestHandler], None] = plain_answer, host: str = "127.0.0.1"
) -> Iterator[Receiver]:
    """A `Receiver` on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            found.requests.append((self.command, self.path, headers, body))
            found.arrived.release()
            with contextlib.suppress(OSError):
                answer(self)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = _any

        def log_message(self, *_: object) -> None:
            pass

    family = socket.AF_INET6 if ":" in host else socket.AF_INET

    class Server(ThreadingHTTPServer):
        address_family = family
        daemon_threads = True

    with Server((host, 0), Handler) as server:
        shown = f"[{host}]" if ":" in host else host
        found = Receiver(f"{shown}:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join(SECONDS)
