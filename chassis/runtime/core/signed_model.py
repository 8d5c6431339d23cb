"""Compares the files of the model with what a key signed, in OpenSSF's format of model signatures.

The signature is `/app/model.sig`: a Sigstore bundle with an in-toto statement, whose predicate lists each file below
/app with its digest (github.com/sigstore/model-transparency; `model_signing verify` reads the same). OpenSSL verifies,
which Python itself brings into each image: no other package is needed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterator
from typing import Any

from chassis.errors import ChassisError
from chassis.openssl_verifier import OpenSslKey

SIGNATURE_FILE = "model.sig"
PREDICATE = "https://model_signing/signature/v1.0"
PAYLOAD = "application/vnd.in-toto+json"
_MAX_BYTES = 64 << 20
_CHUNK = 1 << 20


class SignedModelError(ChassisError):
    """The model's files are not those that the key signed."""


def check_signed(model_dir: str, key: str) -> int:
    """Compares the model in `model_dir`, with all else that was signed beside it; returns the number of files.

    `key` is a public key in PEM, or the path of one.

    Raises:
      VerifierError: the key is none.
      SignedModelError: the key did not sign it, or a file was changed, added or taken away; the message names it.
    """
    root, name = os.path.split(model_dir.rstrip("/"))
    path = f"{root}/{SIGNATURE_FILE}"
    try:
        data = _read(path)
    except FileNotFoundError:
        raise SignedModelError(
            f"CHASSIS_MODEL_KEY is set, and {path} is not there: build the image with `model_key`"
        ) from None
    payload = _signed_payload(data, OpenSslKey(_key_text(key), "CHASSIS_MODEL_KEY"), path)
    try:
        expected, ignored, links = _files(json.loads(payload))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SignedModelError(f"{path}: is not the signature of a model: {error!r}") from None
    if f"{name}/model.pkl" not in expected:
        raise SignedModelError(f"{path}: signs another model: {name}/model.pkl is not among its files")
    there = dict(_walk(root, ignored, links))
    for file, digest in expected.items():
        if file not in there:
            raise SignedModelError(f"{root}/{file}: was signed, and is not there")
        if _digest(there[file]) != digest:
            raise SignedModelError(f"{root}/{file}: was changed since it was signed")
    if added := sorted(there.keys() - expected.keys()):
        raise SignedModelError(f"{root}/{added[0]}: was not signed, and would be read as part of the model")
    return len(expected)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise SignedModelError(f"{path}: is larger than any signature ({_MAX_BYTES} bytes)")
    return data


def _key_text(key: str) -> bytes:
    if key.startswith("-----BEGIN"):
        return key.encode()
    try:
        return _read(key)
    except OSError as error:
        raise SignedModelError(f"CHASSIS_MODEL_KEY={key}: cannot be read: {error.strerror}") from None


def _signed_payload(data: bytes, key: OpenSslKey, path: str) -> bytes:
    """The statement in a bundle, if `key` signed it."""
    try:
        envelope = json.loads(data)["dsseEnvelope"]
        payload = base64.b64decode(envelope["payload"], validate=True)
        kind = str(envelope["payloadType"])
        signature = base64.b64decode(envelope["signatures"][0]["sig"], validate=True)
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise SignedModelError(f"{path}: is not a Sigstore bundle, or cut short: {error!r}") from None
    message = b"DSSEv1 %d %b %d %b" % (len(kind), kind.encode(), len(payload), payload)
    if kind != PAYLOAD or not key.verifies(signature, message):
        raise SignedModelError(f"{path}: is not signed by the key in CHASSIS_MODEL_KEY, or was changed since")
    return payload


def _files(statement: dict[str, Any]) -> tuple[dict[str, str], frozenset[str], bool]:
    """The digest of each file that was signed, the paths that were not, and whether links are followed."""
    predicate = statement["predicate"]
    how = predicate["serialization"]
    if statement["predicateType"] != PREDICATE or how["method"] != "files" or how["hash_type"] != "sha256":
        raise ValueError(f"it is a {statement['predicateType']!r} of {how!r}")
    files = {str(one["name"]): str(one["digest"]) for one in predicate["resources"]}
    return files, frozenset(str(one) for one in how.get("ignore_paths") or ()), how.get("allow_symlinks") is True


def _walk(root: str, ignored: frozenset[str], links: bool) -> Iterator[tuple[str, str]]:
    """Each file below `root` that is not ignored: its name, with `/`, and its path."""
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        with os.scandir(f"{root}/{folder}") as entries:
            for entry in entries:
                name = f"{folder}/{entry.name}" if folder else entry.name
                if name in ignored:
                    continue
                if entry.is_symlink() and not links:
                    raise SignedModelError(f"{root}/{name}: is a link, and only files were signed")
                if entry.is_dir():
                    waiting.append(name)
                else:
                    yield name, entry.path


def _digest(path: str) -> str:
    found = hashlib.sha256()
    try:
        with open(path, "rb", buffering=0) as file:
            while chunk := file.read(_CHUNK):
                found.update(chunk)
    except OSError as error:
        raise SignedModelError(f"{path}: cannot be read: {error.strerror}") from None
    return found.hexdigest()
