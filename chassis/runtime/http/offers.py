"""Offers to use another protocol, which the parser is not to hear of: it would take what follows for that protocol.

So the name of an `Upgrade` header (RFC 9110, 7.8) is changed before it is parsed.
"""

from __future__ import annotations

from typing import Protocol

_OFFER = b"\nupgrade"
_STARTS_OF_OFFER = tuple(_OFFER[:length] for length in range(2, len(_OFFER)))
_ENDS_OF_STARTS = frozenset(_OFFER[1:-1] + _OFFER[1:-1].upper())
_IGNORED = b"ignored-"
_NEWLINE = ord("\n")


class Parsing(Protocol):
    """What parses, and where it is."""

    refused: bool
    in_head: bool

    def parse(self, data: bytes) -> None:
        """Has the parser read."""


class Offers:
    """Passes the bytes of one connection on, without offers."""

    def __init__(self, parsing: Parsing) -> None:
        self._parsing = parsing
        self._held = b""
        self._line_began = False

    def feed(self, data: bytes) -> None:
        """Parses `data`."""
        if self._line_began or self._held or data[-1] in _ENDS_OF_STARTS or _OFFER[1:] in data.lower():
            self._feed(data)
        else:
            self._parsing.parse(data)
            self._line_began = self._parsing.in_head and data[-1] == _NEWLINE

    def drop(self) -> None:
        """Forgets what waits for its rest."""
        self._held = b""

    def _feed(self, data: bytes) -> None:
        """Parses `data`, in which an offer may be."""
        parsing = self._parsing
        if self._held:
            data, self._held = self._held + data, b""
        before = 1 if self._line_began else 0
        lowered = (b"\n" + data if before else data).lower()
        position = 0
        at = lowered.find(_OFFER)
        while at >= 0:
            name = at + 1 - before
            if name > position:
                parsing.parse(data[position:name])
            if parsing.refused:
                return
            if parsing.in_head:
                parsing.parse(_IGNORED)
            position = name
            at = lowered.find(_OFFER, at + 1)
        # What may be the beginning of an offer waits for its rest, if it is in a head.
        kept = next((len(start) - 1 for start in _STARTS_OF_OFFER if lowered.endswith(start)), 0)
        end = len(data) - kept
        if end > position:
            parsing.parse(data[position:end] if position or kept else data)
        if kept and not parsing.refused:
            if parsing.in_head:
                self._held = data[end:]
                self._line_began = True
                return
            parsing.parse(data[end:])
        self._line_began = parsing.in_head and lowered.endswith(b"\n")
