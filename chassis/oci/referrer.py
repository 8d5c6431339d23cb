"""Artifacts that refer to an image, such as its SBOM or a signature, and the list of them that a registry keeps.

Specification: OCI distribution specification 1.1, "Pushing Manifests with Subject" and "Referrers Tag Schema"; OCI
image specification 1.1, manifest.md ("Guidelines for Artifact Usage").
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chassis.errors import ChassisError
from chassis.oci import digest as digests
from chassis.oci.descriptor import MEDIA_TYPE_INDEX, MEDIA_TYPE_MANIFEST, Descriptor
from chassis.oci.layout_reader import Manifest
from chassis.oci.registry.client import RegistryClient

EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
EMPTY = b"{}"
TITLE = "org.opencontainers.image.title"
_MAX_REFERRERS = 10_000


class ReferrerError(ChassisError):
    """An artifact cannot be attached to an image, or the list of an image's artifacts is malformed."""


@dataclass(frozen=True, slots=True)
class ArtifactFile:
    """A file of an artifact, with its media type."""

    path: Path
    media_type: str


@dataclass(frozen=True, slots=True)
class Attached:
    """An artifact that was pushed; `tag` is that of the fallback's index, "" if the registry lists referrers."""

    descriptor: Descriptor
    tag: str


def attach(
    client: RegistryClient,
    subject_digest: str,
    artifact_type: str,
    files: Sequence[ArtifactFile],
    annotations: Mapping[str, str] | None = None,
) -> Attached:
    """Pushes an artifact of `files` that refers to the manifest or index `subject_digest` of the same repository. Where
    the registry has no referrers API, the artifact is added to the index under the subject's fallback tag.

    The same files give the same artifact: attaching it again changes nothing.

    Raises:
      ReferrerError: the subject is not there, or the fallback's index is malformed.
      RegistryError: the registry refuses something; the list of referrers is then as it was.
    """
    if "/" not in artifact_type:
        raise ReferrerError(f"artifact type {artifact_type!r}: a media type is expected, such as application/spdx+json")
    if not files:
        raise ReferrerError(f"artifact {artifact_type}: has no file")
    subject = _subject(client, subject_digest)
    layers = [_push_file(client, file) for file in files]
    config = Descriptor(EMPTY_TYPE, digests.of_bytes(EMPTY), len(EMPTY))
    _push_bytes(client, config, EMPTY)
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": MEDIA_TYPE_MANIFEST,
        "artifactType": artifact_type,
        "config": config.to_json(),
        "layers": [layer.to_json() for layer in layers],
        "subject": subject.to_json(),
    }
    if annotations:
        document["annotations"] = dict(sorted(annotations.items()))
    data = json.dumps(document, separators=(",", ":")).encode()
    descriptor = Descriptor(MEDIA_TYPE_MANIFEST, digests.of_bytes(data), len(data), dict(annotations or {}))
    listed = client.push_manifest(Manifest(descriptor, data, (), (config, *layers)), subject=subject_digest)
    tag = "" if listed else _list_by_tag(client, subject_digest, descriptor, artifact_type)
    return Attached(descriptor, tag)


def referrers(client: RegistryClient, subject_digest: str) -> list[dict[str, Any]]:
    """The descriptors of what refers to a manifest, each with its `artifactType`: from the registry's referrers API,
    else from the fallback's index.

    Raises:
      ReferrerError: the list is malformed.
    """
    found = client.referrers(subject_digest)
    if found is None:
        current = client.manifest_digest(fallback_tag(subject_digest))
        found = [client.manifest(current)[1]] if current else []
    return listed_manifests(found, f"{client.repository}: the referrers of {subject_digest}")


def listed_manifests(pages: Sequence[bytes], where: str) -> list[dict[str, Any]]:
    """The descriptors in the pages of a list of referrers.

    Raises:
      ReferrerError: a page is malformed, or there are more than an image has.
    """
    listed = [entry for page in pages for entry in _manifests(page, where)]
    if len(listed) > _MAX_REFERRERS:
        raise ReferrerError(f"{where}: are more than {_MAX_REFERRERS}")
    return listed


def fallback_tag(digest: str) -> str:
    """The tag of the index that lists a manifest's referrers if the registry does not: `sha256-<hex>`."""
    return digest.replace(":", "-", 1)


def _subject(client: RegistryClient, digest: str) -> Descriptor:
    if client.manifest_digest(digest) != digest:
        raise ReferrerError(f"{client.repository}@{digest}: is not there; push the image before what refers to it")
    media_type, data = client.manifest(digest)
    return Descriptor(media_type, digest, len(data))


def _push_file(client: RegistryClient, file: ArtifactFile) -> Descriptor:
    try:
        digest, size = digests.of_file(file.path)
    except OSError as error:
        raise ReferrerError(f"{file.path}: cannot be read: {error.strerror}") from None
    descriptor = Descriptor(file.media_type, digest, size)
    if not client.has_blob(descriptor):
        client.push_blob(descriptor, file.path, lambda count: None)
    return replace(descriptor, annotations={TITLE: file.path.name})


def _push_bytes(client: RegistryClient, descriptor: Descriptor, data: bytes) -> None:
    if not client.has_blob(descriptor):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "blob"
            file.write_bytes(data)
            client.push_blob(descriptor, file, lambda count: None)


def _list_by_tag(client: RegistryClient, subject: str, descriptor: Descriptor, artifact_type: str) -> str:
    """Adds the artifact to the fallback's index. Two that do so at once may lose one, as the specification says."""
    tag = fallback_tag(subject)
    current = client.manifest_digest(tag)
    listed: list[dict[str, Any]] = []
    if current:
        listed = _manifests(client.manifest(current)[1], f"{client.repository}:{tag}")
    if any(entry.get("digest") == descriptor.digest for entry in listed):
        return tag
    listed.append(descriptor.to_json() | {"artifactType": artifact_type})
    data = json.dumps(
        {"schemaVersion": 2, "mediaType": MEDIA_TYPE_INDEX, "manifests": listed}, separators=(",", ":")
    ).encode()
    index = Descriptor(MEDIA_TYPE_INDEX, digests.of_bytes(data), len(data))
    client.push_manifest(Manifest(index, data, (), ()), tag)
    return tag


def _manifests(data: bytes, where: str) -> list[dict[str, Any]]:
    try:
        listed: list[dict[str, Any]] = json.loads(data)["manifests"]
        valid = isinstance(listed, list) and len(listed) <= _MAX_REFERRERS
    except (ValueError, KeyError, TypeError, RecursionError):
        valid = False
    if not valid or not all(isinstance(entry, dict) for entry in listed):
        raise ReferrerError(f"{where}: is not an index of manifests")
    for entry in listed:
        Descriptor.from_json(entry, where)
    return listed
