"""in-toto statements: what something says of an image (github.com/in-toto/attestation, spec/v1/statement.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chassis.trust.errors import SignatureError

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
PROVENANCE = "https://slsa.dev/provenance/v1"
CYCLONEDX = "https://cyclonedx.org/bom"
SPDX = "https://spdx.dev/Document"
BUILD_TYPE = "https://chassis.dev/build/image/v1"
"""What provenance calls a build of these rules."""

REBUILD = "https://chassis.dev/attestation/rebuild/v1"
"""That an image was made again, and is the same."""

SIGNED_IMAGE = "https://sigstore.dev/cosign/sign/v1"
"""What cosign 3 signs: the image, and nothing said of it."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement about one image: `digest` is the image's (`sha256:…`), `name` is for people and may be empty."""

    name: str
    digest: str
    predicate_type: str
    predicate: Mapping[str, Any]


def encode_statement(statement: Statement) -> bytes:
    """The statement as JSON, the same bytes for the same statement."""
    algorithm, _, digest = statement.digest.partition(":")
    subject: dict[str, Any] = {"digest": {algorithm: digest}}
    if statement.name:
        subject["name"] = statement.name
    document = {
        "_type": STATEMENT_TYPE,
        "subject": [subject],
        "predicateType": statement.predicate_type,
        "predicate": statement.predicate,
    }
    return json.dumps(document, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()


def read_statements(data: bytes, where: str) -> list[Statement]:
    """A statement, once for each of its subjects.

    Raises:
      SignatureError: it is not one.
    """
    try:
        document = json.loads(data)
        if document["_type"] not in (STATEMENT_TYPE, "https://in-toto.io/Statement/v0.1"):
            raise ValueError(f"its type is {document['_type']!r}")
        return [
            Statement(
                str(subject.get("name", "")),
                f"sha256:{subject['digest']['sha256']}",
                str(document["predicateType"]),
                dict(document.get("predicate") or {}),
            )
            for subject in document["subject"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SignatureError(f"{where}: is not an in-toto statement: {error!r}") from None
