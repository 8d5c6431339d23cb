"""Keys that sign and verify: what `cosign generate-key-pair` writes, and plain PEM.

An encrypted `cosign.key` is PEM around JSON: scrypt makes a key of the password, with which NaCl's secretbox holds the
private key (PKCS #8). Source: github.com/sigstore/sigstore, pkg/cryptoutils, and github.com/theupdateframework/go-tuf,
encrypted.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from chassis.trust.errors import SigningKeyError

PASSWORD_VARIABLE = "COSIGN_PASSWORD"
"""The environment variable with the password of an encrypted key, as cosign has it."""

_ENCRYPTED = ("ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY")
_MAX_KEY_BYTES = 64 << 10
_MAX_SCRYPT = {"N": 1 << 20, "r": 16, "p": 16}
_RSA_BITS = 2048
_P256, _P384, _P521 = "secp256r1", "secp384r1", "secp521r1"
_HASHES: dict[str, hashes.HashAlgorithm] = {_P256: hashes.SHA256(), _P384: hashes.SHA384(), _P521: hashes.SHA512()}

# Those of `cryptography` whose kinds are checked here: ECDSA, Ed25519, RSA.
_Private = Any
_Public = Any


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that verifies; `where` names it for people."""

    key: _Public
    where: str

    @property
    def hint(self) -> str:
        """What a Sigstore bundle names the key by: base64 of SHA-256 of its DER form, as cosign writes it."""
        form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        return base64.b64encode(hashlib.sha256(self.key.public_bytes(*form)).digest()).decode()

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Whether `signature` is this key's of `data`."""
        try:
            if isinstance(self.key, ec.EllipticCurvePublicKey):
                self.key.verify(signature, data, ec.ECDSA(_HASHES[self.key.curve.name]))
            elif isinstance(self.key, rsa.RSAPublicKey):
                self.key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
            else:
                self.key.verify(signature, data)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs: `sign` gives the signature of some bytes, as DER for ECDSA; `public` is the key that verifies it.
    `repeatable` says that the same bytes get the same signature each time. `check` raises what would keep `sign` from
    signing: a key that is encrypted is opened when it is needed first."""

    sign: Callable[[bytes], bytes]
    public: PublicKey
    repeatable: bool = True
    check: Callable[[], object] = lambda: None


def read_public_key(path: Path) -> PublicKey:
    """Reads a public key in PEM, such as `cosign.pub`.

    Raises:
      SigningKeyError: it is not one, or not of a kind that signs images.
    """
    data = _read(path)
    if b"PRIVATE KEY" in data:
        raise SigningKeyError(f"{path}: is a private key; verifying takes the public one, such as cosign.pub")
    return public_key_of(data, str(path))


def public_key_of(data: bytes, where: str) -> PublicKey:
    """The public key in PEM; `where` names it for people.

    Raises:
      SigningKeyError: it is not one, or not of a kind that signs images.
    """
    try:
        key = serialization.load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        raise SigningKeyError(f"{where}: is not a public key in PEM (BEGIN PUBLIC KEY)") from None
    return PublicKey(_checked_public(key, where), where)


def read_signer(path: Path, password: str | None, *, alone: bool = False) -> Signer:
    """Reads a private key: an encrypted `cosign.key`, or PEM (PKCS #8, SEC 1, PKCS #1), encrypted or not.

    `password` is None if none was given. To open a `cosign.key` takes longer than all the rest of a push that has
    nothing to sign, by design of scrypt. So if its `cosign.pub` is beside it, it stays closed until it has to sign, and
    only then is it known whether the two belong together. `alone`: no other file is read, and the key opened at once.

    Raises:
      SigningKeyError: it is not a key, its password is missing or wrong, or it is of a kind that signs no images. The
        signer's `check` and `sign` raise this of a key that is still closed.
    """
    data = _read(path)
    secret = password.encode() if password is not None else None
    label = _pem_label(data)
    if label in _ENCRYPTED:
        if secret is None:
            raise SigningKeyError(f"{path}: the key is encrypted; set {PASSWORD_VARIABLE} to its password")
        closed = _ClosedKey(data, secret, path)
        public = None if alone else _public_half(path)
        if public is not None:
            return Signer(
                lambda message: _sign(closed.opened(public), message), public, check=lambda: closed.opened(public)
            )
        loaded = closed.opened()
    elif label.endswith("PRIVATE KEY"):
        loaded = _private_key(data, secret, path)
    elif label == "PUBLIC KEY":
        raise SigningKeyError(f"{path}: is a public key; signing takes the private one, such as cosign.key")
    else:
        raise SigningKeyError(f"{path}: is not a private key in PEM; `cosign generate-key-pair` makes one")
    return Signer(lambda message: _sign(loaded, message), PublicKey(loaded.public_key(), str(path)))


class _ClosedKey:
    """An encrypted key, which is opened once, whichever thread asks first."""

    def __init__(self, data: bytes, password: bytes, path: Path) -> None:
        self._data, self._password, self._path = data, password, path
        self._lock = threading.Lock()
        self._opened: _Private = None

    def opened(self, public: PublicKey | None = None) -> _Private:
        """The key, which has to be that of `public` if that is given."""
        with self._lock:
            if self._opened is None:
                key = _private_key(_decrypted(self._data, self._password, self._path), None, self._path, der=True)
                if public is not None and key.public_key() != public.key:
                    raise SigningKeyError(
                        f"{self._path}: is not the private key of {public.where} beside it\n  Put its own there "
                        f"(`cosign public-key --key {self._path}` writes it), or move that one away."
                    )
                self._opened = key
            return self._opened


def _public_half(path: Path) -> PublicKey | None:
    """The public key that is kept beside a private one, as `cosign generate-key-pair` leaves it; None if none is."""
    for place in (path, path.resolve()):  # in the runfiles of a target it is not beside
        try:
            return read_public_key(place.with_suffix(".pub"))
        except SigningKeyError:
            continue
    return None


def password_of(environment: Mapping[str, str]) -> str | None:
    """The password that the environment gives, None if it gives none."""
    return environment.get(PASSWORD_VARIABLE)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_KEY_BYTES + 1)
    except OSError as error:
        raise SigningKeyError(f"{path}: the key cannot be read: {error.strerror}") from None
    if len(data) > _MAX_KEY_BYTES:
        raise SigningKeyError(f"{path}: is larger than any key ({_MAX_KEY_BYTES} bytes)")
    return data


def _pem_label(data: bytes) -> str:
    line = next((line for line in data.splitlines() if line.startswith(b"-----BEGIN ")), b"")
    return line.decode("ascii", "replace").removeprefix("-----BEGIN ").removesuffix("-----").strip()


def _decrypted(data: bytes, password: bytes, path: Path) -> bytes:
    import nacl.exceptions  # as slow to import as all the rest here, and only for these keys
    from nacl.secret import SecretBox

    body = b"".join(line for line in data.splitlines() if b"-----" not in line)
    try:
        fields = json.loads(base64.b64decode(body, validate=True))
        parameters: dict[str, Any] = fields["kdf"]["params"]
        names = (fields["kdf"]["name"], fields["cipher"]["name"])
        cost = {name: int(parameters[name]) for name in _MAX_SCRYPT}
        salt, nonce, sealed = (
            base64.b64decode(text) for text in (fields["kdf"]["salt"], fields["cipher"]["nonce"], fields["ciphertext"])
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        raise SigningKeyError(f"{path}: is a damaged key: its content is not what cosign writes") from None
    if names != ("scrypt", "nacl/secretbox"):
        found = " and ".join(map(repr, names))
        raise SigningKeyError(f"{path}: is encrypted with {found}; scrypt and nacl/secretbox are known")
    if any(not 0 < cost[name] <= most for name, most in _MAX_SCRYPT.items()):
        raise SigningKeyError(f"{path}: asks for more work than any honest key: scrypt {cost}")
    try:
        key = Scrypt(salt=salt, length=SecretBox.KEY_SIZE, n=cost["N"], r=cost["r"], p=cost["p"]).derive(password)
        return bytes(SecretBox(key).decrypt(sealed, nonce))
    except nacl.exceptions.CryptoError:
        raise SigningKeyError(
            f"{path}: the password is wrong; {PASSWORD_VARIABLE} has to be that of this key"
        ) from None
    except (ValueError, MemoryError) as error:
        raise SigningKeyError(f"{path}: is a damaged key: {error}") from None


def _private_key(data: bytes, password: bytes | None, path: Path, der: bool = False) -> _Private:
    load = serialization.load_der_private_key if der else serialization.load_pem_private_key
    encrypted = b"ENCRYPTED" in data
    try:
        key = load(data, password if encrypted else None)
    except TypeError:
        raise SigningKeyError(f"{path}: the key is encrypted; set {PASSWORD_VARIABLE} to its password") from None
    except (ValueError, UnsupportedAlgorithm):
        if encrypted and not der:
            raise SigningKeyError(
                f"{path}: the password is wrong, or the key damaged; {PASSWORD_VARIABLE} has to be that of this key"
            ) from None
        raise SigningKeyError(f"{path}: is a damaged key, or one of an unknown kind") from None
    _checked_public(key.public_key(), str(path))
    return key


def _checked_public(key: object, where: str) -> _Public:
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= _RSA_BITS:
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _HASHES:
        return key
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key
    raise SigningKeyError(
        f"{where}: is a key of another kind; ECDSA (P-256, P-384, P-521), Ed25519 and RSA of {_RSA_BITS} bits are known"
    )


def _sign(key: _Private, message: bytes) -> bytes:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        # The same signature each time, so that a push of the same image finds its own (RFC 6979).
        return bytes(key.sign(message, ec.ECDSA(_HASHES[key.curve.name], deterministic_signing=True)))
    if isinstance(key, rsa.RSAPrivateKey):
        return bytes(key.sign(message, padding.PKCS1v15(), hashes.SHA256()))
    return bytes(key.sign(message))
