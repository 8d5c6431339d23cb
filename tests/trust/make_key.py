"""Writes a pair of keys that is the same each time, for targets that have a key: no secret of anybody."""

import sys
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519


def main(private: str, public: str) -> None:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(b"a key that tests of targets have")
    pem = serialization.Encoding.PEM
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    Path(private).write_bytes(key.private_bytes(pem, *form))
    Path(public).write_bytes(key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))


main(*sys.argv[1:])
