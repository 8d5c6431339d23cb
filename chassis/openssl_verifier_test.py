"""OpenSSL verifies what `cryptography` signs, by each kind of key, and nothing else."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, x25519

from chassis.openssl_verifier import OpenSslKey, VerifierError

PUBLIC = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo


def signed(kind: str, data: bytes) -> tuple[bytes, bytes]:
    """A new public key in PEM, and its signature of some bytes."""
    if kind == "ed25519":
        own = ed25519.Ed25519PrivateKey.generate()
        return own.public_key().public_bytes(*PUBLIC), own.sign(data)
    if kind == "rsa":
        key = rsa.generate_private_key(65537, 2048)
        return key.public_key().public_bytes(*PUBLIC), key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    curve, digest = {
        "P-256": (ec.SECP256R1(), hashes.SHA256()),
        "P-384": (ec.SECP384R1(), hashes.SHA384()),
        "P-521": (ec.SECP521R1(), hashes.SHA512()),
    }[kind]
    elliptic = ec.generate_private_key(curve)
    return elliptic.public_key().public_bytes(*PUBLIC), elliptic.sign(data, ec.ECDSA(digest))


@pytest.mark.parametrize("kind", ["P-256", "P-384", "P-521", "ed25519", "rsa"])
def test_a_signature_is_taken_of_its_bytes_and_key_alone(kind: str) -> None:
    pem, signature = signed(kind, b"data")
    key = OpenSslKey(pem, "key")
    assert key.verifies(signature, b"data")
    assert not key.verifies(signature, b"date")
    assert not key.verifies(signature[:-1] + bytes([signature[-1] ^ 1]), b"data")
    for other in (b"", b"\0" * 64, signed(kind, b"data")[1]):
        assert not key.verifies(other, b"data")
    assert key.verifies(signature, b"data")


def test_keys_that_sign_nothing_are_refused() -> None:
    weak = rsa.generate_private_key(65537, 1024).public_key().public_bytes(*PUBLIC)
    curve = ec.generate_private_key(ec.SECP256K1()).public_key().public_bytes(*PUBLIC)
    agreement = x25519.X25519PrivateKey.generate().public_key().public_bytes(*PUBLIC)
    for pem in (weak, agreement, curve):
        with pytest.raises(VerifierError, match="key: expected a key of ECDSA"):
            OpenSslKey(pem, "key")
    for pem in (b"", b"hello", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"):
        with pytest.raises(VerifierError, match="key: is not a public key in PEM"):
            OpenSslKey(pem, "key")
