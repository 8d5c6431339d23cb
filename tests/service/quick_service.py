"""The build service with work of a moment in place of Bazel: everything else of it is the real one.

`python -m tests.service.quick_service STATE [TOKEN [PORT]]` serves on loopback and prints its port. What a job does
follows from the model's name: `slow…` waits until STATE/gate is there, `bad…` fails, any other has an image at once.
STATE/runs has a line for each run.
"""

from __future__ import annotations

import signal
import socket
import sys
import threading
from pathlib import Path

import uvicorn

from chassis.errors import ChassisError
from chassis.service.engine import Engine
from chassis.service.image_build import JobRun
from chassis.service.image_store import ImageStore
from chassis.service.publisher import Publisher
from chassis.service.server import ServerOptions, make_app
from chassis.service.upload import Limits
from tests.publishing.sample_images import sample_image

_LIMITS = Limits(archive_bytes=1 << 20, unpacked_bytes=1 << 20)
_QUEUE = 3


class QuickBuild:
    """Runs jobs without Bazel; pushes as the service does."""

    def __init__(self, root: Path, images: ImageStore) -> None:
        self._root = root
        self._images = images
        self._publisher = Publisher()
        self._lock = threading.Lock()

    def run(self, run: JobRun) -> dict[str, object]:
        """By the model's name."""
        name = run.job.name
        with self._lock, (self._root / "runs").open("a") as runs:
            runs.write(f"{run.job.id}\n")
        run.log.line(f"building {name}")
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
            _, tags = self._publisher.push(layout, run.job.request, run.credentials, run.log, run.cancellation)
            result["tags"] = tags
        return result

    def stop(self, slots: int) -> None:
        """Nothing is kept."""


def main(root: Path, token: str = "", port: str = "") -> None:
    """Serves until a SIGTERM."""
    root.mkdir(exist_ok=True)
    images = ImageStore(root / "images")
    engine = Engine(root, QuickBuild(root, images), queue_size=_QUEUE, limits=_LIMITS)
    options = ServerOptions(token, frozenset({"localhost", "127.0.0.1"}), "")
    config = uvicorn.Config(
        make_app(engine, images, options), lifespan="off", log_level="warning", timeout_graceful_shutdown=1
    )
    listening = socket.create_server(("127.0.0.1", int(port or "0")))
    signal.signal(signal.SIGTERM, _stop)
    engine.start()
    print(listening.getsockname()[1], flush=True)
    try:
        uvicorn.Server(config).run(sockets=[listening])
    finally:
        engine.close()


def _stop(*_: object) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
