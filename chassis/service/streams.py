"""Answers that take long, logs that are followed and images: how many at once, so that each client gets its share."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from chassis.service.clients import Client
from chassis.service.guard import RequestError

MAX_STREAMS = 64
_OF_A_CLIENT = 16
_RETRY_SECONDS = 10


@dataclass(slots=True, eq=False)
class Stream:
    """One such answer.

    Attributes:
      client: whose it is.
      lasting: whether it may be ended for another's: a log, which is asked for again from where it broke off.
      ended: whether it is to end.
    """

    client: str = ""
    lasting: bool = False
    ended: bool = False


class Streams:
    """The answers that are sent now. When there are as many as may be, whoever has the most makes room."""

    def __init__(self, most: int = MAX_STREAMS) -> None:
        self._most = most
        self._held: list[Stream] = []

    @contextlib.contextmanager
    def one(self, client: Client, lasting: bool = False) -> Iterator[Stream]:
        """Counts one more of `client` while it is sent.

        Raises:
          RequestError: it has as many as it may, or there are as many as may be, and no other has more than it.
        """
        held = Counter(stream.client for stream in self._held)
        if held[client.name] >= _OF_A_CLIENT or (len(self._held) >= self._most and not self._made_room(client, held)):
            raise RequestError(
                503, f"{_OF_A_CLIENT} logs and images are sent to a client at once, {self._most} in all", _RETRY_SECONDS
            )
        mine = Stream(client.name, lasting)
        self._held.append(mine)
        try:
            yield mine
        finally:
            self._forget(mine)

    def _made_room(self, client: Client, held: Counter[str]) -> bool:
        """Ends the newest log of the client that has the most streams, if that has more than `client` would have."""
        logs = [stream for stream in self._held if stream.lasting and held[stream.client] > held[client.name] + 1]
        if not logs:
            return False
        most = max(held[stream.client] for stream in logs)
        newest = [stream for stream in logs if held[stream.client] == most][-1]
        newest.ended = True
        self._forget(newest)
        return True

    def _forget(self, stream: Stream) -> None:
        self._held = [each for each in self._held if each is not stream]
