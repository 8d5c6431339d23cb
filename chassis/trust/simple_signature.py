"""The form of signatures before bundles: an image under the tag `sha256-<hex>.sig`, whose layers are signed claims.

Specification: github.com/sigstore/cosign, specs/SIGNATURE_SPEC.md.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from chassis.oci import digest as digests
from chassis.oci.descriptor import MEDIA_TYPE_CONFIG, MEDIA_TYPE_MANIFEST, Descriptor
from chassis.oci.layout_reader import Manifest
from chassis.trust.errors import SignatureError
from chassis.trust.verifying_key import VerifyingKey

if TYPE_CHECKING:
    from chassis.trust.keys import Signer

PAYLOAD_TYPE = "application/vnd.dev.cosign.simplesigning.v1+json"
SIGNATURE = "dev.cosignproject.cosign/signature"


def signature_tag(digest: str) -> str:
    """The tag that holds an image's signatures."""
    return digest.replace(":", "-", 1) + ".sig"


def claim(repository: str, digest: str) -> bytes:
    """What is signed: that this is the image of the repository."""
    document = {
        "critical": {
            "identity": {"docker-reference": repository},
            "image": {"docker-manifest-digest": digest},
            "type": "cosign container image signature",
        },
        "optional": None,
    }
    return json.dumps(document, separators=(",", ":")).encode()


def add_claim(existing: bytes, payload: bytes, signer: Signer, where: str) -> tuple[Manifest, dict[str, bytes]]:
    """The manifest with the signed claim after those of `existing` (a manifest, or nothing), and the blobs that may be
    new, by digest. Nothing is added if this signer's signature of the claim is there.

    Raises:
      SignatureError: what is there is not such a manifest.
    """
    layers = signed_claims(existing, where) if existing else []
    digest = digests.of_bytes(payload)
    for layer in layers:
        there = layer.annotations.get(SIGNATURE, "")
        if layer.digest == digest and signer.public.verifies(_decoded(there, where), payload):
            descriptor = Descriptor(MEDIA_TYPE_MANIFEST, digests.of_bytes(existing), len(existing))
            return Manifest(descriptor, existing, (), tuple(layers)), {}
    signature = base64.b64encode(signer.sign(payload)).decode()
    layers.append(Descriptor(PAYLOAD_TYPE, digest, len(payload), {SIGNATURE: signature}))
    config: dict[str, Any] = {
        "architecture": "",
        "config": {},
        "os": "",
        "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
    }
    config_data = json.dumps(config, separators=(",", ":")).encode()
    configuration = Descriptor(MEDIA_TYPE_CONFIG, digests.of_bytes(config_data), len(config_data))
    document = {
        "schemaVersion": 2,
        "mediaType": MEDIA_TYPE_MANIFEST,
        "config": configuration.to_json(),
        "layers": [layer.to_json() for layer in layers],
    }
    data = json.dumps(document, separators=(",", ":")).encode()
    descriptor = Descriptor(MEDIA_TYPE_MANIFEST, digests.of_bytes(data), len(data))
    blobs = {configuration.digest: config_data, digest: payload}
    return Manifest(descriptor, data, (), (configuration, *layers)), blobs


def signed_claims(manifest: bytes, where: str) -> list[Descriptor]:
    """The signed claims that a manifest lists.

    Raises:
      SignatureError: it is not such a manifest.
    """
    try:
        rows = json.loads(manifest)["layers"]
        layers = [Descriptor.from_json(row, where) for row in rows]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise SignatureError(f"{where}: is not a manifest of signatures") from None
    return [layer for layer in layers if layer.media_type == PAYLOAD_TYPE]


def _decoded(signature: str, where: str) -> bytes:
    try:
        return base64.b64decode(signature, validate=True)
    except ValueError:
        raise SignatureError(f"{where}: its signature is not base64") from None


def verify_claim(payload: bytes, signature: str, digest: str, keys: Sequence[VerifyingKey], where: str) -> None:
    """Checks that one of `keys` signed that `payload` is a claim about the image `digest`.

    Raises:
      SignatureError: it is not so.
    """
    signed = _decoded(signature, where)
    if not any(key.verifies(signed, payload) for key in keys):
        raise SignatureError(f"{where}: is not signed by {', '.join(key.where for key in keys)}, or was changed since")
    try:
        claimed = json.loads(payload)["critical"]["image"]["docker-manifest-digest"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise SignatureError(f"{where}: what is signed is not a claim about an image") from None
    if claimed != digest:
        raise SignatureError(f"{where}: is the signature of another image, {claimed}")
