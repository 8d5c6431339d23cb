"""Where a server listens: ports that are free, and addresses that are none."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from chassis.image_test.listening import LOOPBACK, PortError, free_port, host_headers, reached


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that another program has."""
    with socket.create_server((LOOPBACK, 0)) as server:
        yield server.getsockname()[1]


def test_a_port_that_is_wanted_is_taken_or_an_error(taken: int) -> None:
    other = free_port(LOOPBACK, None, taken)
    assert other != taken
    assert free_port(LOOPBACK, other, taken) == other
    with pytest.raises(PortError, match=f"{LOOPBACK}:{taken} cannot be listened on: Address already in use"):
        free_port(LOOPBACK, taken, other)


def test_no_port_is_given_twice(taken: int) -> None:
    usual = free_port(LOOPBACK, None, taken)
    assert free_port(LOOPBACK, None, usual) == usual
    assert free_port(LOOPBACK, None, usual, [usual]) != usual
    with pytest.raises(PortError, match=f"port {usual} is asked for twice"):
        free_port(LOOPBACK, usual, taken, [usual])


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("::1", "::1 is not an IPv4 address: give 127.0.0.1, or 0.0.0.0"),
        ("203.0.113.9", "203.0.113.9 cannot be listened on: Cannot assign requested address"),
    ],
)
def test_an_address_that_cannot_be_listened_on_is_named(host: str, message: str) -> None:
    with pytest.raises(PortError, match=message):
        free_port(host, None, 8090)


def test_browsers_may_use_the_names_of_loopback_alone() -> None:
    assert host_headers("127.0.0.2", 8090) == {"127.0.0.1:8090", "127.0.0.2:8090", "localhost:8090"}
    assert host_headers("localhost", 8090) == {"127.0.0.1:8090", "localhost:8090"}
    # A browser names no port if it is that of HTTP.
    assert host_headers("127.0.0.1", 80) == {"127.0.0.1:80", "127.0.0.1", "localhost:80", "localhost"}
    assert host_headers("0.0.0.0", 8090) == frozenset()


def test_a_server_of_all_addresses_is_reached_on_loopback() -> None:
    assert reached("0.0.0.0") == LOOPBACK
    assert reached("127.0.0.2") == "127.0.0.2"
