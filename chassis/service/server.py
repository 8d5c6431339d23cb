"""The build service over HTTP: uploads, jobs, logs, images, a page for people, and a description for programs."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import os
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from chassis.errors import ChassisError
from chassis.service.engine import Engine, UnknownUploadError
from chassis.service.image_store import ImageStore, write_tar
from chassis.service.job import Job, JobRequest, JobRequestError, RegistryCredentials
from chassis.service.job_store import QueueFullError, UnknownJobError, UploadTakenError
from chassis.service.openapi import openapi
from chassis.service.page import status_page
from chassis.service.upload import UploadError

_MAX_JSON_BYTES = 64 << 10
_POLL_SECONDS = 0.25
_BLOCK = 1 << 18
_MAX_STREAMS = 64
_LONGEST_SECRET = 16 << 10


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How the service behaves.

    Attributes:
      token: what a caller must have as its bearer token; empty for none.
      hosts: what the Host header may say, without port; empty for anything.
      registry: where images go that were asked for without a registry; empty for nowhere.
    """

    token: str = ""
    hosts: frozenset[str] = frozenset()
    registry: str = ""


class RequestError(ChassisError):
    """A request that is refused; carries the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def make_app(engine: Engine, images: ImageStore, options: ServerOptions) -> ASGIApp:
    """The service as an ASGI application."""
    service = _Service(engine, images, options)
    routes = [
        Route("/", service.page),
        Route("/openapi.json", service.describe),
        Route("/healthz", service.health),
        Route("/api/uploads", service.upload, methods=["POST"]),
        Route("/api/jobs", service.submit, methods=["POST"]),
        Route("/api/jobs", service.list_jobs, methods=["GET"]),
        Route("/api/jobs/{job_id}", service.job),
        Route("/api/jobs/{job_id}/logs", service.logs),
        Route("/api/jobs/{job_id}/image", service.image),
        Route("/api/jobs/{job_id}/cancel", service.cancel, methods=["POST"]),
        Route("/api/jobs/{job_id}/credentials", service.credentials, methods=["PUT"]),
    ]
    app = Starlette(routes=routes, exception_handlers={ChassisError: _refuse, ClientDisconnect: _gone})
    return _Guard(app, options)


class _Guard:
    """What is checked of every request before anything else: the Host header, and the token."""

    _OPEN = ("/", "/healthz", "/openapi.json")

    def __init__(self, app: ASGIApp, options: ServerOptions) -> None:
        self._app = app
        self._options = options

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            refusal = self._refusal(Request(scope))
            if refusal:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, request: Request) -> Response | None:
        host = request.headers.get("host", "")
        name = host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
        if self._options.hosts and name.lower() not in self._options.hosts:
            # A page of another site whose name was made to point here would else speak with the service.
            return _error(421, f"host {host[:100]!r} is none of this service's; start it with --host to serve others")
        token = self._options.token
        if token and request.url.path not in self._OPEN:
            sent = request.headers.get("authorization", "")
            if not hmac.compare_digest(sent.encode(), f"Bearer {token}".encode()):
                reply = _error(401, "a bearer token is needed: ChassisClient(url, auth_header='Bearer …')")
                reply.headers["www-authenticate"] = "Bearer"
                return reply
        return None


class _Service:
    def __init__(self, engine: Engine, images: ImageStore, options: ServerOptions) -> None:
        self._engine = engine
        self._images = images
        self._options = options
        self._streams = asyncio.Semaphore(_MAX_STREAMS)

    async def page(self, request: Request) -> Response:
        return HTMLResponse(
            status_page(),
            headers={
                "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
                "connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
                "x-content-type-options": "nosniff",
                "referrer-policy": "no-referrer",
            },
        )

    async def describe(self, request: Request) -> Response:
        return JSONResponse(openapi())

    async def health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def upload(self, request: Request) -> Response:
        limit = self._engine.limits.archive_bytes
        _content_type(request, "application/x-tar")
        announced = request.headers.get("content-length")
        if announced is None:
            raise RequestError(411, "an upload says its length in the header Content-Length")
        if not announced.isdecimal() or int(announced) > limit:
            raise RequestError(413, f"an upload of {announced[:20]} bytes, at most {limit} are taken")
        with tempfile.TemporaryFile(dir=self._engine.scratch) as spool:
            received = 0
            async for block in request.stream():
                received += len(block)
                if received > limit:
                    raise RequestError(413, f"an upload of more than {limit} bytes")
                await run_in_threadpool(spool.write, block)
            if received != int(announced):
                raise RequestError(400, f"the upload was cut short: {received} of {announced} bytes arrived")
            spool.seek(0)
            upload = await run_in_threadpool(self._engine.receive, spool)
        return JSONResponse(
            {"upload_id": upload.id, "name": upload.name, "version": upload.version, "bytes": received}, 201
        )

    async def submit(self, request: Request) -> Response:
        document = await _json(request)
        upload_id = document.pop("upload_id", None)
        if not isinstance(upload_id, str):
            raise RequestError(400, "upload_id: expected a string")
        credentials = _credentials(document.pop("credentials", None))
        job = await run_in_threadpool(self._engine.submit, upload_id, JobRequest.from_document(document), credentials)
        return JSONResponse(job.document(), 202)

    async def list_jobs(self, request: Request) -> Response:
        jobs = await run_in_threadpool(self._engine.newest)
        return JSONResponse({"jobs": [job.document() for job in jobs], "registry": self._options.registry})

    async def job(self, request: Request) -> Response:
        return JSONResponse((await self._find(request)).document())

    async def cancel(self, request: Request) -> Response:
        _content_type(request, "application/json")
        job = await self._find(request)
        return JSONResponse((await run_in_threadpool(self._engine.cancel, job.id)).document())

    async def credentials(self, request: Request) -> Response:
        credentials = _credentials(await _json(request))
        if credentials is None:
            raise RequestError(400, "credentials: expected username and password")
        job = await self._find(request)
        return JSONResponse((await run_in_threadpool(self._engine.give_credentials, job.id, credentials)).document())

    async def logs(self, request: Request) -> Response:
        job = await self._find(request)
        offset = _number(request, "offset")
        follow = request.query_params.get("follow", "") not in ("", "0", "false")
        if follow and self._streams.locked():
            raise RequestError(503, f"{_MAX_STREAMS} logs are being followed already, ask again without follow")
        headers = {"x-content-type-options": "nosniff", "cache-control": "no-store"}
        return StreamingResponse(
            self._log(job, offset, follow), media_type="text/plain; charset=utf-8", headers=headers
        )

    async def _log(self, job: Job, offset: int, follow: bool) -> AsyncIterator[bytes]:
        path = self._engine.log_path(job.id)
        async with self._streams if follow else contextlib.nullcontext():
            while True:
                # Asked before reading, so that what a job says at its end is read.
                final = (await run_in_threadpool(self._engine.get, job.id)).state.final
                block = await run_in_threadpool(_read, path, offset)
                if block:
                    offset += len(block)
                    yield block
                elif final or not follow:
                    return
                else:
                    await asyncio.sleep(_POLL_SECONDS)

    async def image(self, request: Request) -> Response:
        job = await self._find(request)
        layout = self._images.find(job.id)
        if layout is None:
            reason = "has no image yet" if not job.state.final else "has no image, or no longer: build it again"
            raise RequestError(404, f"job {job.id} {reason}")
        name = f"{job.request.repository or job.name}:{(job.request.tags or (job.version,))[0]}"
        headers = {"content-disposition": f'attachment; filename="{job.name}.tar"'}
        return StreamingResponse(_piped(lambda out: write_tar(layout, name, out)), 200, headers, "application/x-tar")

    async def _find(self, request: Request) -> Job:
        return await run_in_threadpool(self._engine.get, request.path_params["job_id"])


async def _piped(write: Callable[[BinaryIO], None]) -> AsyncIterator[bytes]:
    """What `write` writes, as it comes: through a pipe, so that nothing is held in memory."""
    source, sink = os.pipe()

    def fill() -> None:
        with os.fdopen(sink, "wb") as out, contextlib.suppress(BrokenPipeError):
            write(out)

    writer = threading.Thread(target=fill, daemon=True)
    writer.start()
    with os.fdopen(source, "rb") as out:
        while block := await run_in_threadpool(out.read, _BLOCK):
            yield block
    writer.join()


def _read(path: Path, offset: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(_BLOCK)
    except FileNotFoundError:
        return b""


async def _json(request: Request) -> dict[str, object]:
    _content_type(request, "application/json")
    body = bytearray()
    async for block in request.stream():
        body += block
        if len(body) > _MAX_JSON_BYTES:
            raise RequestError(413, f"a body of more than {_MAX_JSON_BYTES} bytes")
    try:
        document = json.loads(bytes(body))
    except (ValueError, RecursionError):
        raise RequestError(400, "the body is not JSON") from None
    if not isinstance(document, dict):
        raise RequestError(400, "the body is no JSON object")
    return document


def _credentials(document: object) -> RegistryCredentials | None:
    if document is None:
        return None
    if not isinstance(document, dict) or set(document) != {"username", "password"}:
        raise RequestError(400, "credentials: expected an object of username and password")
    username, password = document["username"], document["password"]
    if not all(isinstance(value, str) and 0 < len(value) <= _LONGEST_SECRET for value in (username, password)):
        raise RequestError(400, f"credentials: expected two texts of 1 to {_LONGEST_SECRET} characters")
    if ":" in username:
        raise RequestError(400, "credentials: a username has no `:` (RFC 7617)")
    return RegistryCredentials(username, password)


def _content_type(request: Request, wanted: str) -> None:
    # A form of another site cannot send these types without asking first.
    found = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if found != wanted:
        raise RequestError(415, f"content-type {found[:100] or 'none'!r}, expected {wanted}")


def _number(request: Request, name: str) -> int:
    text = request.query_params.get(name, "0")
    if not text.isdecimal() or len(text) > 15:
        raise RequestError(400, f"{name}: expected a number of bytes")
    return int(text)


_STATUSES: list[tuple[type[ChassisError], int]] = [
    (UnknownJobError, 404),
    (UnknownUploadError, 404),
    (UploadTakenError, 409),
    (QueueFullError, 503),
    (UploadError, 400),
    (JobRequestError, 400),
]


async def _refuse(request: Request, error: Exception) -> Response:
    if isinstance(error, RequestError):
        return _error(error.status, str(error))
    status = next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)
    reply = _error(status, str(error))
    if status == 503:
        reply.headers["retry-after"] = "10"
    return reply


async def _gone(request: Request, error: Exception) -> Response:
    return _error(400, "the upload was cut short")


def _error(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status)
