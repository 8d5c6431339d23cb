"""The build service in this process: the same queue, workers and steps, without HTTP."""

from __future__ import annotations

import atexit
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from chassis.build_api.build_service import BuildService, Document
from chassis.errors import ChassisError
from chassis.packed_model.checkout import VARIABLE, find_checkout
from chassis.packed_model.model import PackedModel, write_archive
from chassis.service.addresses import AddressPolicy
from chassis.service.clients import OWN
from chassis.service.engine import Engine
from chassis.service.image_build import ImageBuild
from chassis.service.image_store import ImageStore, write_tar
from chassis.service.job import JobRequest, RegistryCredentials
from chassis.service.own_credentials import OwnCredentials
from chassis.service.publisher import Publisher
from chassis.service.state import state_directory
from chassis.service.webhook import Webhooks

_POLL_SECONDS = 0.2
_EVERYWHERE = ("0.0.0.0/0", "::/0")
_JOB_SECONDS = 24 * 3600.0
_BLOCK = 1 << 18


class LocalService(BuildService):
    """A build service of this process."""

    def __init__(self, state: Path | None = None, bazelrc: Path | None = None) -> None:
        """Works below `state`, by default `chassis/local` in the user's cache directory.

        Raises:
          ChassisError: there is no checkout of Chassis to build with, or another process uses the directory.
        """
        checkout = find_checkout()
        if checkout is None:
            raise ChassisError(
                f"no checkout of Chassis to build with: set {VARIABLE} to its directory, "
                'or give the URL of a build service: ChassisClient("http://localhost:5000")'
            )
        root = state.absolute() if state else state_directory().parent / "local"
        self._images = ImageStore(root / "images")
        # This process is its own client: where its user may push, and connect to, it may.
        publisher = Publisher(own=OwnCredentials(("*",)))
        webhooks = Webhooks(AddressPolicy.of_list("", _EVERYWHERE))
        build = ImageBuild(root, checkout, self._images, publisher, bazelrc)
        self._engine = Engine(root, build, webhooks=webhooks, job_seconds=_JOB_SECONDS)
        self._engine.start()
        atexit.register(self.close)

    def default_registry(self) -> str:
        """Nowhere."""
        return ""

    def upload(self, model: PackedModel) -> str:
        """Takes a model; returns the upload's id."""
        with tempfile.TemporaryFile() as archive:
            write_archive(model, archive)
            archive.seek(0)
            return self._engine.receive(archive).id

    def submit(self, submission: Mapping[str, object]) -> Document:
        """Makes a job of an upload; returns it."""
        document = dict(submission)
        upload_id, given = document.pop("upload_id"), document.pop("credentials", None)
        credentials = RegistryCredentials(**given) if isinstance(given, dict) else None
        return self._engine.submit(str(upload_id), JobRequest.from_document(document), credentials).document()

    def status(self, job_id: str) -> Document:
        """The job."""
        return self._engine.get(job_id).document()

    def cancel(self, job_id: str) -> Document:
        """Cancels the job; returns it."""
        return self._engine.cancel(job_id).document()

    def give_credentials(self, job_id: str, credentials: Mapping[str, str]) -> None:
        """Gives a job that waits for them its credentials again."""
        self._engine.give_credentials(job_id, RegistryCredentials(**credentials))

    def logs(self, job_id: str, follow: bool) -> Iterator[bytes]:
        """The log in blocks; with `follow` as it grows, until the job has ended."""
        path, offset = self._engine.log_path(job_id), 0
        while True:
            final = self._engine.get(job_id).state.final
            block = b""
            if path.is_file():
                with path.open("rb") as file:
                    file.seek(offset)
                    block = file.read(_BLOCK)
            if block:
                offset += len(block)
                yield block
            elif final or not follow:
                return
            else:
                self._engine.wait(job_id, _POLL_SECONDS)

    def image(self, job_id: str, output: BinaryIO) -> None:
        """Writes the image of a job as an OCI archive."""
        job = self._engine.get(job_id)
        layout = self._images.find(job_id)
        if layout is None:
            raise ChassisError(f"job {job_id} has no image: it is {job.state.value}")
        write_tar(layout, f"{job.request.repository or job.name}:{(job.request.tags or (job.version,))[0]}", output)

    def webhook_secret(self) -> str:
        """What this service signs its webhooks with."""
        return self._engine.webhook_secret(OWN.name)

    def close(self) -> None:
        """Stops; what runs goes on with the next client."""
        atexit.unregister(self.close)
        self._engine.close()
