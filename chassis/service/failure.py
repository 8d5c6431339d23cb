"""What a job's error says to whoever started the job."""

from __future__ import annotations

from chassis.errors import ChassisError
from chassis.oci.registry.errors import AuthenticationError
from chassis.service.job import Job
from chassis.service.upload import UploadError


def failure_message(error: ChassisError, job: Job) -> str:
    """What became of `job`, and what to do about it if that is known."""
    if isinstance(error, AuthenticationError) and not job.with_credentials:
        return (
            f"{job.request.registry} wants credentials and the job has none, nothing was tagged: {error}\n"
            "  publish again with registry_user and registry_pass, or have the service given its own (--registry)"
        )
    if isinstance(error, AuthenticationError):
        return f"{job.request.registry} refused the credentials, nothing was tagged: {error}"
    if isinstance(error, UploadError):
        return f"the upload cannot be read any more: {error}"
    return str(error)
