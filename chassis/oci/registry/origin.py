"""Origins of URLs: which server a URL names, however it is written, and where an answer may send a client.

Specification: RFC 6454, section 4 (origins); RFC 3986, section 6.2 (what names the same thing); RFC 9110, section
10.2.2 (Location).
"""

from __future__ import annotations

import ipaddress
import re
import urllib.parse

from chassis.oci.registry.errors import AnswerError
from chassis.oci.registry.host_address import is_public, literal

_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")
_SHOWN_CHARACTERS = 200


def origin(url: str) -> str:
    """Scheme, host and port in one form: what credentials are for.

    `https://R.example:443/x`, `https://r.example/` and `https://r.example.` are one origin, as are
    `http://[0:0:0:0:0:0:0:1]/` and `http://[::1]:80/`.

    Raises:
      AnswerError: the URL names no server.
    """
    return _origin(_split(url, url))


def resolve(url: str, location: str) -> str:
    """The URL that a Location header means, seen from `url`.

    An `http` Location of the same host stands for `https` when `url` has it: servers behind a proxy that speaks TLS do
    not know of it.

    Raises:
      AnswerError: it is malformed, has another scheme than HTTP's, holds a user name, leaves HTTPS for HTTP, or sends
        further inwards (`reaches_inwards`).
    """
    where = origin(url)
    if not (location.isascii() and location.isprintable()) or {" ", "\\"} & set(location):
        raise _malformed(where, location)
    try:
        joined = urllib.parse.urljoin(url, location)
    except ValueError:
        raise _malformed(where, location) from None
    source, target = urllib.parse.urlsplit(url), _split(joined, location, where)
    if source.scheme == "https" and target.scheme == "http":
        same_host = _host(target) == _host(source)
        if not same_host or (target.port or 80) not in (80, source.port or 443):
            raise AnswerError(f"{where}: sends to {_origin(target)}, which is not encrypted; refused")
        target = target._replace(scheme="https", netloc=source.netloc)
    if reaches_inwards(source.hostname or "", target.hostname or ""):
        place = "this machine" if is_this_machine(target.hostname or "") else "a private address"
        raise AnswerError(
            f"{where}: sends to {_origin(target)}, which is {place}; refused\n  if this is a registry of your network, "
            "name it by its address"
        )
    return urllib.parse.urlunsplit(target._replace(fragment=""))


def is_this_machine(host: str) -> bool:
    """Whether a host's name or address is the machine's own, or is valid on its own network link only, such as a
    cloud's metadata service. Names are not looked up."""
    name = host.removesuffix(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = literal(name)
    return address is not None and (
        address.is_loopback or address.is_link_local or address.is_unspecified or str(address).startswith("0.")
    )


def is_private(host: str) -> bool:
    """Whether a host is an address that is not public, in any notation; names are not looked up."""
    address = literal(host)
    return is_this_machine(host) or (address is not None and not is_public(address))


def reaches_inwards(source: str, target: str) -> bool:
    """Whether one host would have a client ask another that the first may not reach itself: this machine, or a private
    address, from further outside."""
    return (is_this_machine(target) and not is_this_machine(source)) or (is_private(target) and not is_private(source))


def _split(url: str, shown: str, where: str = "") -> urllib.parse.SplitResult:
    try:
        parts = urllib.parse.urlsplit(url)
        valid = parts.scheme in _DEFAULT_PORTS and (parts.port is None or parts.port > 0)
        valid = valid and "@" not in parts.netloc and _HOST.fullmatch(parts.hostname or "") is not None
    except ValueError:
        valid = False
    if not valid:
        raise _malformed(where, shown)
    return parts


def _malformed(where: str, location: str) -> AnswerError:
    said = f"{where}: answers with the malformed Location" if where else "malformed URL"
    return AnswerError(f"{said} {location[:_SHOWN_CHARACTERS]!r}")


def _host(parts: urllib.parse.SplitResult) -> str:
    name = (parts.hostname or "").lower().removesuffix(".")
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name
    return f"[{address.compressed}]" if address.version == 6 else address.compressed


def _origin(parts: urllib.parse.SplitResult) -> str:
    port = "" if parts.port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{parts.port}"
    return f"{parts.scheme}://{_host(parts)}{port}"
