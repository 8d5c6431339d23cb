"""Which addresses are public, what an operator's list adds, and that a name is resolved once."""

import socket
import threading

import pytest

from chassis.service.addresses import AddressError, AddressPolicy, UnresolvedError

PUBLIC = AddressPolicy("--flag")

ADDRESSES = {
    "8.8.8.8": True,
    "100.63.255.255": True,
    "100.64.0.1": False,
    "127.0.0.1": False,
    "169.254.169.254": False,
    "168.63.129.16": False,
    "172.32.0.1": True,
    "192.88.99.1": False,
    "198.19.0.1": False,
    "224.0.0.1": False,
    "240.0.0.1": False,
    "255.255.255.255": False,
    "0.0.0.0": False,
    "::": False,
    "::1": False,
    "::7f00:1": False,
    "::ffff:127.0.0.1": False,
    "::ffff:8.8.8.8": True,
    "64:ff9b::8.8.8.8": True,
    "64:ff9b::10.0.0.1": False,
    "64:ff9b:1::8.8.8.8": False,
    "2001:4860:4860::8888": True,
    "2001:0:7f00:1::": False,
    "2001:db8::1": False,
    "2002:7f00:1::": False,
    "fc00::1": False,
    "fd00:ec2::254": False,
    "fe80::1": False,
    "fe80::1%lo": False,
    "fec0::1": False,
    "ff02::1": False,
    "nonsense": False,
}


def test_public_addresses_are_told_from_others():
    assert {address: PUBLIC.allows(address) for address in ADDRESSES} == ADDRESSES


def test_of_a_name_only_the_public_addresses_are_taken():
    mixed = ["127.0.0.1", "8.8.8.8", "::1", "::ffff:10.0.0.1", "2001:4860:4860::8888"]
    found = PUBLIC.addresses("mixed.example", 80, resolve=lambda host, port: mixed)
    assert found == ["8.8.8.8", "2001:4860:4860::8888"]
    with pytest.raises(AddressError, match=r"private.example \(10.0.0.1\) is not a public address.*--flag"):
        PUBLIC.addresses("private.example", 80, resolve=lambda host, port: ["10.0.0.1"])


def test_an_operator_lists_hosts_ports_and_networks():
    policy = AddressPolicy.of_list(
        "--flag", ["Hooks.Example", "one.example:8080", "10.1.0.0/16", "fd00::/8", "[::1]:90"]
    )

    def allowed(host, port, address):
        try:
            return policy.addresses(host, port, resolve=lambda *_: [address]) == [address]
        except AddressError:
            return False

    table = [
        ("hooks.example", 80, "10.0.0.1", True),
        ("HOOKS.example.", 443, "10.0.0.1", True),
        ("x.hooks.example", 80, "10.0.0.1", False),
        ("one.example", 8080, "10.0.0.1", True),
        ("one.example", 80, "10.0.0.1", False),
        ("other.example", 80, "10.1.2.3", True),
        ("other.example", 80, "::ffff:10.1.2.3", True),
        ("other.example", 80, "fd12::1", True),
        ("::1", 90, "::1", True),
        ("::1", 91, "::1", False),
    ]
    assert [(*case[:3], allowed(*case[:3])) for case in table] == table
    for wrong in ("10.0.0.1/8", "a b", "host:port", "host:70000", "http://host"):
        with pytest.raises(AddressError, match="expected a host"):
            AddressPolicy.of_list("--flag", [wrong])


def test_a_name_is_resolved_once(monkeypatch):
    """A name's server that answers with a public address first, and then with loopback."""
    answers = [["8.8.8.8"], ["127.0.0.1"]]

    def resolve(host, port, **_):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answer, port)) for answer in answers.pop(0)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert PUBLIC.addresses("rebind.example", 80) == ["8.8.8.8"]
    assert answers == [["127.0.0.1"]]


def test_a_name_server_that_does_not_answer_is_not_waited_for():
    over = threading.Event()
    with pytest.raises(UnresolvedError, match="no name server answers"):
        PUBLIC.addresses("slow.example", 80, 0.05, resolve=lambda host, port: over.wait(30) or [])
    over.set()


def test_what_needs_no_name_server_is_refused_at_once(monkeypatch):
    for host in ("127.0.0.1", "2130706433", "0x7f.1", "localhost", "a.localhost.", "::1", "::ffff:7f00:1"):
        with pytest.raises(AddressError):
            PUBLIC.check(host, 80)
    PUBLIC.check("a-name.example", 80)
    PUBLIC.check("8.8.8.8", 80)
