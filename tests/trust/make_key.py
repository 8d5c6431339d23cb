"""Writes a pair of keys that is the same each time, for targets that have a key: no secret of anybody."""

import sys
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519


def main(kind: str, private: str, public: str) -> None:
    if kind == "ecdsa":
        key = ec.derive_private_key(0x6B6579206F66207465737473, ec.SECP256R1())
    else:
        key = ed25519.Ed25519PrivateKey.from_private_bytes(b"a key that tests of targets have")
    pem = serialization.Encoding.PEM
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    Path(private).write_bytes(key.private_bytes(pem, *form))
    Path(public).write_bytes(key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))


main(*sys.argv[1:])
