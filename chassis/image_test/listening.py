"""Where a server on this machine listens: its port, what it is reached at, and what browsers may call it.

Addresses are those of IPv4: the model's server is asked over it.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection

from chassis.errors import ChassisError

LOOPBACK = "127.0.0.1"
_HTTP_PORT = 80
"""The one that browsers leave out of a Host header."""


class PortError(ChassisError):
    """A port that another program has, or an address that nothing can listen on."""


def free_port(host: str, wanted: int | None, usual: int, taken: Collection[int] = ()) -> int:
    """A port that is free, and none of `taken`: the one that is wanted, else the usual one, else any.

    Raises:
      PortError: there is none.
    """
    if ":" in host:
        raise PortError(
            f"{host} is not an IPv4 address: give {LOOPBACK}, or 0.0.0.0 to be reached from other machines too"
        )
    if wanted in taken:
        raise PortError(f"port {wanted} is asked for twice")
    for port in (usual, *[0] * (len(taken) + 1)) if wanted is None else (wanted,):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                if port != usual or wanted is not None:
                    raise not_listened(host, port, error) from None
                continue
            free: int = probe.getsockname()[1]
            if free not in taken:
                return free
    raise PortError(f"{host} has no free port")


def not_listened(host: str, port: int, error: OSError) -> PortError:
    """The error that says so."""
    return PortError(f"{f'{host}:{port}' if port else host} cannot be listened on: {error.strerror}")


def reached(host: str) -> str:
    """Where a server that listens on `host` is reached from this machine."""
    address = _ip_address(host)
    return LOOPBACK if address is not None and address.is_unspecified else host


def host_headers(host: str, port: int) -> frozenset[str]:
    """What a browser may call a server on loopback; empty for any name.

    A page of another host could make its own name lead here, and would be of the same origin.
    """
    address = _ip_address(host)
    if host != "localhost" and (address is None or not address.is_loopback):
        return frozenset()
    names = {"localhost", LOOPBACK, host}
    with_port = frozenset(f"{name}:{port}" for name in names)
    return with_port | names if port == _HTTP_PORT else with_port


def _ip_address(host: str) -> ipaddress.IPv4Address | None:
    try:
        return ipaddress.IPv4Address(host)
    except ValueError:
        return None
