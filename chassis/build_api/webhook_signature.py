"""Signatures of a build service's webhooks, as Standard Webhooks 1.0 (standardwebhooks.com) has them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Mapping

from chassis.errors import ChassisError

_PREFIX = "whsec_"
_VERSION = "v1"


class WebhookSignatureError(ChassisError, ValueError):
    """A call that the build service did not send, or not now."""


def sign_webhook(secret: str, identifier: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of a signed call: `webhook-id`, `webhook-timestamp` in seconds of the epoch, `webhook-signature`."""
    return {
        "webhook-id": identifier,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"{_VERSION},{_signature(secret, identifier, str(timestamp), body)}",
    }


def verify_webhook(
    secret: str, headers: Mapping[str, str], body: bytes, tolerance: float = 300.0, now: float | None = None
) -> None:
    """Checks that a call came from the build service, and came within `tolerance` seconds.

    Args:
      secret: what `ChassisClient.webhook_secret()` returned.
      headers: those of the request; case does not matter.
      body: the request's body, byte for byte.
      tolerance: seconds by which the call may be older or newer than this machine's clock.
      now: the time, for tests.

    Raises:
      WebhookSignatureError: a header is missing, the time is another, or the signature is not the secret's.
    """
    given = {name.lower(): value for name, value in headers.items()}
    try:
        identifier, timestamp, signatures = (given[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
    except KeyError as error:
        raise WebhookSignatureError(f"the call has no header {error.args[0]}") from None
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) < 13):
        raise WebhookSignatureError(f"webhook-timestamp: expected seconds, found {timestamp[:20]!r}")
    if abs((time.time() if now is None else now) - int(timestamp)) > tolerance:
        raise WebhookSignatureError(
            f"webhook-timestamp {timestamp} is more than {tolerance:g} s from this machine's clock"
        )
    expected = f"{_VERSION},{_signature(secret, identifier, timestamp, body)}".encode()
    if not any(hmac.compare_digest(expected, found.encode()) for found in signatures.split(" ")):
        raise WebhookSignatureError("webhook-signature: it was not made with this secret for this body")


def _signature(secret: str, identifier: str, timestamp: str, body: bytes) -> str:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise WebhookSignatureError(f"the secret is not one: expected {_PREFIX} and base64") from None
    content = f"{identifier}.{timestamp}.".encode() + body
    return base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
