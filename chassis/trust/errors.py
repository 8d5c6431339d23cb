"""What can go wrong when an image is described, signed or verified."""

from __future__ import annotations

from chassis.errors import ChassisError


class TrustError(ChassisError):
    """The root of this room's errors."""


class RecordError(TrustError):
    """What is known of a package cannot be read."""


class RebuildError(TrustError):
    """A published image cannot be made again, or what is made is another."""


class SigningKeyError(TrustError):
    """A key is missing, is not a key, or its password is wrong."""


class SignatureError(TrustError):
    """A signature is missing, malformed, or not that of the key or of the image."""


class IdentityError(TrustError):
    """There is no identity to sign with, a service of Sigstore refuses it, or whom to trust cannot be read."""
