"""Attaches several artifacts to an image at once: what is there is not sent again, and the list is written once.

Specification: OCI distribution specification 1.1, "Pushing Manifests with Subject" and "Referrers Tag Schema".
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chassis.oci import digest as digests
from chassis.oci.descriptor import MEDIA_TYPE_INDEX, MEDIA_TYPE_MANIFEST, Descriptor
from chassis.oci.layout_reader import Manifest
from chassis.oci.referrer import EMPTY, EMPTY_TYPE, TITLE, ReferrerError, fallback_tag, listed_manifests
from chassis.oci.registry.client import RegistryClient

UPLOADED, SKIPPED = "uploaded", "skipped"
_JOBS = 8


@dataclass(frozen=True, slots=True)
class Artifact:
    """An artifact of one file, held in memory: `kind` is its artifact type and the file's media type, `name` the
    file's.
    """

    kind: str
    name: str
    data: bytes
    annotations: Mapping[str, str] = field(default_factory=dict)

    def manifest(self, subject: Descriptor) -> Manifest:
        """The artifact's manifest, which refers to `subject`: the same bytes for the same artifact."""
        layer = Descriptor(self.kind, digests.of_bytes(self.data), len(self.data), {TITLE: self.name})
        config = Descriptor(EMPTY_TYPE, digests.of_bytes(EMPTY), len(EMPTY))
        document: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": MEDIA_TYPE_MANIFEST,
            "artifactType": self.kind,
            "config": config.to_json(),
            "layers": [layer.to_json()],
            "subject": Descriptor(subject.media_type, subject.digest, subject.size).to_json(),
        }
        if self.annotations:
            document["annotations"] = dict(sorted(self.annotations.items()))
        data = json.dumps(document, separators=(",", ":")).encode()
        descriptor = Descriptor(MEDIA_TYPE_MANIFEST, digests.of_bytes(data), len(data), dict(self.annotations))
        return Manifest(descriptor, data, (), (config, layer))


@dataclass(frozen=True, slots=True)
class ArtifactReport:
    """What became of an artifact: UPLOADED, or SKIPPED, which the registry had and listed. `signed_by` is whose
    signature it is, for people, if it is one that was there."""

    kind: str
    name: str
    digest: str
    subject: str
    outcome: str
    signed_by: str = ""


class SubjectReferrers:
    """The artifacts of one manifest or index, as the registry lists them now; several can be added."""

    def __init__(self, client: RegistryClient, subject: Descriptor) -> None:
        """Asks for the list.

        Raises:
          ReferrerError: it is malformed. RegistryError: the registry refuses.
        """
        self._client = client
        self.subject = subject
        where = f"{client.repository}: the referrers of {subject.digest}"
        pages = client.referrers(subject.digest)
        self._by_tag = pages is None
        if pages is None:
            current = client.manifest_digest(fallback_tag(subject.digest))
            pages = [client.manifest(current)[1]] if current else []
        self.listed: list[dict[str, Any]] = listed_manifests(pages, where)

    def attach(self, artifacts: Sequence[Artifact], dry_run: bool = False) -> list[ArtifactReport]:
        """Pushes those that are missing, then lists them. A failure leaves the list as it was.

        Raises:
          RegistryError: the registry refuses something.
        """
        known = {entry["digest"] for entry in self.listed}
        manifests = [artifact.manifest(self.subject) for artifact in artifacts]
        held = self._held([one.descriptor.digest for one in manifests if one.descriptor.digest in known])
        reports, added = [], []
        for artifact, manifest in zip(artifacts, manifests, strict=True):
            digest = manifest.descriptor.digest
            there = digest in held
            if not there and not dry_run:
                added.append(self._push(artifact, manifest))
            outcome = SKIPPED if there else UPLOADED
            reports.append(ArtifactReport(artifact.kind, artifact.name, digest, self.subject.digest, outcome))
        new = [entry for entry in added if entry and entry["digest"] not in known]
        if new:
            self._write_list([*self.listed, *new])
        return reports

    def _held(self, digests: Sequence[str]) -> set[str]:
        """Those that are there: a list may name what is not there any more. All are asked for at once, lest a push that
        changes nothing wait for as many answers as there are artifacts, one after the other."""
        if not digests:
            return set()
        with ThreadPoolExecutor(min(_JOBS, len(digests))) as pool:
            found = pool.map(self._client.manifest_digest, digests)
            return {digest for digest, said in zip(digests, found, strict=True) if said == digest}

    def _push(self, artifact: Artifact, manifest: Manifest) -> dict[str, Any] | None:
        """Pushes an artifact; what to list it as, None if the registry has listed it itself."""
        contents = {manifest.blobs[0].digest: EMPTY, manifest.blobs[1].digest: artifact.data}
        for blob in manifest.blobs:
            if not self._client.has_blob(blob):
                push_bytes(self._client, blob, contents[blob.digest])
        listed = self._client.push_manifest(manifest, subject=self.subject.digest)
        if listed or not self._by_tag:
            return None
        return manifest.descriptor.to_json() | {"artifactType": artifact.kind}

    def _write_list(self, listed: list[dict[str, Any]]) -> None:
        """Two that do so at once may lose one, as the specification says."""
        document = {"schemaVersion": 2, "mediaType": MEDIA_TYPE_INDEX, "manifests": listed}
        data = json.dumps(document, separators=(",", ":")).encode()
        index = Descriptor(MEDIA_TYPE_INDEX, digests.of_bytes(data), len(data))
        self._client.push_manifest(Manifest(index, data, (), ()), fallback_tag(self.subject.digest))
        self.listed = listed


def push_bytes(client: RegistryClient, descriptor: Descriptor, data: bytes) -> None:
    """Uploads a blob that is held in memory."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "blob"
        file.write_bytes(data)
        client.push_blob(descriptor, file, lambda count: None)


def fetch_artifact(
    client: RegistryClient, digest: str, subject: str, most_bytes: int
) -> tuple[str, bytes, Mapping[str, str]]:
    """An artifact's type, the content of its one file, and its annotations.

    Raises:
      ReferrerError: it does not refer to `subject`, has not one file, or one of more than `most_bytes`.
      RegistryError: it is not there.
    """
    where = f"{client.repository}@{digest}"
    media_type, data = client.manifest(digest)
    try:
        document = json.loads(data)
        said = document["subject"]["digest"]
        kind = document.get("artifactType") or document["config"]["mediaType"]
        layers = [Descriptor.from_json(layer, where) for layer in document["layers"]]
        annotations = {str(key): str(value) for key, value in (document.get("annotations") or {}).items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ReferrerError(f"{where}: is not an artifact that refers to an image, but {media_type}") from None
    if said != subject:
        raise ReferrerError(f"{where}: is listed as referring to {subject}, but refers to {said}")
    if len(layers) != 1:
        raise ReferrerError(f"{where}: has {len(layers)} files, expected 1")
    if layers[0].size > most_bytes:
        raise ReferrerError(f"{where}: its file has {layers[0].size} bytes; at most {most_bytes} are read")
    return str(kind), fetch_bytes(client, layers[0]), annotations


def fetch_bytes(client: RegistryClient, descriptor: Descriptor) -> bytes:
    """Downloads a blob whose size is known to be small."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "blob"
        client.fetch_blob(descriptor, file)
        return file.read_bytes()
