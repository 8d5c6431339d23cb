"""Sigstore bundles v0.3 with an in-toto statement, signed by a key or an identity (github.com/sigstore/protobuf-specs,
sigstore_bundle).

The envelope is DSSE (github.com/secure-systems-lab/dsse): what is signed is the payload with its type before it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chassis.trust.errors import SignatureError
from chassis.trust.image_signer import SignedBundle
from chassis.trust.statement import PAYLOAD_TYPE, Statement, encode_statement, read_statements
from chassis.trust.verifying_key import VerifyingIdentity, VerifyingKey

if TYPE_CHECKING:
    from chassis.trust.keys import Signer

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
SIGNATURE = "dev.chassis.signature"
"""The annotation of a bundle's artifact with its signature. Lists of an image's artifacts have it, so that a push knows
what it has signed without fetching bundles, and without opening its key."""

_FAMILY = "application/vnd.dev.sigstore.bundle"
_MAX_BYTES = 64 << 20
_MAX_SIGNATURES = 16
_MAX_MARKS = 100_000
"""Of `[`, `{` and `,`: the payload of a bundle is a single text. Lists of nothing take thirty times their bytes."""


def sign_statement(statement: Statement, signer: Signer) -> bytes:
    """The bundle with the signed statement, as JSON."""
    payload = encode_statement(statement)
    return _bundle(payload, signer.sign(pre_authentication(PAYLOAD_TYPE, payload)), signer)


def _bundle(payload: bytes, signature: bytes, signer: Signer) -> bytes:
    bundle: dict[str, Any] = {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": signer.public.hint}},
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"sig": base64.b64encode(signature).decode()}],
        },
    }
    return json.dumps(bundle, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class KeySigner:
    """An `ImageSigner` that signs with a key."""

    signer: Signer

    @property
    def repeatable(self) -> bool:
        """Whether the same statement gets the same bundle each time."""
        return self.signer.repeatable

    @property
    def name(self) -> str:
        """The digest of the public key."""
        return self.signer.public.hint

    @property
    def where(self) -> str:
        """The file that the public key is of, or what else gave it."""
        return self.signer.public.where

    def check(self) -> None:
        """Opens the key; raises `SigningKeyError` if it cannot be."""
        self.signer.check()

    def signed(self, statement: Statement) -> SignedBundle:
        """Signs the statement."""
        payload = encode_statement(statement)
        return self._made(payload, self.signer.sign(pre_authentication(PAYLOAD_TYPE, payload)))

    def listed(self, statement: Statement, annotations: Sequence[Mapping[str, str]]) -> SignedBundle | None:
        """The bundle of the statement that is listed already: a list is believed if its signature is this key's."""
        payload = encode_statement(statement)
        message = pre_authentication(PAYLOAD_TYPE, payload)
        for entry in annotations:
            try:
                signature = base64.b64decode(entry.get(SIGNATURE, ""), validate=True)
            except ValueError:
                continue
            if signature and self.signer.public.verifies(signature, message):
                return self._made(payload, signature)
        return None

    def _made(self, payload: bytes, signature: bytes) -> SignedBundle:
        return SignedBundle(_bundle(payload, signature, self.signer), {SIGNATURE: base64.b64encode(signature).decode()})

    def said(self, bundle: bytes, where: str) -> list[Statement]:
        """The statements in a bundle, if this key signed it; else `SignatureError`."""
        return verify_bundle(bundle, [self.signer.public], where)


def verify_bundle(
    data: bytes, keys: Sequence[VerifyingKey], where: str, *, identities: Sequence[VerifyingIdentity] = ()
) -> list[Statement]:
    """The statements in a bundle, once for each subject, if one of `keys` or of `identities` signed it.

    Raises:
      SignatureError: it is not a bundle, another signed it, or what was signed was changed.
    """
    payload_type, payload, signatures = _envelope(data, where)
    if payload_type != PAYLOAD_TYPE:
        raise SignatureError(f"{where}: signs {payload_type!r}, expected {PAYLOAD_TYPE!r}")
    message = pre_authentication(payload_type, payload)
    if any(key.verifies(signature, message) for key in keys for signature in signatures):
        return read_statements(payload, where)
    reasons = []
    for identity in identities:
        try:
            # What the identity's library read, lest it read another payload than this file did.
            return read_statements(identity.payload(data), where)
        except SignatureError as error:
            reasons.append(f": {error}")
    names = ", ".join([*(key.where for key in keys), *(identity.where for identity in identities)])
    raise SignatureError(f"{where}: is not signed by {names}, or was changed since{''.join(reasons)}")


def _envelope(data: bytes, where: str) -> tuple[str, bytes, list[bytes]]:
    """Type and payload of what a bundle signs, and its signatures, none of which is verified."""
    if len(data) > _MAX_BYTES:
        raise SignatureError(f"{where}: is larger than any bundle ({_MAX_BYTES} bytes)")
    if sum(map(data.count, (b"[", b"{", b","))) > _MAX_MARKS:
        raise SignatureError(f"{where}: is not a Sigstore bundle: it has more parts than any")
    try:
        bundle = json.loads(data)
        if not str(bundle["mediaType"]).startswith(_FAMILY):
            raise ValueError(f"its media type is {bundle['mediaType']!r}")
        envelope = bundle.get("dsseEnvelope")
        if envelope is None:
            raise SignatureError(
                f"{where}: has no signed statement, but a bare signature, which says nothing of an image"
            )
        payload = base64.b64decode(envelope["payload"], validate=True)
        signatures = [base64.b64decode(one["sig"], validate=True) for one in envelope["signatures"][:_MAX_SIGNATURES]]
        return str(envelope["payloadType"]), payload, signatures
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SignatureError(f"{where}: is not a Sigstore bundle, or cut short: {str(error)[:200]}") from None


def pre_authentication(payload_type: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding (protocol.md)."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
