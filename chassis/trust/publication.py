"""What a push attaches to an image: its bills of materials, its provenance and its signatures.

All of it goes after the image itself and before its tags, so that who pulls a tag finds it whole. The documents are
artifacts of their own kinds, for `oras` and scanners; with a key, each is also a signed statement in a Sigstore bundle,
for `cosign verify-attestation`, and every manifest and index is signed, for `cosign verify`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chassis.errors import ChassisError
from chassis.oci.artifacts import (
    SKIPPED,
    UPLOADED,
    Artifact,
    ArtifactReport,
    SubjectReferrers,
    fetch_artifact,
    push_bytes,
)
from chassis.oci.descriptor import read_json
from chassis.oci.layout_reader import Manifest
from chassis.oci.registry.client import RegistryClient
from chassis.trust.errors import RecordError
from chassis.trust.statement import (
    CYCLONEDX,
    PROVENANCE,
    SIGNED_IMAGE,
    SPDX,
    Statement,
    encode_statement,
    read_statements,
)

if TYPE_CHECKING:
    from chassis.trust.image_signer import ImageSigner
    from chassis.trust.keys import Signer

BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
CYCLONEDX_TYPE, SPDX_TYPE, STATEMENT_TYPE = (
    "application/vnd.cyclonedx+json",
    "application/spdx+json",
    "application/vnd.in-toto+json",
)
_CONTENT, _PREDICATE = "dev.sigstore.bundle.content", "dev.sigstore.bundle.predicateType"
_MAX_BUNDLE_BYTES = 64 << 20
_MAX_LOOKED_AT = 200
_JOBS = 4


@dataclass(frozen=True, slots=True)
class ImageDocuments:
    """The documents about one image; those that are not wanted are None. `provenance` names the image."""

    cyclonedx: Path | None = None
    spdx: Path | None = None
    provenance: Path | None = None


@dataclass(frozen=True, slots=True)
class Publication:
    """What to attach: documents by the digest of their image, who signs, and the key for older tags, if they are wanted
    too."""

    documents: Mapping[str, tuple[Statement, ...]] = field(default_factory=dict)
    signer: ImageSigner | None = None
    tag_signer: Signer | None = None

    def check(self) -> None:
        """To be asked before anything is sent: raises what would keep it from being signed."""
        if self.signer is not None:
            self.signer.check()

    @property
    def fingerprint(self) -> str:
        """The digest of all that is attached, and of who signs it; "" if there is nothing."""
        if not self.documents and self.signer is None:
            return ""
        found = hashlib.sha256(f"{self.signer.name if self.signer else ''} {self.tag_signer is not None}\n".encode())
        for digest in sorted(self.documents):
            for statement in self.documents[digest]:
                found.update(encode_statement(statement) + b"\n")
        return f"sha256:{found.hexdigest()}"


def read_documents(images: Iterable[ImageDocuments]) -> dict[str, tuple[Statement, ...]]:
    """The documents of images, as statements, by the digest of the image.

    Raises:
      ChassisError: a file cannot be read, or they are of different images.
    """
    found: dict[str, tuple[Statement, ...]] = {}
    for image in images:
        statements: list[Statement] = []
        for path, kind in ((image.cyclonedx, CYCLONEDX), (image.spdx, SPDX)):
            if path is not None:
                document = read_json(path)
                statements.append(Statement("", _digest_of(document, path), kind, document))
        if image.provenance is not None:
            statements += read_statements(_read(image.provenance), str(image.provenance))
        digests = {statement.digest for statement in statements}
        if len(digests) > 1:
            raise RecordError(
                f"the documents of an image are of several: {', '.join(sorted(digests))}; build them again"
            )
        found |= {digest: tuple(statements) for digest in digests}
    return found


def _digest_of(document: Any, path: Path) -> str:
    """The image that a bill of materials is of."""
    try:
        if "bomFormat" in document:
            (found,) = (one["content"] for one in document["metadata"]["component"]["hashes"])
        else:
            described = next(
                one["relatedSpdxElement"] for one in document["relationships"] if one["relationshipType"] == "DESCRIBES"
            )
            package = next(one for one in document["packages"] if one["SPDXID"] == described)
            (found,) = (one["checksumValue"] for one in package["checksums"])
    except (KeyError, TypeError, ValueError, StopIteration):
        raise RecordError(f"{path}: is not the bill of materials of an image") from None
    return f"sha256:{found}"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RecordError(f"{path}: cannot be read: {error.strerror}") from None


def attach_all(
    client: RegistryClient, manifests: Sequence[Manifest], publication: Publication, dry_run: bool = False
) -> list[ArtifactReport]:
    """Attaches to each of `manifests`, which the registry has, what the publication has of it.

    Raises:
      ChassisError: the registry refuses something, or nothing could be signed; no tag was moved then.
    """
    with ThreadPoolExecutor(_JOBS) as pool:
        found = pool.map(lambda manifest: _attach(client, manifest, publication, dry_run), manifests)
        return [report for reports in found for report in reports]


def _attach(
    client: RegistryClient, manifest: Manifest, publication: Publication, dry_run: bool
) -> list[ArtifactReport]:
    digest = manifest.descriptor.digest
    statements = publication.documents.get(digest, ())
    signer = publication.signer
    if not statements and signer is None:
        return []
    artifacts = _documents(statements)
    if dry_run and not client.manifest_digest(digest):
        return [ArtifactReport(one.kind, one.name, "", digest, UPLOADED) for one in artifacts]
    referrers = SubjectReferrers(client, manifest.descriptor)
    reports: list[ArtifactReport] = []
    if signer is not None:
        signed = [Statement("", digest, SIGNED_IMAGE, {}), *statements]
        artifacts += _signed(client, referrers, signed, signer, reports, dry_run)
    reports += referrers.attach(artifacts, dry_run)
    if publication.tag_signer is not None:
        reports.append(_tag_signature(client, digest, publication.tag_signer, dry_run))
    if signer is None:
        return reports
    documents = (CYCLONEDX_TYPE, SPDX_TYPE, STATEMENT_TYPE)
    return [
        replace(one, signed_by=signer.where) if one.outcome == SKIPPED and one.kind not in documents else one
        for one in reports
    ]


def _documents(statements: Iterable[Statement]) -> list[Artifact]:
    found = []
    for statement in statements:
        if statement.predicate_type == PROVENANCE:
            found.append(Artifact(STATEMENT_TYPE, "provenance.json", encode_statement(statement)))
        else:
            cyclonedx = statement.predicate_type == CYCLONEDX
            kind, name = (CYCLONEDX_TYPE, "sbom.cdx.json") if cyclonedx else (SPDX_TYPE, "sbom.spdx.json")
            data = json.dumps(statement.predicate, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()
            found.append(Artifact(kind, name, data))
    return found


def _signed(
    client: RegistryClient,
    referrers: SubjectReferrers,
    statements: Sequence[Statement],
    signer: ImageSigner,
    reports: list[ArtifactReport],
    dry_run: bool,
) -> list[Artifact]:
    """The statements as bundles; without those that are there, if a signer gives other bytes each time."""
    there: set[bytes] | None = set() if signer.repeatable else None
    listed = _annotations(referrers)
    names = {SIGNED_IMAGE: "signature", PROVENANCE: "provenance", CYCLONEDX: "sbom.cdx", SPDX: "sbom.spdx"}
    found = []
    for statement in statements:
        name = f"{names[statement.predicate_type]}.sigstore.json"
        signed = signer.listed(statement, listed.get(statement.predicate_type, ()))
        if signed is None and there is None:
            there = _signed_already(client, referrers, signer)
        if signed is None and there and encode_statement(statement) in there:
            reports.append(ArtifactReport(BUNDLE_TYPE, name, "", statement.digest, SKIPPED))
            continue
        if signed is None and dry_run and not signer.repeatable:  # a log would have it for ever
            reports.append(ArtifactReport(BUNDLE_TYPE, name, "", statement.digest, UPLOADED))
            continue
        new = signed is None
        signed = signed or signer.signed(statement)
        about = bundle_annotations(statement.predicate_type)
        bundle = Artifact(BUNDLE_TYPE, name, signed.data, {**about, **signed.annotations})
        # Before there were annotations of signatures, the same bundle was attached without one.
        earlier = replace(bundle, annotations=about)
        found.append(earlier if new and _is_listed(referrers, earlier) else bundle)
    return found


def _is_listed(referrers: SubjectReferrers, artifact: Artifact) -> bool:
    digest = artifact.manifest(referrers.subject).descriptor.digest
    return any(entry["digest"] == digest for entry in referrers.listed)


def _annotations(referrers: SubjectReferrers) -> dict[str, list[Mapping[str, str]]]:
    """The annotations of the bundles that a registry lists, by what they say that they are about."""
    found: dict[str, list[Mapping[str, str]]] = {}
    for entry in referrers.listed[:_MAX_LOOKED_AT]:
        annotations: Mapping[str, str] = entry.get("annotations") or {}
        if entry.get("artifactType") == BUNDLE_TYPE:
            found.setdefault(annotations.get(_PREDICATE, ""), []).append(annotations)
    return found


def bundle_annotations(predicate_type: str) -> dict[str, str]:
    """The annotations of a bundle's artifact, as cosign writes them."""
    return {_CONTENT: "dsse-envelope", _PREDICATE: predicate_type}


def _signed_already(client: RegistryClient, referrers: SubjectReferrers, signer: ImageSigner) -> set[bytes]:
    found = set()
    for entry in referrers.listed[:_MAX_LOOKED_AT]:
        digest = entry["digest"]
        try:
            kind, data, _ = fetch_artifact(client, digest, referrers.subject.digest, _MAX_BUNDLE_BYTES)
            if kind == BUNDLE_TYPE:
                found |= {encode_statement(statement) for statement in signer.said(data, digest)}
        except ChassisError:  # another's
            continue
    return found


def _tag_signature(client: RegistryClient, digest: str, signer: Signer, dry_run: bool) -> ArtifactReport:
    """Signs in the form before bundles: signatures of others under the same tag stay."""
    from chassis.trust.simple_signature import PAYLOAD_TYPE, add_claim, claim, signature_tag

    tag = signature_tag(digest)
    payload = claim(str(client.repository), digest)
    current = client.manifest_digest(tag)
    existing = client.manifest(current)[1] if current else b""
    manifest, blobs = add_claim(existing, payload, signer, f"{client.repository}:{tag}")
    there = manifest.descriptor.digest == current
    if not there and not dry_run:
        for blob in manifest.blobs:
            if blob.digest in blobs and not client.has_blob(blob):
                push_bytes(client, blob, blobs[blob.digest])
        client.push_manifest(manifest, tag)
    return ArtifactReport(PAYLOAD_TYPE, tag, manifest.descriptor.digest, digest, SKIPPED if there else UPLOADED)
