"""Signs a model's files in OpenSSF's format of model signatures (github.com/sigstore/model-transparency).

What is signed are /app/model and /app/data as an image has them, by the digests that their layers' lists of files have:
no layer is read. The server verifies it (chassis/runtime/core/signed_model.py), and so does `model_signing verify`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from chassis.oci.descriptor import LayerFile
from chassis.trust.bundle import MEDIA_TYPE, pre_authentication
from chassis.trust.errors import SigningKeyError, TrustError
from chassis.trust.keys import Signer
from chassis.trust.statement import PAYLOAD_TYPE, STATEMENT_TYPE

MODEL_SIGNATURE = "https://model_signing/signature/v1.0"
_ROOT = "app/"
_SIGNED = ("app/data", "app/model")
_IGNORED = ["code", "model.sig"]
"""Below /app, and not the model's."""


def sign_model(files: Iterable[LayerFile], signer: Signer) -> bytes:
    """The signature of what is below app/model and app/data of `files`, as a Sigstore bundle: always the same bytes.

    Raises:
      SigningKeyError: the key is of a kind that signs no models.
      TrustError: there is a link among the files, or no model.
    """
    key = signer.public.key
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise SigningKeyError(
            f"{signer.public.where}: models are signed with ECDSA; `cosign generate-key-pair` makes one"
        )
    payload = json.dumps(_statement(_digests(files)), separators=(",", ":"), sort_keys=True).encode()
    signature = signer.sign(pre_authentication(PAYLOAD_TYPE, payload))
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    bundle = {
        "mediaType": MEDIA_TYPE,
        # Another hint than cosign's: so the format has it.
        "verificationMaterial": {"publicKey": {"hint": hashlib.sha256(pem).hexdigest()}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": ""}],
        },
    }
    return json.dumps(bundle, separators=(",", ":")).encode() + b"\n"


def _digests(files: Iterable[LayerFile]) -> dict[str, str]:
    """The digest of each file of the model, by its path below /app; the last that is put somewhere counts."""
    found = {}
    for file in files:
        if not file.path.startswith(tuple(f"{folder}/" for folder in _SIGNED)):
            continue
        if file.type == "file":
            found[file.path.removeprefix(_ROOT)] = file.digest.partition(":")[2]
        elif file.type != "dir":
            raise TrustError(
                f"/{file.path}: is a link, which a signature of a model cannot hold; let `data` have files"
            )
    if "model/model.pkl" not in found:
        raise TrustError("nothing to sign: no layer has /app/model/model.pkl")
    return found


def _statement(digests: dict[str, str]) -> dict[str, Any]:
    resources = [{"algorithm": "sha256", "digest": digests[name], "name": name} for name in sorted(digests)]
    whole = hashlib.sha256(b"".join(bytes.fromhex(digests[name]) for name in sorted(digests))).hexdigest()
    serialization_of = {"allow_symlinks": False, "hash_type": "sha256", "ignore_paths": _IGNORED, "method": "files"}
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"digest": {"sha256": whole}, "name": "app"}],
        "predicateType": MODEL_SIGNATURE,
        "predicate": {"resources": resources, "serialization": serialization_of},
    }
