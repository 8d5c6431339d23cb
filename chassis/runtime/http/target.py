"""What a request asks for: the path in its target."""

from __future__ import annotations

from urllib.parse import unquote

import httptools


def path_in(target: bytes) -> str | None:
    """The path, percent-decoded and without its query; None if `target` is not a URL."""
    try:
        path = httptools.parse_url(target).path or b"/"
        return unquote(path.decode("ascii"), errors="strict")
    except (httptools.HttpParserInvalidURLError, UnicodeDecodeError):
        return None
