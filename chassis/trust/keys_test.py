"""Keys of every kind that signs images, and files that are not keys. tests/trust has private keys that cosign made."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from nacl.secret import SecretBox

from chassis.trust.errors import SigningKeyError
from chassis.trust.keys import read_public_key, read_signer

PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
PKCS8, SPKI = serialization.PrivateFormat.PKCS8, serialization.PublicFormat.SubjectPublicKeyInfo
PLAIN = serialization.NoEncryption()
P256 = ec.generate_private_key(ec.SECP256R1())


def cosign_key(key: Any, password: bytes, **changes: Any) -> bytes:
    """What `cosign generate-key-pair` writes, with a cheap scrypt; `changes` replace fields of its JSON."""
    salt, nonce = b"s" * 32, b"n" * 24
    sealed = Scrypt(salt=salt, length=32, n=2, r=8, p=1).derive(password)
    secret = SecretBox(sealed).encrypt(key.private_bytes(DER, PKCS8, PLAIN), nonce).ciphertext

    def text(data: bytes) -> str:
        return base64.b64encode(data).decode()

    fields = {
        "kdf": {"name": "scrypt", "params": {"N": 2, "r": 8, "p": 1}, "salt": text(salt)},
        "cipher": {"name": "nacl/secretbox", "nonce": text(nonce)},
        "ciphertext": text(secret),
    } | changes
    body = text(json.dumps(fields).encode())
    label = "ENCRYPTED SIGSTORE PRIVATE KEY"
    return f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n".encode()


@pytest.mark.parametrize(
    "key",
    [
        P256,
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP521R1()),
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 2048),
    ],
    ids=["P-256", "P-384", "P-521", "Ed25519", "RSA"],
)
def test_a_key_of_each_kind_signs_the_same_each_time(tmp_path: Path, key: Any) -> None:
    for name, content, password in (
        ("plain.pem", key.private_bytes(PEM, PKCS8, PLAIN), None),
        ("sealed.pem", key.private_bytes(PEM, PKCS8, serialization.BestAvailableEncryption(b"pw")), "pw"),
        ("cosign.key", cosign_key(key, b"pw"), "pw"),
    ):
        (tmp_path / name).write_bytes(content)
        (tmp_path / "key.pub").write_bytes(key.public_key().public_bytes(PEM, SPKI))
        signer = read_signer(tmp_path / name, password)
        public = read_public_key(tmp_path / "key.pub")
        assert signer.sign(b"text") == signer.sign(b"text")
        assert public.verifies(signer.sign(b"text"), b"text")
        assert not public.verifies(signer.sign(b"text"), b"other")
        assert not public.verifies(b"", b"text")
        assert public.hint == signer.public.hint


@pytest.mark.parametrize(
    ("content", "password", "reason"),
    [
        (b"", None, "is not a private key in PEM"),
        (b"\xff" * 100, None, "is not a private key in PEM"),
        (b"x" * 70_000, None, "is larger than any key"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", None, "is a damaged key"),
        (P256.public_key().public_bytes(PEM, SPKI), None, "is a public key; signing takes the private one"),
        (cosign_key(P256, b"pw"), None, "the key is encrypted; set COSIGN_PASSWORD"),
        (cosign_key(P256, b"pw"), "no", "the password is wrong"),
        (cosign_key(P256, b"pw", ciphertext="AAAA"), "pw", "the password is wrong"),
        (cosign_key(P256, b"pw", cipher={}), "pw", "is a damaged key"),
        (cosign_key(P256, b"pw", cipher={"name": "rot13", "nonce": ""}), "pw", "'rot13'; scrypt and nacl/secretbox"),
        (
            cosign_key(P256, b"pw", kdf={"name": "scrypt", "salt": "", "params": {"N": 1 << 30, "r": 8, "p": 1}}),
            "pw",
            "asks for more work than any honest key",
        ),
        (
            cosign_key(P256, b"pw", kdf={"name": "scrypt", "salt": "", "params": {"N": 3, "r": 8, "p": 1}}),
            "pw",
            "is a damaged key",
        ),
        (
            P256.private_bytes(PEM, PKCS8, serialization.BestAvailableEncryption(b"pw")),
            "no",
            "the password is wrong, or the key damaged",
        ),
        (
            P256.private_bytes(PEM, PKCS8, serialization.BestAvailableEncryption(b"pw")),
            None,
            "the key is encrypted; set COSIGN_PASSWORD",
        ),
        (dsa.generate_private_key(1024).private_bytes(PEM, PKCS8, PLAIN), None, "is a key of another kind"),
        (rsa.generate_private_key(65537, 1024).private_bytes(PEM, PKCS8, PLAIN), None, "is a key of another kind"),
        (ec.generate_private_key(ec.SECP256K1()).private_bytes(PEM, PKCS8, PLAIN), None, "is a key of another kind"),
    ],
)
def test_what_is_no_key_is_named(tmp_path: Path, content: bytes, password: str | None, reason: str) -> None:
    file = tmp_path / "a.key"
    file.write_bytes(content)
    with pytest.raises(SigningKeyError, match=reason) as error:
        read_signer(file, password)
    assert str(error.value).startswith(f"{file}: ")


def test_a_public_key_is_not_a_private_one_or_a_text(tmp_path: Path) -> None:
    file = tmp_path / "a.pub"
    for content, reason in (
        (P256.private_bytes(PEM, PKCS8, PLAIN), "is a private key"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "is not a public key in PEM"),
        (b"hello", "is not a public key in PEM"),
    ):
        file.write_bytes(content)
        with pytest.raises(SigningKeyError, match=reason):
            read_public_key(file)
    with pytest.raises(SigningKeyError, match="cannot be read"):
        read_public_key(tmp_path / "gone")


def test_a_key_stays_closed_until_it_has_to_sign_if_its_public_half_is_beside_it(tmp_path: Path) -> None:
    (tmp_path / "cosign.key").write_bytes(cosign_key(P256, b"pw"))
    (tmp_path / "cosign.pub").write_bytes(P256.public_key().public_bytes(PEM, SPKI))
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "cosign.key").symlink_to(tmp_path / "cosign.key")
    for file in (tmp_path / "cosign.key", tmp_path / "link" / "cosign.key"):
        signer = read_signer(file, "no")
        assert signer.public.key == P256.public_key()
        for work in (signer.check, lambda signer=signer: signer.sign(b"text")):
            with pytest.raises(SigningKeyError, match="the password is wrong"):
                work()
        opened = read_signer(file, "pw")
        opened.check()
        assert opened.public.verifies(opened.sign(b"text"), b"text")


def test_a_public_key_of_another_beside_a_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "cosign.key").write_bytes(cosign_key(P256, b"pw"))
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    (tmp_path / "cosign.pub").write_bytes(other.public_bytes(PEM, SPKI))
    with pytest.raises(SigningKeyError, match=r"is not the private key of .*cosign\.pub beside it") as error:
        read_signer(tmp_path / "cosign.key", "pw").sign(b"text")
    assert f"`cosign public-key --key {tmp_path}/cosign.key` writes it" in str(error.value)


def test_a_key_that_is_read_alone_asks_no_file_beside_it(tmp_path: Path) -> None:
    (tmp_path / "cosign.key").write_bytes(cosign_key(P256, b"pw"))
    for content in (ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(PEM, SPKI), b"text"):
        (tmp_path / "cosign.pub").write_bytes(content)
        signer = read_signer(tmp_path / "cosign.key", "pw", alone=True)
        assert signer.public.key == P256.public_key()
        assert signer.public.verifies(signer.sign(b"text"), b"text")
        with pytest.raises(SigningKeyError, match="the password is wrong"):
            read_signer(tmp_path / "cosign.key", "no", alone=True)
