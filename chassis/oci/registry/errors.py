"""What can go wrong between here and a registry."""

from __future__ import annotations

from chassis.errors import ChassisError


class RegistryError(ChassisError):
    """A registry cannot be used as asked."""


class ImageReferenceError(RegistryError):
    """The name of a repository, a tag or a digest is malformed."""


class UnreachableError(RegistryError):
    """No connection, or none that lasted, after every retry."""


class BrokenConnectionError(UnreachableError):
    """A connection that was made broke before the answer was complete; the request may or may not have
    been served."""


class NotTlsError(RegistryError):
    """What answers does not speak TLS."""


class UntrustedCertificateError(RegistryError):
    """What answers has a certificate that no trusted authority vouches for."""


class AnswerError(RegistryError):
    """The registry's answer is malformed, too large, or contradicts what was sent."""


class TooSlowError(AnswerError):
    """An answer came so slowly that it may never end."""


class StatusError(RegistryError):
    """The registry refused a request; `status` is HTTP's, `codes` are the specification's, such as DENIED."""

    def __init__(self, message: str, status: int, codes: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.codes = codes


class AuthenticationError(RegistryError):
    """Credentials are missing, wrong, or cannot be had from where they are kept."""


class CancelledError(RegistryError):
    """Work was given up because other work failed or the person asked for it."""
