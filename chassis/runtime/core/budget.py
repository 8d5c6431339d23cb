"""The memory that requests in flight and unread answers may take together; what would pass it is refused."""

from __future__ import annotations

import logging
import time

from chassis.runtime.core.request_error import BusyError, RequestError

_LOG = logging.getLogger(__name__)

_TRIM = 32 << 20
"""Bytes given back after which the allocator is asked to return what it keeps to the system."""

_LOG_INTERVAL = 10.0


class Budget:
    """Bytes that are taken and given back. All of it belongs to the event loop's thread.

    Attributes:
      total: the most that may be taken; more than that is never granted.
      taken: how much is.
      refused: how often there was not enough.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.taken = 0
        self.refused = 0
        self._given = 0
        self._again = False
        self._logged = 0.0

    def take(self, size: int) -> bool:
        """Takes `size` bytes; False, and nothing is taken, if fewer are left."""
        if self.taken + size > self.total:
            self._refuse()
            return False
        self.taken += size
        return True

    def give(self, size: int) -> None:
        """Gives back `size` bytes that were taken."""
        self.taken -= size
        self._given += size

    def has(self, size: int) -> bool:
        """Whether `size` bytes could be taken now."""
        if self.taken + size > self.total:
            self._refuse()
            return False
        return True

    def require(self, size: int, what: str, held: int = 0) -> None:
        """Raises RequestError if `size` bytes, which `what` needs for a moment, are not left.

        `held` of them have been taken for it already.

        Raises:
          RequestError: 413, for more than there can ever be.
          BusyError: for more than others leave now.
        """
        if size > self.total:
            raise RequestError(413, self.too_large(size, what))
        if size > held and not self.has(size - held):
            raise BusyError(self.busy())

    def too_large(self, size: int, what: str) -> str:
        """Why `what` can never be taken."""
        return (
            f"{what} needs about {size} bytes of memory, and all requests together may take {self.total}; "
            "CHASSIS_MAX_INFLIGHT_BYTES sets that"
        )

    def busy(self) -> str:
        """Why nothing more is taken now."""
        return f"other requests hold {self.taken} of the {self.total} bytes that requests may take; try again later"

    def lower(self, total: int) -> None:
        """From now on there are `total` bytes, if that is less."""
        self.total = min(self.total, total)

    def trim(self) -> None:
        """Returns memory to the system if enough has been given back since the last time.

        And once more when this is called next: gRPC's core lets go of what it held some time after its call has ended.
        """
        enough = self._given >= _TRIM and self.taken < _TRIM
        if enough or self._again:
            trim_memory()
        if enough:
            self._given = 0
        self._again = enough

    def _refuse(self) -> None:
        self.refused += 1
        now = time.monotonic()
        if not self._logged or now - self._logged > _LOG_INTERVAL:
            self._logged = now
            _LOG.warning(
                "requests are refused for want of memory",
                extra={"taken": self.taken, "inflight_bytes": self.total, "refused": self.refused},
            )


def trim_memory() -> None:
    """Has the C library return what it keeps of freed memory, if it can (glibc's malloc_trim)."""
    import ctypes  # here, since most servers never need it

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
