"""Whoever signs statements about images: with a key, or with an identity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from chassis.trust.statement import Statement


@dataclass(frozen=True, slots=True)
class SignedBundle:
    """A bundle with a signed statement, and the annotations by which its signer knows it in a list."""

    data: bytes
    annotations: Mapping[str, str] = field(default_factory=dict)


class ImageSigner(Protocol):
    """Signs statements as Sigstore bundles: with a key (bundle.py), or with an identity (keyless.py)."""

    @property
    def repeatable(self) -> bool:
        """Whether the same statement gets the same bundle each time."""

    @property
    def name(self) -> str:
        """What tells this signer from others."""

    @property
    def where(self) -> str:
        """What people call it: the file of its key, or its identity."""

    def check(self) -> None:
        """Raises what would keep it from signing, as far as that can be known."""

    def signed(self, statement: Statement) -> SignedBundle:
        """Signs the statement."""

    def listed(self, statement: Statement, annotations: Sequence[Mapping[str, str]]) -> SignedBundle | None:
        """The bundle of the statement that one of a list's entries with these annotations is of; None if none is."""

    def said(self, bundle: bytes, where: str) -> list[Statement]:
        """The statements in a bundle of this signer's.

        Raises:
          SignatureError: it is another's, or not a bundle.
        """
