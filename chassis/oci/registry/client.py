"""A repository in a registry: blobs and manifests in, by digest, and tags on them."""

from __future__ import annotations

from pathlib import Path

from chassis.oci import digest as digests
from chassis.oci.descriptor import MEDIA_TYPE_INDEX, MEDIA_TYPE_MANIFEST, Descriptor
from chassis.oci.layout_reader import DOCKER_INDEX, DOCKER_MANIFEST, Manifest
from chassis.oci.registry.auth import Authenticator
from chassis.oci.registry.credentials import CredentialStore
from chassis.oci.registry.errors import AnswerError
from chassis.oci.registry.reference import Repository, check_tag
from chassis.oci.registry.session import connect, status_error
from chassis.oci.registry.transport import Transport
from chassis.oci.registry.upload import BlobUpload, Progress, Target, blob_exists

_ACCEPT = ", ".join((MEDIA_TYPE_MANIFEST, MEDIA_TYPE_INDEX, DOCKER_MANIFEST, DOCKER_INDEX))


class RegistryClient:
    """Pushes into one repository. Safe to use from several threads."""

    def __init__(
        self,
        repository: Repository,
        transport: Transport,
        store: CredentialStore,
        allow_plain_http: bool = False,
    ) -> None:
        """Connects; see `session.connect` for the errors."""
        self.repository = repository
        authenticator = Authenticator(repository, transport, store, allow_plain_http)
        session = connect(repository, transport, authenticator, allow_plain_http)
        self._target = Target(session, repository.path, (f"repository:{repository.path}:pull,push",))
        self._session = session

    def has_blob(self, descriptor: Descriptor) -> bool:
        """Whether the repository has a blob of this digest and size."""
        return blob_exists(self._target, descriptor)

    def push_blob(self, descriptor: Descriptor, file: Path, progress: Progress, mount_from: str = "") -> str:
        """Uploads (or mounts) a blob from a file; returns `upload.UPLOADED` or `MOUNTED`."""
        return BlobUpload(self._target, descriptor, file, progress).run(mount_from)

    def manifest_digest(self, reference: str) -> str:
        """The digest of what a tag or digest names, "" where there is nothing."""
        url = self._target.url(f"manifests/{reference}")
        answer = self._session.request("HEAD", url, self._target.scopes, {"Accept": _ACCEPT})
        if answer.status == 404:
            return ""
        if answer.status != 200:
            raise status_error(answer, f"{self.repository}: asking for {reference}")
        said = answer.header("Docker-Content-Digest")
        if not said:  # the header is only recommended; the content itself cannot err
            answer = self._session.request("GET", url, self._target.scopes, {"Accept": _ACCEPT})
            if answer.status != 200:
                raise status_error(answer, f"{self.repository}: asking for {reference}")
            said = digests.of_bytes(answer.body)
        return digests.check_digest(said, f"{self.repository}: the registry's digest of {reference}")

    def push_manifest(self, manifest: Manifest, tag: str = "") -> None:
        """Puts a manifest by its digest, or under a tag, and makes sure that it arrived unchanged.

        Raises:
          StatusError: the registry refuses it, such as one whose blobs it does not have.
          AnswerError: the registry says that it stored something else.
        """
        expected = manifest.descriptor.digest
        reference = check_tag(tag) if tag else expected
        answer = self._session.request(
            "PUT",
            self._target.url(f"manifests/{reference}"),
            self._target.scopes,
            {"Content-Type": manifest.descriptor.media_type},
            manifest.data,
        )
        what = f"manifest {expected}" + (f" as {self.repository}:{tag}" if tag else "")
        if answer.status not in (201, 202):
            raise status_error(answer, f"{what}: putting it")
        said = answer.header("Docker-Content-Digest") or self.manifest_digest(reference)
        if said != expected:
            raise AnswerError(
                f"{what}: the registry stored it as {said[:100]!r}" + ("" if tag else "; nothing was tagged")
            )
