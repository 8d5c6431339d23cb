"""Whoever signs statements about images: with a key, or with an identity."""

from __future__ import annotations

from typing import Protocol

from chassis.trust.statement import Statement


class ImageSigner(Protocol):
    """Signs statements as Sigstore bundles: with a key (bundle.py), or with an identity (keyless.py)."""

    @property
    def repeatable(self) -> bool:
        """Whether the same statement gets the same bundle each time."""

    @property
    def name(self) -> str:
        """What tells this signer from others."""

    def bundle(self, statement: Statement) -> bytes:
        """The bundle with the signed statement."""

    def said(self, bundle: bytes, where: str) -> list[Statement]:
        """The statements in a bundle of this signer's.

        Raises:
          SignatureError: it is another's, or not a bundle.
        """
