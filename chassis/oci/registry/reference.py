"""Names of repositories and images: `host[:port]/path[:tag][@digest]`.

Specification: OCI distribution specification 1.1, "Pulling manifests" (names and tags), and Docker's
reference grammar.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from chassis.oci.digest import DigestError, check_digest
from chassis.oci.registry.errors import ImageReferenceError

_PATH = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_HOST = re.compile(
    r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*)"
    r"(?::(?P<port>[0-9]{1,5}))?"
)
_MAX_PATH = 255
# Docker Hub's names for itself, and where it serves the API.
_HUB = ("docker.io", "index.docker.io", "registry-1.docker.io")
_HUB_API = "registry-1.docker.io"


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository: `registry` is `host[:port]` as written, `path` the name within the registry."""

    registry: str
    path: str

    @property
    def host(self) -> str:
        """The host alone, without port and brackets."""
        name = self.registry if self.registry.endswith("]") else self.registry.rpartition(":")[0] or self.registry
        return name.strip("[]")

    @property
    def port(self) -> str:
        """The port as written; "" if none is."""
        host, _, port = self.registry.rpartition(":")
        return port if host and not self.registry.endswith("]") else ""

    @property
    def api_host(self) -> str:
        """`host[:port]` of the API, which for Docker Hub is another than its name."""
        return _HUB_API if self.registry in _HUB else self.registry

    @property
    def is_hub(self) -> bool:
        """Whether this is Docker Hub, whose credentials are filed under names of their own."""
        return self.registry in _HUB

    @property
    def is_loopback(self) -> bool:
        """Whether the host is this machine, by name or address, so that plain HTTP is safe."""
        if self.host.lower() == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"{self.registry}/{self.path}"


@dataclass(frozen=True, slots=True)
class Reference:
    """An image in a repository by tag, by digest, by both, or by neither ("")."""

    repository: Repository
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.repository}{tag}" + (f"@{self.digest}" if self.digest else "")


def parse_reference(text: str) -> Reference:
    """Reads `host[:port]/path[:tag][@digest]`. The host is never guessed.

    Raises:
      ImageReferenceError: a part is missing or malformed; the message says which and what it may hold.
    """
    if "://" in text:
        raise ImageReferenceError(f"repository {text!r}: leave the scheme out: host[:port]/path")
    name, at, digest = text.partition("@")
    registry, slash, path = name.partition("/")
    if not slash or not ("." in registry or ":" in registry or registry == "localhost"):
        raise ImageReferenceError(
            f"repository {text!r} names no registry: write host[:port]/path, such as "
            f"registry.example/{name or 'name'} (Docker Hub's is docker.io/…)"
        )
    match = _HOST.fullmatch(registry)
    if match is None or int(match["port"] or 1) not in range(1, 65536):
        raise ImageReferenceError(f"repository {text!r}: {registry!r} is not a host[:port]")
    path, colon, tag = path.partition(":")
    if not _PATH.fullmatch(path) or len(path) > _MAX_PATH:
        raise ImageReferenceError(
            f"repository {text!r}: {path!r} is not a repository path: lower-case letters and digits, "
            "separated by `.`, `_`, `__` or `-`, in parts separated by `/`"
        )
    if registry in _HUB and "/" not in path:
        path = f"library/{path}"
    if colon:
        check_tag(tag)
    if at:
        try:
            check_digest(digest, f"repository {text!r}")
        except DigestError as error:
            raise ImageReferenceError(str(error)) from None
    return Reference(Repository(registry, path), tag, digest)


def parse_repository(text: str) -> Repository:
    """Reads `host[:port]/path`; a tag or a digest in it is an error."""
    reference = parse_reference(text)
    if reference.tag or reference.digest:
        raise ImageReferenceError(f"repository {text!r}: leave tag and digest out")
    return reference.repository


def check_tag(tag: str) -> str:
    """Returns `tag` if it is one."""
    if not _TAG.fullmatch(tag):
        raise ImageReferenceError(
            f"tag {tag!r}: a tag has 1 to 128 letters, digits, `.`, `_` and `-`, and starts with none of `.` and `-`"
        )
    return tag
