"""Where the service connects to when a client names the host: public addresses, and what the operator lists.

A name is resolved once, each address is checked, and the connection is made to a checked one: a second answer of the
name's server changes nothing.
"""

from __future__ import annotations

import ipaddress
import queue
import re
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from chassis.errors import ChassisError
from chassis.oci.registry.host_address import is_public, stands_for

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_NAME = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9])?")


class AddressError(ChassisError):
    """An address that the service does not connect to for a client."""


class UnresolvedError(ChassisError):
    """A name that has no address now."""


Resolve = Callable[[str, int], Sequence[str]]


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """What may be connected to.

    Attributes:
      flag: the operator's flag that lists more, for messages.
      names: hosts, or (host, port) pairs, that may have any address.
      networks: networks that may be connected to, public or not.
    """

    flag: str
    names: frozenset[tuple[str, int]] = frozenset()
    networks: tuple[_Network, ...] = ()

    @staticmethod
    def of_list(flag: str, entries: Iterable[str]) -> AddressPolicy:
        """Reads an operator's list of hosts, hosts with ports, addresses and networks.

        Raises:
          AddressError: an entry is not one of these.
        """
        names: set[tuple[str, int]] = set()
        networks: list[_Network] = []
        for entry in filter(None, (entry.strip() for entry in entries)):
            try:
                networks.append(ipaddress.ip_network(entry.strip("[]"), strict=True))
                continue
            except ValueError:
                pass
            with_port = entry.count(":") == 1 or "]:" in entry
            host, _, port = entry.rpartition(":") if with_port else (entry, "", "0")
            if not (_NAME.fullmatch(host.lower()) or host.startswith("[")) or not port.isdecimal() or int(port) > 65535:
                raise AddressError(
                    f"{flag}={entry}: expected a host, host:port, an address, or a network as 10.0.0.0/8"
                )
            names.add((host.strip("[]").lower(), int(port)))
        return AddressPolicy(flag, frozenset(names), tuple(networks))

    def addresses(self, host: str, port: int, seconds: float = 10.0, resolve: Resolve | None = None) -> list[str]:
        """The addresses of `host` that may be connected to, as numbers: at least one.

        Raises:
          AddressError: it has addresses, and none may be connected to. UnresolvedError: it has none.
        """
        name = host.rstrip(".").lower()
        found = _within(seconds, resolve or _resolve, name, port)
        if (name, 0) in self.names or (name, port) in self.names:
            return list(found)
        allowed = [address for address in found if self.allows(address)]
        if not allowed:
            shown = "" if name in found else f" ({', '.join(found)})"
            raise AddressError(
                f"{host[:200]}{shown} is not a public address; the service's operator allows it with {self.flag}"
            )
        return allowed

    def check(self, host: str, port: int) -> None:
        """Refuses what can be refused without asking a name server.

        Raises:
          AddressError: `host` is an address, in any notation, or a name of this machine, that may not be connected to.
        """
        name = host.rstrip(".").lower()
        if (name, 0) in self.names or (name, port) in self.names:
            return
        if name == "localhost" or name.endswith(".localhost"):
            self.addresses("127.0.0.1", port)
            return
        try:
            self.addresses(host, port, resolve=lambda name, port: _resolve(name, port, socket.AI_NUMERICHOST))
        except UnresolvedError:
            return  # a name

    def allows(self, address: str) -> bool:
        """Whether an address is public or in a network of the list."""
        try:
            number = ipaddress.ip_address(address)
        except ValueError:
            return False  # one with a zone, such as fe80::1%eth0
        number = stands_for(number)
        return any(number in network for network in self.networks if network.version == number.version) or is_public(
            number
        )


def _resolve(host: str, port: int, flags: int = 0) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    except (OSError, UnicodeError):
        found = []
    if not found:
        raise UnresolvedError(f"{host[:200]}: no such host")
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _within(seconds: float, resolve: Resolve, host: str, port: int) -> Sequence[str]:
    """What `resolve` returns; a name server that does not answer is waited for no longer than `seconds`."""
    answers: queue.SimpleQueue[Sequence[str] | ChassisError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(resolve(host, port))
        except ChassisError as error:
            answers.put(error)

    threading.Thread(target=ask, name="resolver", daemon=True).start()
    try:
        answer = answers.get(timeout=max(0.01, seconds))
    except queue.Empty:
        raise UnresolvedError(f"{host[:200]}: no name server answers within {seconds:.0f} s") from None
    if isinstance(answer, ChassisError):
        raise answer
    return answer
