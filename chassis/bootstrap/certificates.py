"""The certificates that this machine trusts, as Java reads them: a Bazel that is fetched here brings a Java of its own.

The form is Java's key store (JKS): certificates in DER under names, and a digest that no secret protects.
"""

from __future__ import annotations

import hashlib
import os
import ssl
import struct
from collections.abc import Mapping
from pathlib import Path

_MAGIC = 0xFEEDFEED
_VERSION = 2
_TRUSTED_CERTIFICATE = 2
_PASSWORD = "changeit"
"""What Java itself asks its own store with."""
_WHITENER = b"Mighty Aphrodite"
"""Part of the form: what the digest is made with beside the password."""
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
)


def find_bundle(environment: Mapping[str, str] = os.environ) -> Path | None:
    """The PEM file with the certificates that programs of this machine trust: OpenSSL's variable, then the system's."""
    named = [environment.get("SSL_CERT_FILE"), ssl.get_default_verify_paths().cafile, *_BUNDLES]
    return next((path for path in map(Path, filter(None, named)) if path.is_file()), None)


def key_store(pem: str) -> bytes:
    """A key store with each certificate of `pem`; what is not a certificate is passed over."""
    certificates = list(dict.fromkeys(_certificates(pem)))
    parts = [struct.pack(">III", _MAGIC, _VERSION, len(certificates))]
    for number, certificate in enumerate(certificates):
        parts.append(struct.pack(">I", _TRUSTED_CERTIFICATE) + _text(f"{number:04}") + struct.pack(">Q", 0))
        parts.append(_text("X.509") + struct.pack(">I", len(certificate)) + certificate)
    content = b"".join(parts)
    return content + hashlib.sha1(_PASSWORD.encode("utf-16-be") + _WHITENER + content).digest()


def write_key_store(bundle: Path | None, output: Path) -> None:
    """Makes `output` of the certificates of `bundle`, empty without one, in one step: others may be reading it."""
    temporary = output.with_name(f".{output.name}.{os.getpid()}")
    pem = bundle.read_text(encoding="utf-8", errors="replace") if bundle else ""
    temporary.write_bytes(key_store(pem) if pem else b"")
    temporary.replace(output)


def _certificates(pem: str) -> list[bytes]:
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    found = []
    for part in pem.split(begin)[1:]:
        body, ended, _ = part.partition(end)
        if ended:
            found.append(ssl.PEM_cert_to_DER_cert(begin + body + end))
    return found


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">H", len(data)) + data
