"""`bazel run //chassis/service -- --port 5000`: the build service."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from chassis.command_line.run import run_main
from chassis.errors import ChassisError
from chassis.packed_model.checkout import VARIABLE, find_checkout
from chassis.service import operator_flags, wall_flags
from chassis.service.connections import ConnectionLimits
from chassis.service.engine import Engine
from chassis.service.guard import ServerOptions
from chassis.service.image_build import ImageBuild
from chassis.service.image_store import ImageStore
from chassis.service.operator_flags import (
    clients_of_flags,
    own_credentials_of_flags,
    retention_of_flags,
    webhook_addresses_of_flags,
)
from chassis.service.publisher import Publisher
from chassis.service.server import make_app
from chassis.service.serving import serve
from chassis.service.state import state_directory
from chassis.service.upload import Limits
from chassis.service.wall_flags import policy_of_flags, raise_walls
from chassis.service.webhook import Webhooks

for _module in (operator_flags, wall_flags):
    flags.adopt_module_key_flags(_module)  # so that --help has them
_PORT = flags.DEFINE_integer("port", 5000, "The port; 0 takes a free one.", lower_bound=0, upper_bound=65535)
_HOST = flags.DEFINE_string("host", "127.0.0.1", "Address to listen on. Beyond loopback a token is needed.")
_STATE = flags.DEFINE_string("state", "", "Directory of jobs, logs, images and caches; by default below ~/.cache.")
_BUILDS = flags.DEFINE_integer("builds", 1, "Builds at once.", lower_bound=1, upper_bound=64)
_JOB_MINUTES = flags.DEFINE_integer("job_minutes", 120, "Minutes that a job may run.", lower_bound=1)
_QUEUE = flags.DEFINE_integer("queue", 100, "Jobs that may wait.", lower_bound=1)
_CONNECTIONS = flags.DEFINE_integer("connections", 256, "Connections at once.", lower_bound=8)
_UPLOAD_BYTES = flags.DEFINE_integer("max_upload_bytes", 4 << 30, "The largest upload.", lower_bound=1)
_REGISTRY = flags.DEFINE_string("registry", "", "Where images go whose publish names no registry: host or host:port.")
_BAZELRC = flags.DEFINE_string("bazelrc", "", "A file of more options for Bazel, such as a remote cache or executor.")
_INSECURE = flags.DEFINE_bool("insecure", False, "Push over plain HTTP beyond loopback.")
_CA_FILE = flags.DEFINE_string("ca_file", "", "PEM file of authorities that registries are trusted by.")

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})


def main(argv: Sequence[str]) -> int:
    """Serves until it is told to stop; then what runs is queued again for the next start."""
    del argv
    clients = clients_of_flags(_BUILDS.value)
    loopback = _HOST.value in ("127.0.0.1", "::1", "localhost")
    if not loopback and not clients.with_tokens:
        raise ChassisError(
            f"--host={_HOST.value} lets others in, and what they send is run in builds: give a token with --token_file"
        )
    checkout = find_checkout()
    if checkout is None:
        raise ChassisError(f"no checkout of Chassis to build with: start this with bazel run, or set {VARIABLE}")
    own, registries = own_credentials_of_flags(_REGISTRY.value)
    webhooks = Webhooks(webhook_addresses_of_flags())
    bazelrc = Path(_BAZELRC.value).absolute() if _BAZELRC.value else None
    if bazelrc and not bazelrc.is_file():
        raise ChassisError(f"--bazelrc={_BAZELRC.value}: no such file")
    root = state_directory(_STATE.value)
    images = ImageStore(root / "images")
    publisher = Publisher(
        _INSECURE.value,
        Path(_CA_FILE.value) if _CA_FILE.value else None,
        own,
        # Without tokens only this machine's users are served, and they reach themselves what the service reaches.
        registries if clients.with_tokens else None,
    )
    limits = Limits(archive_bytes=_UPLOAD_BYTES.value, unpacked_bytes=_UPLOAD_BYTES.value)
    retention = retention_of_flags()
    policy = policy_of_flags()
    build = ImageBuild(root, checkout, images, publisher, bazelrc, limits, retention, policy)
    engine = Engine(
        root,
        build,
        workers=_BUILDS.value,
        queue_size=_QUEUE.value,
        limits=limits,
        webhooks=webhooks,
        clients=clients,
        retention=retention,
        policy=policy,
        job_seconds=_JOB_MINUTES.value * 60.0,
    )
    connections = ConnectionLimits(_CONNECTIONS.value)
    options = ServerOptions(_LOOPBACK if loopback else frozenset(), _REGISTRY.value, connections)
    with _listen(_HOST.value, _PORT.value) as listening:
        host, port = listening.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        try:
            raise_walls(build)
            engine.start()
            print(f"chassis build service: http://{shown}:{port}  state: {root}", file=sys.stderr, flush=True)
            serve(make_app(engine, images, options), listening, connections)
        finally:
            engine.close()
    return 0


def _listen(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.socket(found[0], socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(found[4])
        listening.listen(1024)
    except OSError as error:
        raise ChassisError(f"cannot listen on {host}, port {port}: {error.strerror or error}") from None
    return listening


if __name__ == "__main__":
    os.umask(0o077)  # what it writes is its own
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    run_main(main)
