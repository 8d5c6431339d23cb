"""Who asks: what a request is called in logs, and what is passed on of its trace."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from chassis.call import Request
    from chassis.runtime.core.contract import Contract

_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
# W3C Trace Context, 3.2.2: version, trace-id, parent-id, trace-flags; all-zero ids are invalid.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
_MAX_TRACEPARENT = 256

# What a request is called that has no name: half by chance, which tells servers apart, half by number.
_SERVER = os.urandom(4).hex()
_NUMBERS = itertools.count()


class Caller(NamedTuple):
    """One request's names.

    Attributes:
      request_id: the caller's own, or one that was made up.
      traceparent: the caller's `traceparent`, if it is valid; else empty.
      told: what the function is told of the request, if it takes that.
    """

    request_id: str = ""
    traceparent: str = ""
    told: Request | None = None

    def log_fields(self) -> dict[str, str]:
        """The fields of a log event about this request: `request_id` and, if it is traced, `trace_id`."""
        fields = {"request_id": self.request_id} if self.request_id else {}
        if self.traceparent:
            fields["trace_id"] = self.traceparent[3:35]
        return fields

    def named(self, request_id: str) -> Caller:
        """The same with another name, if `request_id` may be one."""
        return self._replace(request_id=request_id) if _REQUEST_ID.fullmatch(request_id) else self

    def telling(
        self,
        contract: Contract,
        headers: Mapping[str, str],
        parameters: Mapping[str, object],
        deadline: float | None = None,
    ) -> Caller:
        """The same, with what a function that takes the request is told of it; of `headers` those of the contract."""
        if not contract.takes_request:
            return self
        from chassis.call import Request  # here, since few functions take it

        chosen = {name: headers[name] for name in contract.request_headers if name in headers}
        return self._replace(told=Request(self.request_id, dict(parameters), chosen, deadline))


UNKNOWN_CALLER = Caller()


def identify(request_id: str | None, traceparent: str | None) -> Caller:
    """The caller with these headers; what is malformed counts as not sent."""
    if not request_id or not _REQUEST_ID.fullmatch(request_id):
        request_id = f"{_SERVER}{next(_NUMBERS):08x}"
    if not traceparent or len(traceparent) > _MAX_TRACEPARENT or not _TRACEPARENT.fullmatch(traceparent):
        return Caller(request_id)
    return Caller(request_id, traceparent)
