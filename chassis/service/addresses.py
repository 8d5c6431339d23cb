"""Where the service connects to when a client names the host: public addresses, and what the operator lists.

A name is resolved once, each address is checked, and the connection is made to a checked one: a second answer of the
name's server changes nothing. Special-purpose addresses: RFC 6890 and IANA's registries; embedded IPv4: RFC 4291,
section 2.5.5, and RFC 6052 (NAT64).
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

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_NAME = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9])?")

_REFUSED_4 = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8",  # this host
            "10.0.0.0/8",
            "100.64.0.0/10",  # shared by carriers; a cloud's metadata, too
            "127.0.0.0/8",
            "168.63.129.16/32",  # the host of Azure's virtual machines
            "169.254.0.0/16",  # link-local: most clouds' metadata
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
        ),
    )
)
# Of IPv6 only what is given out for unicast counts: neither loopback, `::`, link-local, unique local, site-local,
# multicast, nor IPv4-compatible addresses are in there.
_UNICAST_6 = ipaddress.IPv6Network("2000::/3")
_REFUSED_6 = tuple(
    map(
        ipaddress.IPv6Network,
        (
            "2001::/23",  # Teredo, benchmarks, ORCHID and the like
            "2001:db8::/32",
            "2002::/16",  # 6to4, which reaches any IPv4 address
            "3fff::/20",
            "5f00::/16",
        ),
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


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
          AddressError: an entry is none of these.
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
        number = _embedded(number)
        return any(number in network for network in self.networks if network.version == number.version) or _public(
            number
        )


def _public(address: _Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _REFUSED_4)
    return address in _UNICAST_6 and not any(address in network for network in _REFUSED_6)


def _embedded(address: _Address) -> _Address:
    """The IPv4 address that a mapped or translated one stands for; any other as it is."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


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
