"""ChassisClient: builds and publishes models, through a build service or in this process."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from chassis.errors import ChassisError
from chassis.model import ChassisModel
from chassis.sdk.remote import RemoteService, ServiceUnreachableError

if TYPE_CHECKING:
    from chassis.service.local import LocalService

_FINAL = ("succeeded", "failed", "cancelled")
_DEFAULT_REGISTRY = "docker.io"
_RESTART_SECONDS = 120.0


class ClientError(ChassisError, ValueError):
    """A model that is not to be published as it was asked."""


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
        self._remote = RemoteService(base_url, auth_header, ssl_verification) if base_url else None
        self._local: LocalService | None = None
        self._credentials: dict[str, dict[str, str]] = {}

    def create_model(
        self,
        process_fn: Callable[..., object] | None = None,
        batch_process_fn: Callable[..., object] | None = None,
        batch_size: int | None = None,
    ) -> ChassisModel:
        """Makes a model that this client publishes; see `ChassisModel`."""
        return ChassisModel(process_fn, batch_process_fn, batch_size, client=self)

    def publish(
        self,
        model: ChassisModel,
        *,
        registry_user: str | None = None,
        registry_pass: str | None = None,
        requirements: str | Sequence[str] | None = None,
        fix_env: bool = True,
        gpu: bool = False,
        arm64: bool = False,
        sample_input_path: str | os.PathLike[str] | None = None,
        webhook: str | None = None,
        conda_env: object = None,
        platforms: Sequence[str] | None = None,
        registry: str | None = None,
        repository: str | None = None,
        tags: Sequence[str] | None = None,
        cross_build: Sequence[str] = (),
    ) -> dict[str, object]:
        """Sends a model to be built and pushed; prints what it requires first.

        The image is `registry/repository:version`; `repository` is the user's name and the model's, in lower case, its
        punctuation dropped and its spaces as `-`. Without a registry, a user, and a registry of the service, nothing is
        pushed: `download_tar` gets the image.

        Args:
          model: the model.
          registry_user: for the registry.
          registry_pass: for the registry; kept in memory, here and in the service.
          requirements: in place of what is detected for the same distributions; see `ChassisModel.add_requirements`.
          fix_env: accepted for chassisml's sake: an image has a Python environment of its own in any case.
          gpu: for CUDA.
          arm64: for arm64 in place of amd64.
          sample_input_path: an input to try the model with before anything is sent.
          webhook: URL that gets the job as JSON once it has ended, signed: see `webhook_secret`. Its address has to be
            public, or on the list of the service's operator.
          conda_env: refused: give the requirements.
          platforms: several at once, as one index: of amd64, amd64_gpu, arm64, arm64_gpu.
          registry: host or host:port.
          repository: path in the registry.
          tags: in place of the version.
          cross_build: distributions that may be built from their sources.

        Returns:
          The job; its `job_id` is what the other methods take.

        Raises:
          ClientError: flags that contradict each other.
          ServiceError: the service refuses; ServiceUnreachableError: it does not answer.
          ChassisError: what is wrong with the model.
        """
        del fix_env
        if conda_env is not None:
            raise ClientError("conda_env: images are made of wheels; give what it holds for pip as `requirements`")
        if platforms is not None and (gpu or arm64):
            raise ClientError("platforms says all of it: leave gpu and arm64 out")
        if bool(registry_user) != bool(registry_pass):
            raise ClientError("registry_user and registry_pass go together: give both or neither")
        if requirements:
            model.add_requirements(requirements)
        if sample_input_path is not None:
            model.test(sample_input_path)
        packed = model.pack()
        print(model.describe_requirements(), file=sys.stderr)
        service = self._service()
        registry = registry or service.default_registry() or (_DEFAULT_REGISTRY if registry_user else "")
        name = f"{registry_user.lower()}/{packed.metadata.name}" if registry_user else packed.metadata.name
        credentials = {"username": registry_user, "password": registry_pass} if registry_user else None
        submission = {
            "upload_id": service.upload(packed),
            "platforms": list(platforms) if platforms is not None else [_platform(gpu, arm64)],
            "registry": registry,
            "repository": (repository or name) if registry else "",
            "tags": list(tags) if tags is not None else [packed.metadata.model_version],
            "webhook": webhook,
            "cross_build": list(cross_build),
            "credentials": credentials,
        }
        job = service.submit(submission)
        if credentials:
            self._credentials[str(job["job_id"])] = credentials  # type: ignore[assignment]
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
        part = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
        try:
            with part.open("xb") as file:
                self._service().image(job_id, file)
            _check_archive(part)
            part.replace(target)
        finally:
            with contextlib.suppress(FileNotFoundError):
                part.unlink()

    def webhook_secret(self) -> str:
        """What the service signs the webhooks of your jobs with: for `chassis.verify_webhook`, or any implementation of
        Standard Webhooks. Keep it as you keep the token."""
        return self._service().webhook_secret()

    def close(self) -> None:
        """Lets go of connections, or of the builder in this process."""
        if self._remote:
            self._remote.close()
        if self._local:
            self._local.close()
            self._local = None

    def _service(self) -> RemoteService | LocalService:
        if self._remote:
            return self._remote
        if self._local is None:
            try:
                from chassis.service.local import LocalService
            except ModuleNotFoundError as error:
                raise ClientError(
                    f"building in this process needs {error.name}: pip install 'chassis[local]', "
                    'or give the URL of a build service: ChassisClient("http://localhost:5000")'
                ) from None
            self._local = LocalService()
        return self._local


def _platform(gpu: bool, arm64: bool) -> str:
    return ("arm64" if arm64 else "amd64") + ("_gpu" if gpu else "")


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
