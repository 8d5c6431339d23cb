"""The flags by which an operator says who may use the service, how much they may take, and what is kept."""

from __future__ import annotations

import dataclasses
import os
import stat
import sys
from pathlib import Path

from absl import flags

from chassis.errors import ChassisError
from chassis.service.addresses import AddressPolicy
from chassis.service.clients import UNLIMITED, Client, Clients, Quota, read_clients
from chassis.service.own_credentials import OwnCredentials, own_credentials
from chassis.service.retention import Retention

_TOKEN_VARIABLE = "CHASSIS_SERVICE_TOKEN"
_DAY = 24 * 3600.0

_TOKEN_FILE = flags.DEFINE_string(
    "token_file",
    "",
    "File of the tokens that callers need: one token, or NAME TOKEN in each line, where sha256:HEX may stand for a "
    f"token, and quotas such as running=4 may follow. Without it the variable {_TOKEN_VARIABLE}.",
)
_OWN = flags.DEFINE_list(
    "own_credentials",
    [],
    "Registries, or repositories' prefixes such as registry.example/models/{client}, to which jobs without credentials "
    "of their own are pushed with those of the service's user. By default there are none.",
)
_WEBHOOK_HOSTS = flags.DEFINE_list(
    "webhook_hosts", [], "Hosts, host:ports and networks that webhooks may go to beside public addresses."
)
_REGISTRY_HOSTS = flags.DEFINE_list(
    "registry_hosts",
    [],
    "Hosts, host:ports and networks at which registries may be beside public addresses. A service without tokens, "
    "which only its own machine reaches, takes any.",
)
_UPLOADS = flags.DEFINE_integer("client_uploads", None, "Uploads of a client that wait for a job.", lower_bound=1)
_BYTES = flags.DEFINE_integer("client_bytes", None, "Bytes of a client's uploads on the disk.", lower_bound=1)
_QUEUED = flags.DEFINE_integer("client_queued", None, "Jobs of a client that wait.", lower_bound=1)
_RUNNING = flags.DEFINE_integer("client_running", None, "Jobs of a client that run at once.", lower_bound=1)
_MINUTES = flags.DEFINE_integer("client_minutes", None, "Minutes of a client's builds in 24 hours.", lower_bound=1)
_KEEP_UPLOADS = flags.DEFINE_integer(
    "keep_upload_minutes", 60, "Minutes that an upload waits for a job.", lower_bound=1
)
_KEEP_JOBS = flags.DEFINE_integer("keep_job_days", 30, "Days that ended jobs and their logs are kept.", lower_bound=1)
_KEEP_LOG_BYTES = flags.DEFINE_integer("keep_log_bytes", 2 << 30, "Bytes of all logs.", lower_bound=1)
_KEEP_IMAGES = flags.DEFINE_integer(
    "keep_images", 20, "Images of a client that are kept for download_tar.", lower_bound=1
)
_KEEP_IMAGE_DAYS = flags.DEFINE_integer("keep_image_days", 7, "Days that images are kept.", lower_bound=1)
_KEEP_IMAGE_BYTES = flags.DEFINE_integer("keep_image_bytes", 100 << 30, "Bytes of all images.", lower_bound=1)
_KEEP_LOCKS = flags.DEFINE_integer(
    "keep_lock_days", 30, "Days that locks are kept after their last use.", lower_bound=1
)
_KEEP_CACHE_DAYS = flags.DEFINE_integer("keep_cache_days", 30, "Days that Bazel's cache keeps an entry.", lower_bound=1)
_KEEP_CACHE_BYTES = flags.DEFINE_integer(
    "keep_cache_bytes", 100 << 30, "Bytes of Bazel's cache, and of what Bazel has unpacked and built.", lower_bound=1
)


def retention_of_flags() -> Retention:
    """What is kept."""
    return Retention(
        upload_seconds=_KEEP_UPLOADS.value * 60.0,
        job_seconds=_KEEP_JOBS.value * _DAY,
        log_bytes=_KEEP_LOG_BYTES.value,
        image_seconds=_KEEP_IMAGE_DAYS.value * _DAY,
        images=_KEEP_IMAGES.value,
        image_bytes=_KEEP_IMAGE_BYTES.value,
        lock_seconds=_KEEP_LOCKS.value * _DAY,
        cache_seconds=_KEEP_CACHE_DAYS.value * _DAY,
        cache_bytes=_KEEP_CACHE_BYTES.value,
    )


def clients_of_flags(builds: int) -> Clients:
    """Who may use the service; `builds` run at once.

    A client among several leaves one build to the others; who has the only token has no need to.

    Raises:
      ChassisError: the file of tokens cannot be used.
    """
    named = _given(dataclasses.replace(Quota(), running=max(1, builds - 1)))
    alone = _given(dataclasses.replace(UNLIMITED, uploads=Quota().uploads, bytes=Quota().bytes))
    if not _TOKEN_FILE.value:
        token = os.environ.pop(_TOKEN_VARIABLE, "")
        return (
            read_clients(token, _TOKEN_VARIABLE, alone)
            if token
            else Clients(default=Client(quota=alone, operator=True))
        )
    path = Path(_TOKEN_FILE.value)
    try:
        text, mode = path.read_text(), path.stat().st_mode
    except UnicodeDecodeError:
        raise ChassisError(f"--token_file={path}: it is not text") from None
    except OSError as error:
        raise ChassisError(f"--token_file={path}: {error.strerror}") from None
    if mode & stat.S_IROTH and "sha256:" not in text:
        print(f"warning: every user of this machine can read --token_file={path}: chmod 600", file=sys.stderr)
    several = len(text.split()) > 1
    return read_clients(text, f"--token_file={path}", named if several else alone)


def own_credentials_of_flags(registry: str) -> tuple[OwnCredentials, AddressPolicy]:
    """Where the service's own credentials serve, and where registries may be; `registry` is the service's default.

    Raises:
      ChassisError: an entry of a list is malformed.
    """
    own = own_credentials(_OWN.value)
    if "*" in own.places:
        raise ChassisError("--own_credentials=*: name the registries, or repositories' prefixes in them")
    named = [registry, *(place.partition("/")[0] for place in own.places)]
    return own, AddressPolicy.of_list("--registry_hosts", [*_REGISTRY_HOSTS.value, *named])


def webhook_addresses_of_flags() -> AddressPolicy:
    """Where webhooks may go.

    Raises:
      ChassisError: an entry of the list is malformed.
    """
    return AddressPolicy.of_list("--webhook_hosts", _WEBHOOK_HOSTS.value)


def _given(quota: Quota) -> Quota:
    values = {
        "uploads": _UPLOADS.value,
        "bytes": _BYTES.value,
        "queued": _QUEUED.value,
        "running": _RUNNING.value,
        "minutes": _MINUTES.value,
    }
    return dataclasses.replace(quota, **{name: value for name, value in values.items() if value is not None})
