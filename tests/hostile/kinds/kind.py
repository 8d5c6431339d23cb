"""What a kind of attack is: inputs of chance, what takes them, and what it must not do."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Protocol


class Finding(AssertionError):
    """What is attacked did what it must not."""


class Kind(Protocol):
    """A kind of attack, while what it attacks runs."""

    def make(self, chance: random.Random) -> bytes:
        """One input."""

    def attack(self, data: bytes) -> None:
        """Gives it one input.

        Raises:
          Finding: it did what it must not.
        """

    def look(self) -> None:
        """Looks whether it is well, between inputs.

        Raises:
          Finding: it is not.
        """

    def close(self) -> None:
        """Ends what runs."""


class Start(Protocol):
    """Starts what a kind attacks, with a new directory for what it keeps."""

    def __call__(self, folder: Path) -> Kind: ...
