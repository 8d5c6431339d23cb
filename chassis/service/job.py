"""A job of the build service: what was asked for, how far it is, what came of it."""

from __future__ import annotations

import dataclasses
import enum
import json
import re
import urllib.parse
from dataclasses import dataclass, field

from chassis.declaration.distribution_name import canonical_name
from chassis.errors import ChassisError
from chassis.oci.registry.errors import ImageReferenceError
from chassis.oci.registry.reference import check_tag, parse_repository
from chassis.packed_model.build_file import LOCKS

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_MAX_PLACE = 260
_MAX_WEBHOOK = 2000
_MAX_TAGS = 20
_MAX_NAMES = 50


class JobRequestError(ChassisError, ValueError):
    """A job that is not asked for in a way that can be understood."""


class JobState(enum.Enum):
    """How far a job is."""

    QUEUED = "queued"
    """Waits for a worker."""
    WAITING = "waiting"
    """Was asked for with credentials, which the service held in memory only and lost: give them again."""
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether nothing more will happen to the job."""
        return self in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True, slots=True)
class RegistryCredentials:
    """A user name and a password for a registry. Never written anywhere."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What is to be done with an uploaded model.

    Attributes:
      platforms: names of `@chassis//platforms`; several become one index.
      registry: host and port; empty if nothing is to be pushed.
      repository: path in the registry.
      tags: what the pushed image is called there.
      webhook: URL that the final status is sent to; empty for none.
      cross_build: distributions that may be built from their sources for the platform.
    """

    platforms: tuple[str, ...] = ("amd64",)
    registry: str = ""
    repository: str = ""
    tags: tuple[str, ...] = ()
    webhook: str = ""
    cross_build: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = sorted(set(self.platforms) - set(LOCKS))
        if unknown or not self.platforms or len(set(self.platforms)) != len(self.platforms):
            raise JobRequestError(
                f"platforms {', '.join(self.platforms) or 'none'}: "
                f"expected one or several of {', '.join(LOCKS)}, each once"
            )
        if bool(self.registry) != bool(self.repository):
            raise JobRequestError("registry and repository go together: give both or neither")
        if self.registry:
            _check_place(self.registry, self.repository)
        if len(self.tags) > _MAX_TAGS:
            raise JobRequestError(f"{len(self.tags)} tags, expected at most {_MAX_TAGS}")
        for tag in self.tags:
            try:
                check_tag(tag)
            except ImageReferenceError as error:
                raise JobRequestError(str(error)[:500]) from None
        if self.webhook:
            _check_webhook(self.webhook)
        if len(self.cross_build) > _MAX_NAMES or not all(map(_NAME.fullmatch, self.cross_build)):
            raise JobRequestError("cross_build: expected names of distributions, such as crcmod")

    def to_json(self) -> str:
        """The request as JSON."""
        return json.dumps(dataclasses.asdict(self))

    @staticmethod
    def from_document(document: object) -> JobRequest:
        """Reads a request, unknown keys refused.

        Raises:
          JobRequestError: a key is unknown, or a value of the wrong type or form.
        """
        if not isinstance(document, dict):
            raise JobRequestError("expected a JSON object")
        fields: dict[str, object] = {}
        for name, value in document.items():
            expected = _TYPES.get(name)
            if expected is None:
                raise JobRequestError(f"unknown key {str(name)[:100]!r}, expected one of {', '.join(_TYPES)}")
            if expected is list:
                if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                    raise JobRequestError(f"{name}: expected a list of strings")
                fields[name] = tuple(canonical_name(item) if name == "cross_build" else item for item in value)
            elif value is None or isinstance(value, str):
                fields[name] = value or ""
            else:
                raise JobRequestError(f"{name}: expected a string")
        return JobRequest(**fields)  # type: ignore[arg-type]


_TYPES: dict[str, type] = {
    "platforms": list,
    "registry": str,
    "repository": str,
    "tags": list,
    "webhook": str,
    "cross_build": list,
}


@dataclass(frozen=True, slots=True)
class Job:
    """A job as the store has it.

    Attributes:
      id: 32 hexadecimal digits.
      client: whose it is.
      upload: the upload that it builds.
      upload_bytes: of that upload.
      name: the model's name.
      version: the model's version.
      request: what was asked for.
      state: how far it is.
      with_credentials: whether it was asked for with credentials.
      attempts: how often a worker took it; above 1 only after the service was killed.
      created: seconds since the epoch, as all times.
      started: when a worker took it last; None before.
      finished: when it came to its final state.
      message: why it failed, in a sentence; empty else.
      result: what came of it if it succeeded.
      webhook_sent: whether the webhook has answered.
    """

    id: str
    client: str
    upload: str
    upload_bytes: int
    name: str
    version: str
    request: JobRequest
    state: JobState
    with_credentials: bool
    attempts: int
    created: float
    started: float | None
    finished: float | None
    message: str
    result: dict[str, object] | None
    webhook_sent: bool

    def document(self) -> dict[str, object]:
        """The job as the service tells of it."""
        return {
            "job_id": self.id,
            "name": self.name,
            "version": self.version,
            "platforms": list(self.request.platforms),
            "image": f"{self.request.registry}/{self.request.repository}" if self.request.registry else None,
            "status": {
                "state": self.state.value,
                "active": int(self.state is JobState.RUNNING),
                "succeeded": int(self.state is JobState.SUCCEEDED),
                "failed": int(self.state in (JobState.FAILED, JobState.CANCELLED)),
                "message": self.message,
                "attempts": self.attempts,
                "created": self.created,
                "started": self.started,
                "finished": self.finished,
            },
            "result": self.result,
        }


def _check_place(registry: str, repository: str) -> None:
    """Whether the registry's client will understand them, who would say so only after the build."""
    if len(registry) + len(repository) > _MAX_PLACE:
        raise JobRequestError(f"registry and repository have more than {_MAX_PLACE} characters together")
    try:
        read = parse_repository(f"{registry}/{repository}")
    except ImageReferenceError as error:
        raise JobRequestError(str(error)) from None
    if read.registry != registry:
        raise JobRequestError(f"registry {registry!r}: expected host or host:port; the path belongs to the repository")


def _check_webhook(url: str) -> None:
    try:
        parts = urllib.parse.urlsplit(url)
        port_is_right = parts.port is None or parts.port > 0
    except ValueError:
        parts, port_is_right = urllib.parse.urlsplit(""), False
    if (
        len(url) > _MAX_WEBHOOK
        or parts.scheme not in ("http", "https")
        or not parts.hostname
        or not port_is_right
        or any(not 0x20 < ord(char) < 0x7F for char in url)
    ):
        raise JobRequestError(f"webhook {url[:200]!r}: expected an http or https URL in ASCII")
    if parts.username or parts.password:
        raise JobRequestError("webhook: credentials in a URL would be written down with the job, leave them out")
