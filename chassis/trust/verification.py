"""Verifies a published image: that a key or an identity signed it, and what they say of it.

From what a registry lists, each signature is taken or left for a reason; the image is good if one signature of the
image itself is. A registry is not believed: what it lists has to refer to the image, and be signed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chassis.errors import ChassisError
from chassis.oci.artifacts import fetch_artifact, fetch_bytes
from chassis.oci.referrer import referrers
from chassis.oci.registry.client import RegistryClient
from chassis.trust.bundle import MEDIA_TYPE, verify_bundle
from chassis.trust.errors import SignatureError
from chassis.trust.simple_signature import PAYLOAD_TYPE, SIGNATURE, signature_tag, signed_claims, verify_claim
from chassis.trust.statement import REBUILD, SIGNED_IMAGE, Statement
from chassis.trust.verifying_key import VerifyingIdentity, VerifyingKey

MAX_BUNDLE_BYTES = 64 << 20
MAX_LOOKED_AT = 200
_OF_SIGSTORE = "application/vnd.dev.sigstore.bundle"
# What cosign 3.1 lists its own bundles as where it writes the list itself.
_UNSAID = ("", "application/vnd.oci.empty.v1+json")


@dataclass(frozen=True, slots=True)
class Verified:
    """What a key said of an image: `statements` are those it signed, `forms` how the image itself is signed; `refused`
    are the signatures that were left, each with the reason."""

    digest: str
    statements: tuple[Statement, ...]
    forms: tuple[str, ...]
    refused: tuple[str, ...]


def verify_image(
    client: RegistryClient,
    digest: str,
    keys: Sequence[VerifyingKey],
    needed: Sequence[str] = (),
    *,
    identities: Sequence[VerifyingIdentity] = (),
) -> Verified:
    """Verifies the image or index `digest`: one of `keys` or of `identities` has to have signed it; `needed` are the
    predicate types of statements that have to be there, too.

    Whoever made the image again signs that alone: if nothing else is needed, no signature of the image is.

    Raises:
      SignatureError: none of them signed it, or what is needed is missing; the message has each reason.
      ChassisError: the registry does not answer.
    """
    refused: list[str] = []
    statements: list[Statement] = []
    forms = []
    candidates = [entry for entry in referrers(client, digest) if _may_be_bundle(entry.get("artifactType"))]
    if len(candidates) > MAX_LOOKED_AT:
        raise SignatureError(
            f"{client.repository}@{digest}: has {len(candidates)} signatures, at most {MAX_LOOKED_AT} are looked at"
        )
    for entry in candidates:
        try:
            kind, data, _ = fetch_artifact(client, entry["digest"], digest, MAX_BUNDLE_BYTES)
            if not kind.startswith(_OF_SIGSTORE):
                continue
            found = verify_bundle(data, keys, f"bundle {entry['digest']}", identities=identities)
            statements += _of_image(found, digest, entry["digest"])
        except ChassisError as error:
            refused.append(str(error))
    if any(statement.predicate_type == SIGNED_IMAGE for statement in statements):
        forms.append(MEDIA_TYPE)
    if keys and _verify_tag(client, digest, keys, refused):  # the older form is read with keys alone
        forms.append(PAYLOAD_TYPE)
    _check(
        client,
        digest,
        [*(key.where for key in keys), *(identity.where for identity in identities)],
        statements,
        forms,
        refused,
        needed,
    )
    return Verified(digest, tuple(statements), tuple(forms), tuple(refused))


def _may_be_bundle(kind: object) -> bool:
    return (isinstance(kind, str) and (kind.startswith(_OF_SIGSTORE) or kind in _UNSAID)) or kind is None


def _of_image(found: Sequence[Statement], digest: str, bundle: str) -> list[Statement]:
    of_image = [statement for statement in found if statement.digest == digest]
    if not of_image:
        others = ", ".join(sorted({statement.digest for statement in found})) or "nothing"
        raise SignatureError(f"bundle {bundle}: is the signature of another image, {others}")
    return of_image


def _verify_tag(client: RegistryClient, digest: str, keys: Sequence[VerifyingKey], refused: list[str]) -> bool:
    tag = signature_tag(digest)
    current = client.manifest_digest(tag)
    if not current:
        return False
    good = False
    try:
        layers = signed_claims(client.manifest(current)[1], f"{client.repository}:{tag}")
    except ChassisError as error:
        refused.append(str(error))
        return False
    for layer in layers[:MAX_LOOKED_AT]:
        where = f"signature {layer.digest} of the tag {tag}"
        try:
            if layer.size > MAX_BUNDLE_BYTES:
                raise SignatureError(f"{where}: has {layer.size} bytes")
            verify_claim(fetch_bytes(client, layer), layer.annotations.get(SIGNATURE, ""), digest, keys, where)
            good = True
        except ChassisError as error:
            refused.append(str(error))
    return good


def _check(
    client: RegistryClient,
    digest: str,
    who: Sequence[str],
    statements: Sequence[Statement],
    forms: Sequence[str],
    refused: Sequence[str],
    needed: Sequence[str],
) -> None:
    names = ", ".join(who)
    reasons = "".join(f"\n  {reason}" for reason in refused[:10])
    said = {statement.predicate_type for statement in statements}
    missing = [kind for kind in needed if kind not in said]
    if not forms and (missing or set(needed) != {REBUILD}):
        what = "no signature of it verifies" if refused else "is not signed"
        raise SignatureError(f"{client.repository}@{digest}: {what} with {names}{reasons}")
    if missing:
        kinds = ", ".join(missing)
        raise SignatureError(
            f"{client.repository}@{digest}: is signed, but {names} says nothing of the kind {kinds}{reasons}"
        )
