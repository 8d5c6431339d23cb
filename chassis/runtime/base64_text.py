"""Base64 as callers send it (RFC 4648, 4), read without a copy of its text."""

from __future__ import annotations

import base64
import binascii
import sys


def decode_base64(text: str | bytes | memoryview) -> bytes:
    """The bytes that `text` stands for, which is ASCII if it is bytes.

    Raises:
      ValueError: it is not base64, padded, and nothing else.
      TypeError: it is not text.
    """
    if sys.version_info >= (3, 11):  # noqa: UP036, images may have 3.10
        return binascii.a2b_base64(text, strict_mode=True)
    return base64.b64decode(text, validate=True)  # which makes bytes of the text first
