"""For which registries and repositories the service's own credentials serve: only those that the operator names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chassis.errors import ChassisError
from chassis.oci.registry.credentials import Credential, CredentialStore, Search
from chassis.oci.registry.errors import ImageReferenceError
from chassis.oci.registry.reference import Repository, parse_repository
from chassis.service.job import RegistryCredentials

_CLIENT = "{client}"
_SLASHES = re.compile("/+")


class OwnCredentialsError(ChassisError, ValueError):
    """A place that is not a registry, or a repository's prefix in one."""


@dataclass(frozen=True, slots=True)
class OwnCredentials:
    """The places for which the service's own user's credentials serve.

    Attributes:
      places: `registry` or `registry/path`, which stands for the path and all below it. `{client}` in a path is the
        name of the job's client. `*` alone is everywhere: for a service of one's own process.
    """

    places: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for place in self.places:
            if place == "*":
                continue
            registry, _, path = place.partition("/")
            sample = f"{registry}/{path.replace(_CLIENT, 'client') or 'x'}"
            if _CLIENT in registry or "{" in sample or "*" in sample:
                raise OwnCredentialsError(f"{place!r}: expected registry or registry/path; {{client}} is for the path")
            try:
                parse_repository(sample)
            except ImageReferenceError as error:
                raise OwnCredentialsError(f"{place!r}: expected registry or registry/path: {error}") from None

    def serve(self, repository: Repository, client: str) -> bool:
        """Whether a job of `client` may push to `repository` with the service's own credentials."""
        return any(_covers(place, repository, client) for place in self.places)

    def store(
        self,
        repository: Repository,
        client: str,
        given: RegistryCredentials | None,
        environment: Mapping[str, str],
    ) -> CredentialStore:
        """The credentials of a job: its own, else the service's if they serve, else none at all."""
        if given:
            return _Fixed(
                Credential("the job's own", given.username, given.password), "the credentials that came with the job"
            )
        if self.serve(repository, client):
            return CredentialStore(environment)
        return _Fixed(None, f"the job: give registry_user and registry_pass; {self._why_not()}")

    def _why_not(self) -> str:
        if not self.places:
            return (
                "the service's own credentials serve for no registry (its operator names some with --own_credentials)"
            )
        return f"the service's own credentials serve for {', '.join(self.places)} only"


class _Fixed(CredentialStore):
    """One credential or none, and no other."""

    def __init__(self, credential: Credential | None, places: str) -> None:
        super().__init__({})
        self._credential = credential
        self._places = places

    def find(self, repository: Repository) -> Search:
        """The one."""
        return Search(self._credential)

    def places(self) -> str:
        """For messages."""
        return self._places


def own_credentials(places: Sequence[str]) -> OwnCredentials:
    """Reads the operator's list.

    Raises:
      OwnCredentialsError: an entry is neither a registry nor a repository's prefix.
    """
    return OwnCredentials(tuple(_SLASHES.sub("/", place.strip()).rstrip("/") for place in places if place.strip()))


def _covers(place: str, repository: Repository, client: str) -> bool:
    if place == "*":
        return True
    registry, _, path = place.partition("/")
    named = Repository(registry, "")
    same = (named.is_hub and repository.is_hub) or registry.lower() == repository.registry.lower()
    path = path.replace(_CLIENT, client)
    return same and (not path or repository.path == path or repository.path.startswith(f"{path}/"))
