"""What a client asks of a build service, whether it runs in this process or behind a URL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import BinaryIO, Protocol

from chassis.packed_model.model import PackedModel

Document = dict[str, object]
"""A job as the service tells of it: `job_id`, `status`, `result` and more, see docs/build-service.md."""


class BuildService(Protocol):
    """A build service.

    Each method raises a ChassisError if the service refuses; `job_id` is that of the document that `submit` returns.
    """

    def default_registry(self) -> str:
        """The registry that a submission without one goes to; empty if the image stays with the service."""

    def upload(self, model: PackedModel) -> str:
        """Hands a model over; returns the upload's id."""

    def submit(self, submission: Mapping[str, object]) -> Document:
        """Makes a job of an upload: `upload_id`, the keys of `service.job.JobRequest`, and `credentials` or None."""

    def status(self, job_id: str) -> Document:
        """The job."""

    def cancel(self, job_id: str) -> Document:
        """Cancels the job; returns it."""

    def give_credentials(self, job_id: str, credentials: Mapping[str, str]) -> None:
        """Gives a job that waits for them its `username` and `password` again."""

    def logs(self, job_id: str, follow: bool) -> Iterator[bytes]:
        """The log in blocks; with `follow` as it grows, until the job has ended."""

    def image(self, job_id: str, output: BinaryIO) -> None:
        """Writes the job's image as an OCI archive."""

    def webhook_secret(self) -> str:
        """What the service signs the webhooks of this client's jobs with."""

    def close(self) -> None:
        """Lets go of connections, or of the builder in this process."""
