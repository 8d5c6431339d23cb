"""The build service over HTTP: uploads, jobs, logs, images, a page for people, and a description for programs."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import re
import tempfile
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import BinaryIO

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from chassis.declaration.pythons import GIVEN_PYTHONS
from chassis.errors import ChassisError
from chassis.service.addresses import AddressError
from chassis.service.build_policy import SourcesRefusedError
from chassis.service.clients import Client
from chassis.service.engine import Engine
from chassis.service.guard import Guard, RequestError, ServerOptions, error_reply
from chassis.service.image_store import ImageStore, write_tar
from chassis.service.job import Job, JobRequest, JobRequestError, RegistryCredentials
from chassis.service.job_store import JobQueueFullError, UnknownJobError, UploadTakenError
from chassis.service.openapi import openapi
from chassis.service.page import status_page
from chassis.service.streams import MAX_STREAMS, Stream, Streams
from chassis.service.upload import UploadError
from chassis.service.upload_store import QuotaError, UnknownUploadError

_MAX_JSON_BYTES = 64 << 10
_POLL_SECONDS = 0.25
_BLOCK = 1 << 18
_UNPACKING = 4
_MAX_SECRET = 16 << 10
_UNSENDABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # RFC 7617, section 2


def make_app(engine: Engine, images: ImageStore, options: ServerOptions) -> ASGIApp:
    """The service as an ASGI application."""
    service = _Service(engine, images, options)
    routes = [
        Route("/", service.page),
        Route("/openapi.json", service.describe),
        Route("/healthz", service.health),
        Route("/api/uploads", service.upload, methods=["POST"]),
        Route("/api/usage", service.usage),
        Route("/api/webhook_secret", service.webhook_secret),
        Route("/api/jobs", service.submit, methods=["POST"]),
        Route("/api/jobs", service.list_jobs, methods=["GET"]),
        Route("/api/jobs/{job_id}", service.job),
        Route("/api/jobs/{job_id}/logs", service.logs),
        Route("/api/jobs/{job_id}/image", service.image),
        Route("/api/jobs/{job_id}/cancel", service.cancel, methods=["POST"]),
        Route("/api/jobs/{job_id}/credentials", service.credentials, methods=["PUT"]),
    ]
    app = Starlette(routes=routes, exception_handlers={ChassisError: _refuse, ClientDisconnect: _gone})
    app.router.redirect_slashes = False  # the redirect would go to whatever the Host header says
    return Guard(app, engine.clients, options)


class _Service:
    def __init__(self, engine: Engine, images: ImageStore, options: ServerOptions) -> None:
        self._engine = engine
        self._images = images
        self._options = options
        self._streams = Streams(min(MAX_STREAMS, options.connections.most // 2))
        # Of the threads that answer requests, large uploads take a few only, and those of a client one.
        self._unpacking = anyio.CapacityLimiter(_UNPACKING)
        self._unpacking_of: defaultdict[str, anyio.Lock] = defaultdict(anyio.Lock)

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
        client = _client(request)
        with (
            self._engine.arriving(client, int(announced)),
            tempfile.TemporaryFile(dir=self._engine.scratch) as spool,
        ):
            received = 0
            async for block in request.stream():
                received += len(block)
                if received > limit:
                    raise RequestError(413, f"an upload of more than {limit} bytes")
                await run_in_threadpool(spool.write, block)
            if received != int(announced):
                raise RequestError(400, f"the upload was cut short: {received} of {announced} bytes arrived")
            spool.seek(0)
            async with self._unpacking_of[client.name]:
                upload = await anyio.to_thread.run_sync(self._engine.receive, spool, client, limiter=self._unpacking)
        return JSONResponse(
            {"upload_id": upload.id, "name": upload.name, "version": upload.version, "bytes": received}, 201
        )

    async def submit(self, request: Request) -> Response:
        document = await self._json(request)
        upload_id = document.pop("upload_id", None)
        if not isinstance(upload_id, str):
            raise RequestError(400, "upload_id: expected a string")
        credentials = _credentials(document.pop("credentials", None))
        wanted = JobRequest.from_document(document)
        job = await run_in_threadpool(self._engine.submit, upload_id, wanted, credentials, _client(request))
        return JSONResponse(job.document(), 202)

    async def list_jobs(self, request: Request) -> Response:
        jobs = await run_in_threadpool(self._engine.newest, 100, _client(request).name)
        return JSONResponse(
            {
                "jobs": [job.document() for job in jobs],
                "pythons": list(GIVEN_PYTHONS),
                "registry": self._options.registry,
            }
        )

    async def usage(self, request: Request) -> Response:
        client = _client(request)
        used = await run_in_threadpool(self._engine.used, client.name)
        document = {"client": client.name, "used": used, "quota": client.quota.document()}
        if client.operator:  # the sums tell what others do
            document["storage"] = {name: dataclasses.asdict(found) for name, found in self._engine.storage().items()}
        return JSONResponse(document)

    async def webhook_secret(self, request: Request) -> Response:
        headers = {"cache-control": "no-store"}
        return JSONResponse({"webhook_secret": self._engine.webhook_secret(_client(request).name)}, headers=headers)

    async def job(self, request: Request) -> Response:
        return JSONResponse((await self._find(request)).document())

    async def cancel(self, request: Request) -> Response:
        _content_type(request, "application/json")
        job = await self._find(request)
        return JSONResponse((await run_in_threadpool(self._engine.cancel, job.id)).document())

    async def credentials(self, request: Request) -> Response:
        credentials = _credentials(await self._json(request))
        if credentials is None:
            raise RequestError(400, "credentials: expected username and password")
        job = await self._find(request)
        return JSONResponse((await run_in_threadpool(self._engine.give_credentials, job.id, credentials)).document())

    async def logs(self, request: Request) -> Response:
        job = await self._find(request)
        offset = _number(request, "offset")
        follow = request.query_params.get("follow", "") not in ("", "0", "false")
        headers = {"x-content-type-options": "nosniff", "cache-control": "no-store"}
        blocks = await _begun(self._log(job, offset, follow, _client(request)))
        return StreamingResponse(blocks, media_type="text/plain; charset=utf-8", headers=headers)

    async def _log(self, job: Job, offset: int, follow: bool, client: Client) -> AsyncIterator[bytes]:
        path = self._engine.log_path(job.id)
        with self._streams.one(client, lasting=True) if follow else contextlib.nullcontext(Stream()) as stream:
            yield b""
            while not stream.ended:
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
        blocks = await _begun(self._image(layout, name, _client(request)))
        return StreamingResponse(blocks, 200, headers, "application/x-tar")

    async def _image(self, layout: Path, name: str, client: Client) -> AsyncIterator[bytes]:
        with self._streams.one(client):
            yield b""
            async for block in _piped(lambda out: write_tar(layout, name, out)):
                yield block

    async def _json(self, request: Request) -> dict[str, object]:
        """The object in a request's body, which has to come as soon as its head had to."""
        _content_type(request, "application/json")
        body = bytearray()
        seconds = self._options.connections.head_seconds
        try:
            async with asyncio.timeout(seconds):
                async for block in request.stream():
                    body += block
                    if len(body) > _MAX_JSON_BYTES:
                        raise RequestError(413, f"a body of more than {_MAX_JSON_BYTES} bytes")
        except TimeoutError:
            raise RequestError(408, f"the body did not come within {seconds:g} s") from None
        try:
            document = json.loads(bytes(body))
        except (ValueError, RecursionError):
            raise RequestError(400, "the body is not JSON") from None
        if not isinstance(document, dict):
            raise RequestError(400, "the body is not a JSON object")
        return document

    async def _find(self, request: Request) -> Job:
        """The job of a path, if it is the caller's."""
        job: Job = await run_in_threadpool(self._engine.get, request.path_params["job_id"], _client(request).name)
        return job


def _client(request: Request) -> Client:
    client: Client = request.state.client
    return client


async def _begun(blocks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """`blocks` after its first, which is empty: what it refuses is refused before the answer has begun."""
    await anext(blocks)
    return blocks


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


def _credentials(document: object) -> RegistryCredentials | None:
    if document is None:
        return None
    if not isinstance(document, dict) or set(document) != {"username", "password"}:
        raise RequestError(400, "credentials: expected an object of username and password")
    username, password = document["username"], document["password"]
    if not all(isinstance(value, str) and 0 < len(value) <= _MAX_SECRET for value in (username, password)):
        raise RequestError(400, f"credentials: expected two texts of 1 to {_MAX_SECRET} characters")
    if any(_UNSENDABLE.search(value) for value in (username, password)):
        raise RequestError(400, "credentials: expected two texts without control characters and lone surrogates")
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
    (JobQueueFullError, 503),
    (UploadError, 400),
    (JobRequestError, 400),
    (AddressError, 400),
    (SourcesRefusedError, 403),
]


async def _refuse(request: Request, error: Exception) -> Response:
    if isinstance(error, RequestError):
        return error_reply(error.status, str(error), error.retry_after)
    if isinstance(error, QuotaError):
        return error_reply(429, str(error), error.seconds)
    status = next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)
    return error_reply(status, str(error), 10 if status == 503 else 0)


async def _gone(request: Request, error: Exception) -> Response:
    return error_reply(400, "the upload was cut short")
