"""The build service with work of a moment in place of Bazel: everything else of it is the real one.

`python -m tests.service.quick_service STATE [PORT [OPTIONS]]` serves on loopback and prints its port; OPTIONS is the
JSON of `QuickOptions`. What a job does follows from the model's name: `slow…` waits until STATE/gate is there, `bad…`
fails, `loud…` writes what a terminal would obey, any other has an image at once. STATE/runs has a line for each run,
and STATE/pythons the version that its model was packed with.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chassis.errors import ChassisError
from chassis.service.addresses import AddressPolicy
from chassis.service.clients import Client, Clients, Quota, read_clients
from chassis.service.connections import ConnectionLimits
from chassis.service.engine import Engine
from chassis.service.guard import ServerOptions
from chassis.service.image_build import JobRun
from chassis.service.image_store import ImageStore
from chassis.service.own_credentials import own_credentials
from chassis.service.publisher import Publisher
from chassis.service.retention import Retention
from chassis.service.server import make_app
from chassis.service.serving import serve
from chassis.service.upload import Limits, read_model
from chassis.service.webhook import Webhooks
from tests.publishing.sample_images import sample_image

_LIMITS = Limits(archive_bytes=1 << 20, unpacked_bytes=1 << 20)
_LOUD = "error: \x1b[2Jforged\rpushed in 1.0 s\u202egnp\u202c\npushed in 0.1 s"


@dataclass(frozen=True, slots=True)
class QuickOptions:
    """What differs from the flags' defaults.

    Attributes:
      tokens: a file of tokens; empty for none.
      quota: of each client that has no other in `tokens`.
      own_credentials: registries and prefixes.
      webhook_hosts: where webhooks may go.
      registry_hosts: where registries may be; None for anywhere.
      retention: what differs from `Retention`'s defaults.
      job_seconds: how long a job may run.
      connections: what differs from `ConnectionLimits`'s defaults.
      hosts: what the Host header may say.
      queue: jobs that may wait.
      builds: jobs at once.
      webhook_seconds: that a call may take.
      webhook_pauses: before each further try.
    """

    tokens: str = ""
    quota: dict[str, int] = field(default_factory=dict)
    own_credentials: list[str] = field(default_factory=list)
    webhook_hosts: list[str] = field(default_factory=list)
    registry_hosts: list[str] | None = None
    retention: dict[str, Any] = field(default_factory=dict)
    job_seconds: float = 600.0
    connections: dict[str, Any] = field(default_factory=dict)
    hosts: list[str] = field(default_factory=lambda: ["localhost", "127.0.0.1"])
    queue: int = 3
    builds: int = 1
    webhook_seconds: float = 10.0
    webhook_pauses: list[float] = field(default_factory=lambda: [1.0, 5.0, 30.0])


class QuickBuild:
    """Runs jobs without Bazel; pushes as the service does."""

    def __init__(self, root: Path, images: ImageStore, publisher: Publisher) -> None:
        self._root = root
        self._images = images
        self._publisher = publisher
        self._lock = threading.Lock()

    def run(self, run: JobRun) -> dict[str, object]:
        """By the model's name."""
        name = run.job.name
        with self._lock, (self._root / "runs").open("a") as runs, (self._root / "pythons").open("a") as pythons:
            runs.write(f"{run.job.id}\n")
            pythons.write(f"{read_model(run.upload, _LIMITS).python}\n")
        run.log.line(f"building {name}")
        if name.startswith("loud"):
            run.log.output(_LOUD)
            raise ChassisError(f"the build failed (status 1): {_LOUD}")
        while name.startswith("slow") and not (self._root / "gate").exists():
            run.cancellation.sleep(0.02)
        if name.startswith("bad"):
            raise ChassisError("no wheel of annoy for arm64\n  name it in cross_build")
        layout, digest = sample_image(self._root / "layouts" / run.job.id, 2000, 300)
        layout = self._images.keep(run.job.id, layout)
        result: dict[str, object] = {
            "digest": digest,
            "bytes": self._images.sizes(layout),
            "images": [{"platforms": list(run.job.request.platforms), "digest": digest, "layers": 2, "bytes": 2300}],
            "requirements": [],
        }
        if run.job.request.registry:
            _, tags = self._publisher.push(
                layout, run.job.request, run.job.client, run.credentials, run.log, run.cancellation
            )
            result["tags"] = tags
        return result

    def tidy(self, slot: int) -> None:
        """Nothing is kept."""

    def stop(self, slots: int) -> None:
        """Nothing is kept."""


def main(root: Path, port: str = "", options: str = "{}") -> None:
    """Serves until a SIGTERM."""
    os.umask(0o077)
    root.mkdir(exist_ok=True)
    given = QuickOptions(**json.loads(options))
    images = ImageStore(root / "images")
    quota = Quota(**given.quota)
    clients = (
        read_clients(given.tokens, "tokens", quota)
        if given.tokens
        else Clients(default=Client(quota=quota, operator=True))
    )
    registries = given.registry_hosts
    publisher = Publisher(
        own=own_credentials(given.own_credentials),
        addresses=None if registries is None else AddressPolicy.of_list("--registry_hosts", registries),
    )
    engine = Engine(
        root,
        QuickBuild(root, images, publisher),
        workers=given.builds,
        queue_size=given.queue,
        limits=_LIMITS,
        webhooks=Webhooks(
            AddressPolicy.of_list("--webhook_hosts", given.webhook_hosts), given.webhook_pauses, given.webhook_seconds
        ),
        clients=clients,
        retention=Retention(**given.retention),
        job_seconds=given.job_seconds,
        sweep_seconds=0.1,
    )
    limits = ConnectionLimits(**given.connections)
    app = make_app(engine, images, ServerOptions(frozenset(given.hosts), "", limits))
    listening = socket.create_server(("127.0.0.1", int(port or "0")), backlog=1000)
    engine.start()
    print(listening.getsockname()[1], flush=True)
    try:
        serve(app, listening, limits, graceful_seconds=1)
    finally:
        engine.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
