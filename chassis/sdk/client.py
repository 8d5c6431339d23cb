"""ChassisClient: builds and publishes models, through a build service or in this process."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from chassis.build_api.build_service import BuildService
from chassis.declaration.pythons import GIVEN_PYTHONS
from chassis.errors import ChassisError
from chassis.packed_model.model import PackedModel
from chassis.sdk.model import ChassisModel
from chassis.sdk.pickled import running_python
from chassis.sdk.publishing import PublishOptions
from chassis.sdk.remote import RemoteService, ServiceError, ServiceUnreachableError
from chassis.whole_file import whole_file

_FINAL = ("succeeded", "failed", "cancelled")
_DEFAULT_REGISTRY = "docker.io"
_RESTART_SECONDS = 120.0


class ClientError(ChassisError, ValueError):
    """A client that cannot build in this process."""


class ChassisClient:
    """Builds and publishes models.

    Example:

        client = ChassisClient("http://localhost:5000")
        model = client.create_model(batch_process_fn=batch_process, batch_size=4)
        job = model.publish("Digits", "0.0.1", registry_user="ann", registry_pass=getpass(), arm64=True)
        print(client.block_until_complete(job["job_id"]))
    """

    def __init__(
        self, base_url: str | None = None, auth_header: str | None = None, ssl_verification: bool | str = True
    ) -> None:
        """Takes the build service's URL; without one this process builds itself, when it is first asked to.

        Args:
          base_url: such as `http://localhost:5000`.
          auth_header: the value of the Authorization header, such as `Bearer …`.
          ssl_verification: False for any certificate, or a file of authorities.
        """
        self._base_url = base_url
        self._builder: BuildService | None = (
            RemoteService(base_url, auth_header, ssl_verification) if base_url else None
        )
        self._credentials: dict[str, dict[str, str]] = {}

    def create_model(
        self,
        process_fn: Callable[..., object] | None = None,
        batch_process_fn: Callable[..., object] | None = None,
        batch_size: int | None = None,
        *,
        load_fn: Callable[[], object] | None = None,
    ) -> ChassisModel:
        """Makes a model that this client publishes; see `ChassisModel`.

        Raises:
          ClientError: there are no images with this Python, which the model is to be pickled with.
        """
        running, pythons = running_python(), self._pythons()
        if running not in pythons:
            raise ClientError(
                f"this is Python {running}, and there are images of {', '.join(pythons)}: a model is packed with the "
                "Python that its image has\n  run this in a Python of one of these"
            )
        return ChassisModel(process_fn, batch_process_fn, batch_size, load_fn=load_fn, client=self)

    def _pythons(self) -> Sequence[str]:
        """Those that the service has images of; if it does not answer, those that Chassis brings."""
        if isinstance(self._builder, RemoteService):
            with contextlib.suppress(ServiceError):
                return self._builder.pythons()
        return GIVEN_PYTHONS

    def publish(self, model: PackedModel, options: PublishOptions) -> dict[str, object]:
        """Sends a packed model to be built and pushed; `ChassisModel.publish` packs one and calls this.

        Returns:
          The job; its `job_id` is what the other methods take.

        Raises:
          ServiceError: the service refuses; ServiceUnreachableError: it does not answer.
        """
        service = self._service()
        user, name = options.registry_user, model.metadata.name
        registry = options.registry or service.default_registry() or (_DEFAULT_REGISTRY if user else "")
        repository = options.repository or (f"{user.lower()}/{name}" if user else name)
        credentials = {"username": user, "password": options.registry_pass or ""} if user else None
        submission = {
            "upload_id": service.upload(model),
            "platforms": list(options.platforms),
            "registry": registry,
            "repository": repository if registry else "",
            "tags": list(options.tags) if options.tags is not None else [model.metadata.model_version],
            "webhook": options.webhook,
            "cross_build": list(options.cross_build),
            "credentials": credentials,
        }
        job = service.submit(submission)
        if credentials:
            self._credentials[str(job["job_id"])] = credentials
        return job

    def get_job_status(self, job_id: str) -> dict[str, object]:
        """The job: `status` with its `state`, `result` once it has succeeded, and `logs` if it has failed."""
        job = self._service().status(job_id)
        if _state(job) in ("failed", "cancelled"):
            job["logs"] = self.get_job_logs(job_id)
        return job

    def get_job_logs(self, job_id: str) -> str:
        """The job's log as far as it is written."""
        return b"".join(self._service().logs(job_id, follow=False)).decode(errors="replace")

    def follow_job_logs(self, job_id: str) -> Iterator[str]:
        """The lines of the job's log, as they come, until the job has ended."""
        rest = b""
        for block in self._service().logs(job_id, follow=True):
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                yield line.decode(errors="replace")
        if rest:
            yield rest.decode(errors="replace")

    def block_until_complete(
        self, job_id: str, timeout: float | None = None, poll_interval: float = 5
    ) -> dict[str, object] | bool:
        """Waits until the job has ended; returns `get_job_status`, or False after `timeout` seconds.

        A service that is started again meanwhile is waited for, and gets the credentials again that it needs.

        Raises:
          ServiceUnreachableError: it does not answer for two minutes.
        """
        end = None if timeout is None else time.monotonic() + timeout
        answered = time.monotonic()
        while True:
            try:
                job = self._service().status(job_id)
                answered = time.monotonic()
                if _state(job) in _FINAL:
                    self._credentials.pop(job_id, None)
                    return self.get_job_status(job_id)
                if _state(job) == "waiting" and job_id in self._credentials:
                    self._service().give_credentials(job_id, self._credentials[job_id])
            except ServiceUnreachableError:
                if time.monotonic() - answered > _RESTART_SECONDS:
                    raise
            left = poll_interval if end is None else min(poll_interval, end - time.monotonic())
            if left <= 0 and end is not None:
                return False
            time.sleep(left)

    def cancel_job(self, job_id: str) -> dict[str, object]:
        """Cancels a job; returns it."""
        return self._service().cancel(job_id)

    def download_tar(self, job_id: str, output_filename: str | os.PathLike[str]) -> None:
        """Writes the job's image as an OCI archive, which `docker load`, podman and skopeo take; whole or not at all.

        Raises:
          ChassisError: the job has no image, or it arrives incomplete.
        """
        target = Path(output_filename)
        with whole_file(target) as file:
            self._service().image(job_id, file)
            file.flush()
            _check_archive(Path(file.name))

    def webhook_secret(self) -> str:
        """What the service signs the webhooks of your jobs with: for `chassis.verify_webhook`, or any implementation of
        Standard Webhooks. Keep it as you keep the token."""
        return self._service().webhook_secret()

    def close(self) -> None:
        """Lets go of connections, or of the builder in this process."""
        if self._builder:
            self._builder.close()
        if not self._base_url:
            self._builder = None

    def _service(self) -> BuildService:
        if self._builder is None:
            self._builder = _local_service()
        return self._builder


def _local_service() -> BuildService:
    try:
        from chassis.service.local import LocalService  # Bazel's side of it, which few clients have
    except ModuleNotFoundError as error:
        raise ClientError(
            f"building in this process needs {error.name}: install the SDK's wheel with its extra `local`, "
            'or give the URL of a build service: ChassisClient("http://localhost:5000")'
        ) from None
    return LocalService()


def _state(job: dict[str, object]) -> str:
    status = job["status"]
    assert isinstance(status, dict)
    return str(status["state"])


def _check_archive(path: Path) -> None:
    """A tar file ends in two blocks of zeros; a download that broke off does not."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1024))
        if size < 1024 or size % 512 or any(file.read()):
            raise ChassisError(f"the image arrived incomplete, {size} bytes: try again")
