"""`bazel run //chassis/service -- --port 5000`: the build service."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import uvicorn
from absl import flags

from chassis.errors import ChassisError
from chassis.sdk.checkout import VARIABLE, find_checkout
from chassis.service.engine import Engine
from chassis.service.image_build import ImageBuild
from chassis.service.image_store import ImageStore
from chassis.service.publisher import Publisher
from chassis.service.server import ServerOptions, make_app
from chassis.service.state import state_directory
from chassis.service.upload import Limits
from chassis.tools.run import run_main

_PORT = flags.DEFINE_integer("port", 5000, "The port; 0 takes a free one.", lower_bound=0, upper_bound=65535)
_HOST = flags.DEFINE_string("host", "127.0.0.1", "Address to listen on. Beyond loopback a token is needed.")
_STATE = flags.DEFINE_string("state", "", "Directory of jobs, logs, images and caches; by default below ~/.cache.")
_BUILDS = flags.DEFINE_integer("builds", 1, "Builds at once.", lower_bound=1, upper_bound=64)
_QUEUE = flags.DEFINE_integer("queue", 100, "Jobs that may wait.", lower_bound=1)
_KEEP = flags.DEFINE_integer("keep_images", 20, "Images that are kept for download_tar.", lower_bound=1)
_UPLOAD_BYTES = flags.DEFINE_integer("max_upload_bytes", 4 << 30, "The largest upload.", lower_bound=1)
_REGISTRY = flags.DEFINE_string("registry", "", "Where images go whose publish names no registry: host or host:port.")
_BAZELRC = flags.DEFINE_string("bazelrc", "", "A file of more options for Bazel, such as a remote cache or executor.")
_TOKEN_FILE = flags.DEFINE_string(
    "token_file", "", "File with the token that callers need; without it the variable CHASSIS_SERVICE_TOKEN."
)
_INSECURE = flags.DEFINE_bool("insecure", False, "Push over plain HTTP beyond loopback.")
_CA_FILE = flags.DEFINE_string("ca_file", "", "PEM file of authorities that registries are trusted by.")

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})


def main(argv: Sequence[str]) -> int:
    """Serves until it is told to stop; then what runs is queued again for the next start."""
    del argv
    token = _token()
    loopback = _HOST.value in ("127.0.0.1", "::1", "localhost")
    if not loopback and not token:
        raise ChassisError(
            f"--host={_HOST.value} lets others in, and what they send is run in builds: give a token with --token_file"
        )
    checkout = find_checkout()
    if checkout is None:
        raise ChassisError(f"no checkout of Chassis to build with: start this with bazel run, or set {VARIABLE}")
    root = state_directory(_STATE.value)
    images = ImageStore(root / "images", _KEEP.value)
    bazelrc = Path(_BAZELRC.value).absolute() if _BAZELRC.value else None
    if bazelrc and not bazelrc.is_file():
        raise ChassisError(f"--bazelrc={_BAZELRC.value}: no such file")
    publisher = Publisher(_INSECURE.value, Path(_CA_FILE.value) if _CA_FILE.value else None)
    limits = Limits(archive_bytes=_UPLOAD_BYTES.value, unpacked_bytes=_UPLOAD_BYTES.value)
    engine = Engine(
        root,
        ImageBuild(root, checkout, images, publisher, bazelrc, limits),
        workers=_BUILDS.value,
        queue_size=_QUEUE.value,
        limits=limits,
    )
    options = ServerOptions(token, _LOOPBACK if loopback else frozenset(), _REGISTRY.value)
    config = uvicorn.Config(
        make_app(engine, images, options),
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
        h11_max_incomplete_event_size=32 << 10,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)  # uvicorn raises what stopped it once more, when it has stopped
    with _listen(_HOST.value, _PORT.value) as listening:
        host, port = listening.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        engine.start()
        print(f"chassis build service: http://{shown}:{port}  state: {root}", file=sys.stderr, flush=True)
        try:
            uvicorn.Server(config).run(sockets=[listening])
        finally:
            engine.close()
    return 0


def _stop(*_: object) -> None:
    raise SystemExit(0)


def _token() -> str:
    if not _TOKEN_FILE.value:
        return os.environ.pop("CHASSIS_SERVICE_TOKEN", "")
    try:
        token = Path(_TOKEN_FILE.value).read_text().strip()
    except OSError as error:
        raise ChassisError(f"--token_file={_TOKEN_FILE.value}: {error.strerror}") from None
    if not token:
        raise ChassisError(f"--token_file={_TOKEN_FILE.value}: the file is empty")
    return token


def _listen(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.socket(found[0], socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(found[4])
        listening.listen(128)
    except OSError as error:
        raise ChassisError(f"cannot listen on {host}, port {port}: {error.strerror or error}") from None
    return listening


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    run_main(main)
