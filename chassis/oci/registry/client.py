"""A repository in a registry: blobs and manifests in, by digest, and tags on them."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path

from chassis.oci import digest as digests
from chassis.oci.descriptor import MEDIA_TYPE_INDEX, MEDIA_TYPE_MANIFEST, Descriptor
from chassis.oci.layout_reader import DOCKER_INDEX, DOCKER_MANIFEST, Manifest
from chassis.oci.registry.auth import Authenticator
from chassis.oci.registry.blob_source import BlobSource, FileSource
from chassis.oci.registry.credentials import CredentialStore
from chassis.oci.registry.download import BlobDownload
from chassis.oci.registry.errors import AnswerError
from chassis.oci.registry.manifest_type import manifest_type
from chassis.oci.registry.origin import origin, resolve
from chassis.oci.registry.reference import Repository, check_tag
from chassis.oci.registry.request import Request, Response
from chassis.oci.registry.session import Session, connect, status_error
from chassis.oci.registry.transport import Transport
from chassis.oci.registry.upload import BlobUpload, Progress, RepositoryAccess, blob_exists

_MAX_PAGES = 100
_NEXT = re.compile(r"""\s*<([^<>]*)>\s*;\s*rel="?next"?\s*""", re.IGNORECASE)
_ACCEPT = ", ".join((MEDIA_TYPE_MANIFEST, MEDIA_TYPE_INDEX, DOCKER_MANIFEST, DOCKER_INDEX))


class RegistryClient:
    """Pushes into one repository and pulls from it. Safe to use from several threads."""

    def __init__(
        self,
        repository: Repository,
        transport: Transport,
        store: CredentialStore,
        allow_plain_http: bool = False,
        actions: str = "pull,push",
        beside: RegistryClient | None = None,
    ) -> None:
        """Connects; see `session.connect` for the errors. `actions` is what a token is asked for: `pull` if nothing
        is to be written. `beside` is a client of the same registry, which is then not asked again how it is spoken to;
        credentials are looked up for each repository."""
        self.repository = repository
        authenticator = Authenticator(repository, transport, store, allow_plain_http)
        if beside is not None and beside.repository.registry == repository.registry:
            session: Session = beside._session.beside(authenticator)
        else:
            session = connect(repository, transport, authenticator, allow_plain_http)
        self._target = RepositoryAccess(session, repository.path, (f"repository:{repository.path}:{actions}",))
        self._session: Session = session

    def has_blob(self, descriptor: Descriptor) -> bool:
        """Whether the repository has a blob of this digest and size."""
        return blob_exists(self._target, descriptor)

    def push_blob(
        self,
        descriptor: Descriptor,
        source: Path | Callable[[], BlobSource],
        progress: Progress,
        mount_from: str = "",
    ) -> str:
        """Uploads (or mounts) a blob from a file, or from what `source` gives, which is only asked if the blob has to
        be sent; returns `upload.UPLOADED` or `MOUNTED`."""
        sender = functools.partial(FileSource, source) if isinstance(source, Path) else source
        return BlobUpload(self._target, descriptor, sender, progress).run(mount_from)

    def manifest_digest(self, reference: str) -> str:
        """The digest of what a tag or digest names, "" if there is nothing."""
        answer = self._ask("HEAD", f"manifests/{reference}", _ACCEPT)
        if answer.status == 404:
            return ""
        if answer.status != 200:
            raise status_error(answer, f"{self.repository}: asking for {reference}")
        said = answer.header("Docker-Content-Digest")
        if not said:  # the header is only recommended; the content itself cannot err
            answer = self._ask("GET", f"manifests/{reference}", _ACCEPT)
            if answer.status != 200:
                raise status_error(answer, f"{self.repository}: asking for {reference}")
            said = digests.of_bytes(answer.body)
        digests.check_digest(said, f"{self.repository}: the registry's digest of {reference}")
        if ":" in reference and said != reference:
            raise AnswerError(f"{self.repository}@{reference}: the registry says that its digest is {said}")
        return said

    def manifest(self, digest: str) -> tuple[str, bytes]:
        """Media type and bytes of a manifest or index, whose digest is checked.

        Raises:
          StatusError: the repository has none of this digest. AnswerError: it answers with other bytes, or it is not
            clear which of the two they are.
        """
        answer = self._ask("GET", f"manifests/{digest}", _ACCEPT)
        if answer.status != 200:
            raise status_error(answer, f"{self.repository}@{digest}: asking for its manifest")
        found = digests.of_bytes(answer.body)
        if found != digest:
            raise AnswerError(f"{self.repository}@{digest}: the registry answers with a manifest of digest {found}")
        return manifest_type(answer.media_type, answer.body, f"{self.repository}@{digest}"), answer.body

    def fetch_blob(self, descriptor: Descriptor, file: Path) -> None:
        """Downloads a blob into a file, which appears when it is whole and its digest is right."""
        BlobDownload(self._target, descriptor, file).run()

    def referrers(self, digest: str) -> list[bytes] | None:
        """The registry's indexes of what refers to a manifest, one for each page; None when it has no referrers API.

        Raises:
          AnswerError: the pages have no end, or lead to another server.
        """
        what = f"{self.repository}@{digest}: asking for what refers to it"
        url = self._target.url(f"referrers/{digest}")
        pages: list[bytes] = []
        while url:
            answer = self._target.send(Request("GET", url, {"Accept": MEDIA_TYPE_INDEX}))
            if not pages and answer.status in (404, 405, 406, 501):
                return None
            if answer.status != 200:
                raise status_error(answer, what)
            pages.append(answer.body)
            if len(pages) > _MAX_PAGES:
                raise AnswerError(f"{what}: the registry's list has more than {_MAX_PAGES} pages")
            url = self._next_page(answer)
        return pages

    def _next_page(self, answer: Response) -> str:
        """Where a list goes on (RFC 8288, and the distribution specification's pagination), "" at its end."""
        link = _NEXT.fullmatch(answer.header("Link"))
        if link is None:
            return ""
        url = resolve(answer.url, link[1])
        if origin(url) != origin(self._session.base):
            raise AnswerError(f"{origin(answer.url)}: its list goes on at another server, {origin(url)}; refused")
        return url

    def push_manifest(self, manifest: Manifest, tag: str = "", subject: str = "") -> bool:
        """Puts a manifest by its digest, or under a tag, and makes sure that it arrived unchanged. Returns whether the
        registry says that it listed it among the referrers of its `subject`.

        Raises:
          StatusError: the registry refuses it, such as one whose blobs it does not have.
          AnswerError: the registry says that it stored something else.
        """
        expected = manifest.descriptor.digest
        reference = check_tag(tag) if tag else expected
        request = Request(
            "PUT",
            self._target.url(f"manifests/{reference}"),
            {"Content-Type": manifest.descriptor.media_type},
            manifest.data,
        )
        answer = self._session.send(request, self._target.scopes)
        what = f"manifest {expected}" + (f" as {self.repository}:{tag}" if tag else "")
        if answer.status not in (201, 202):
            raise status_error(answer, f"{what}: putting it")
        said = answer.header("Docker-Content-Digest") or self.manifest_digest(reference)
        if said != expected:
            raise AnswerError(
                f"{what}: the registry stored it as {said[:100]!r}" + ("" if tag else "; nothing was tagged")
            )
        return bool(subject) and answer.header("OCI-Subject") == subject

    def _ask(self, method: str, path: str, accept: str) -> Response:
        return self._session.send(Request(method, self._target.url(path), {"Accept": accept}), self._target.scopes)
