"""What verifies a signature, whichever library does the arithmetic."""

from __future__ import annotations

from typing import Protocol


class VerifyingKey(Protocol):
    """A public key: that of `cryptography` (keys.py), or OpenSSL's own (chassis/openssl_verifier.py)."""

    @property
    def where(self) -> str:
        """What people call it, such as the path of its file."""

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Whether `signature` is this key's of `data`."""
