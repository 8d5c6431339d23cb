"""Who is believed to have signed, whichever library does the arithmetic."""

from __future__ import annotations

from typing import Protocol


class VerifyingKey(Protocol):
    """A public key: that of `cryptography` (keys.py), or OpenSSL's own (chassis/openssl_verifier.py)."""

    @property
    def where(self) -> str:
        """What people call it, such as the path of its file."""

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Whether `signature` is this key's of `data`."""


class VerifyingIdentity(Protocol):
    """Somebody whom an issuer knows, such as a job of CI, with the root that says whose certificates count."""

    @property
    def where(self) -> str:
        """What people call it."""

    def payload(self, bundle: bytes) -> bytes:
        """What a Sigstore bundle signs, if this identity signed it.

        Raises:
          SignatureError: another signed it, it was changed since, or the certificate was not valid then.
        """
