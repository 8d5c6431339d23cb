"""Hosts that are addresses, in any notation that a connection takes, and which addresses are public.

Special-purpose addresses: RFC 6890 and IANA's registries; embedded IPv4: RFC 4291, section 2.5.5, and RFC 6052 (NAT64).
"""

from __future__ import annotations

import ipaddress
import socket

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

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


def literal(host: str) -> Address | None:
    """The address that a host is, such as `127.1`, `0x7f000001` and `2130706433` for 127.0.0.1; None for a name.

    It is what the C library makes of the text without asking anybody, as it does when a connection is made.
    """
    name = host.removeprefix("[").removesuffix("]").removesuffix(".").partition("%")[0]
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST) if name else []
    except (OSError, UnicodeError):
        return None
    return stands_for(ipaddress.ip_address(str(found[0][4][0]).partition("%")[0])) if found else None


def is_public(address: Address) -> bool:
    """Whether an address is given out for one machine that everybody reaches."""
    address = stands_for(address)
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _REFUSED_4)
    return address in _UNICAST_6 and not any(address in network for network in _REFUSED_6)


def stands_for(address: Address) -> Address:
    """The IPv4 address that a mapped or translated one stands for; any other as it is."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
