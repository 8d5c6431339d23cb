"""Which URLs are of one server, and where a Location may lead."""

from __future__ import annotations

import pytest

from chassis.oci.registry.errors import AnswerError
from chassis.oci.registry.origin import is_private, is_this_machine, origin, reaches_inwards, resolve

URL = "https://r.example/v2/x/blobs/uploads/"

_ONE_ORIGIN = {
    "https://r.example": [
        "https://r.example:443/v2/",
        "https://r.example/",
        "https://R.Example:0443",
        "https://r.example./v2/",
        "https://r.example.:443",
        "HTTPS://r.example?x",
    ],
    "http://r.example": ["http://r.example:80/v2/", "http://R.example/"],
    "http://r.example:443": ["http://r.example:443/x"],
    "https://r.example:80": ["https://r.example:80/x"],
    "http://127.0.0.1:5000": ["http://127.0.0.1:5000/x"],
    "http://[::1]": ["http://[::1]:80/x", "http://[0:0:0:0:0:0:0:1]/x", "http://[0000::0001]"],
    "https://[2001:db8::a]:5000": ["https://[2001:DB8:0::A]:5000/x"],
}


@pytest.mark.parametrize(("expected", "url"), [(one, url) for one, urls in _ONE_ORIGIN.items() for url in urls])
def test_ways_to_write_an_origin(expected: str, url: str) -> None:
    assert origin(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "https://user:pw@r.example:5000/x",
        "ftp://r.example/",
        "https:///x",
        "https://r.example:0/",
        "https://r.example:99999/",
        "https://r.example\\.evil.example/",
        "https://[::1",
        "//r.example/x",
        "https://r.ex%61mple/",
    ],
)
def test_what_names_no_server_has_no_origin(url: str) -> None:
    with pytest.raises(AnswerError):
        origin(url)


_LOCATIONS = {
    "/v2/x/blobs/uploads/1?_state=a%3D": "https://r.example/v2/x/blobs/uploads/1?_state=a%3D",
    "1": "https://r.example/v2/x/blobs/uploads/1",
    "../uploads/1": "https://r.example/v2/x/blobs/uploads/1",
    "?_state=b": "https://r.example/v2/x/blobs/uploads/?_state=b",
    "//store.example/1": "https://store.example/1",
    "/prefix/v2/x/blobs/uploads/1": "https://r.example/prefix/v2/x/blobs/uploads/1",
    "https://store.example:444/1": "https://store.example:444/1",
    "https://r.example:443/1": "https://r.example:443/1",
    "https://r.example./1#part": "https://r.example./1",
    # A registry that does not know of the TLS before it.
    "http://r.example/1": "https://r.example/1",
    "http://r.example:80/1": "https://r.example/1",
    "http://R.example:443/1": "https://r.example/1",
}


@pytest.mark.parametrize(("location", "target"), _LOCATIONS.items())
def test_locations(location: str, target: str) -> None:
    assert resolve(URL, location) == target


def test_a_location_of_a_registry_on_another_port() -> None:
    url = "https://r.example:5000/prefix/v2/x/blobs/uploads/"
    assert resolve(url, "http://r.example:5000/1") == "https://r.example:5000/1"
    assert resolve(url, "http://r.example/1") == "https://r.example:5000/1"
    assert resolve(url, "1") == "https://r.example:5000/prefix/v2/x/blobs/uploads/1"
    assert resolve(url, "/v2/1") == "https://r.example:5000/v2/1"


@pytest.mark.parametrize(
    "location",
    [
        "http://store.example/1",
        "http://r.example:8080/1",
        "file:///etc/passwd",
        "https://user:pw@r.example/1",
        "https://user@r.example/1",
        "https://r.example:port/1",
        "https://r.example:0/1",
        "https://[::1/",
        "https://r.example/a b",
        "https://r.example/é",
        "https://evil.example\\@r.example/",
        "https:\\\\evil.example/",
        "https://r.exa\tmple/",
        "https://127.0.0.1/1",
        "https://localhost:45000/1",
        "https://[::1]/1",
        "https://[::ffff:127.0.0.1]/1",
        "https://169.254.169.254/latest/meta-data/",
        "https://0.0.0.0/",
        "https://0/",
        "https://127.1/1",
        "https://2130706433/1",
        "https://0x7f000001/1",
        "https://0177.0.0.1/1",
        "https://2852039166/latest/meta-data/",
        "https://[64:ff9b::7f00:1]/1",
        "https://[64:ff9b::a9fe:a9fe]/1",
        "https://[2002:7f00:1::]/1",
        "https://224.0.0.1/1",
        "https://[ff02::1]/1",
        "https://10.0.0.5/1",
        "https://167772165/1",
        "https://192.168.1/1",
        "https://100.100.100.200/latest/meta-data/",
        "https://[fd00:ec2::254]/latest/meta-data/",
    ],
)
def test_locations_that_are_refused(location: str) -> None:
    with pytest.raises(AnswerError):
        resolve(URL, location)


def test_a_registry_of_this_machine_may_send_to_this_machine() -> None:
    assert resolve("http://127.0.0.1:5000/v2/", "http://localhost:5001/1") == "http://localhost:5001/1"


def test_hosts_that_are_this_machine_or_private() -> None:
    for host in ("localhost", "x.localhost", "LOCALHOST.", "127.1.2.3", "[::1]", "169.254.169.254", "fe80::1", "::"):
        assert is_this_machine(host), host
        assert is_private(host), host
    for host in ("10.0.0.5", "192.168.1.1", "172.16.0.1", "fd00:ec2::254", "100.64.0.1"):
        assert is_private(host), host
        assert not is_this_machine(host), host
    for host in ("r.example", "8.8.8.8", "2606:4700::1111"):
        assert not is_private(host), host


def test_a_host_is_an_address_however_it_is_written() -> None:
    for host in (
        "2130706433",
        "127.1",
        "0x7f000001",
        "0177.0.0.1",
        "0",
        "[64:ff9b::7f00:1]",
        "::ffff:7f00:1",
        "127.1.",
    ):
        assert is_this_machine(host), host
    for host in ("167772161", "10.1", "0xa.1", "224.0.0.1", "ff02::1", "2002:a00:1::", "64:ff9b::a00:1", "100.64.0.1"):
        assert is_private(host), host
        assert not is_this_machine(host), host
    for host in ("8.8.8.8", "134744072", "2606:4700::1111", "64:ff9b::808:808", "registry.example", "1.example", ""):
        assert not is_private(host), host


def test_who_may_send_a_client_where() -> None:
    for source, target, inwards in (
        ("r.example", "10.0.0.5", True),
        ("10.0.0.5", "r.example", False),
        ("10.0.0.5", "192.168.0.1", False),
        ("10.0.0.5", "169.254.169.254", True),
        ("10.0.0.5", "127.1", True),
        ("127.0.0.1", "10.0.0.5", False),
        ("localhost", "2130706433", False),
        ("8.8.8.8", "r.example", False),
    ):
        assert reaches_inwards(source, target) == inwards, (source, target)
