"""Who asks: what a request is called in logs, and what is passed on of its trace."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
# W3C Trace Context, 3.2.2: version, trace-id, parent-id, trace-flags; all-zero ids are invalid.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
_MAX_TRACEPARENT = 256


class Caller(NamedTuple):
    """One request's names.

    Attributes:
      request_id: the caller's own, or one that was made up.
      traceparent: the caller's `traceparent`, if it is valid; else empty.
    """

    request_id: str = ""
    traceparent: str = ""

    def log_fields(self) -> dict[str, str]:
        """The fields of a log event about this request: `request_id` and, if it is traced, `trace_id`."""
        fields = {"request_id": self.request_id} if self.request_id else {}
        if self.traceparent:
            fields["trace_id"] = self.traceparent[3:35]
        return fields


UNKNOWN_CALLER = Caller()


def identify(request_id: str | None, traceparent: str | None) -> Caller:
    """The caller with these headers; what is malformed counts as not sent."""
    if not request_id or not _REQUEST_ID.fullmatch(request_id):
        request_id = os.urandom(8).hex()
    if not traceparent or len(traceparent) > _MAX_TRACEPARENT or not _TRACEPARENT.fullmatch(traceparent):
        return Caller(request_id)
    return Caller(request_id, traceparent)
