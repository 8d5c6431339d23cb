"""Tests of certificates.py: what a store holds, read back by its form (Java's key store, version 2)."""

from __future__ import annotations

import hashlib
import ssl
import struct
from pathlib import Path

from chassis.bootstrap.certificates import find_bundle, key_store, write_key_store

_PEM = ssl.DER_cert_to_PEM_cert(b"first certificate") + "# a comment\n" + ssl.DER_cert_to_PEM_cert(b"second one")


def _read(store: bytes) -> list[bytes]:
    magic, version, count = struct.unpack(">III", store[:12])
    assert (magic, version) == (0xFEEDFEED, 2)
    position, found = 12, []
    for _ in range(count):
        (tag, length) = struct.unpack_from(">IH", store, position)
        assert tag == 2
        position += 6 + length + 8
        (length,) = struct.unpack_from(">H", store, position)
        assert store[position + 2 : position + 2 + length] == b"X.509"
        position += 2 + length
        (length,) = struct.unpack_from(">I", store, position)
        found.append(store[position + 4 : position + 4 + length])
        position += 4 + length
    secret = "changeit".encode("utf-16-be") + b"Mighty Aphrodite"
    assert store[position:] == hashlib.sha1(secret + store[:position]).digest()
    return found


def test_each_certificate_is_in_the_store_once() -> None:
    assert _read(key_store(_PEM + _PEM)) == [b"first certificate", b"second one"]


def test_the_machines_own_variable_comes_first(tmp_path: Path) -> None:
    bundle = tmp_path / "own.pem"
    bundle.write_text(_PEM)
    assert find_bundle({"SSL_CERT_FILE": str(bundle)}) == bundle
    assert find_bundle({"SSL_CERT_FILE": str(tmp_path / "absent.pem")}) != tmp_path / "absent.pem"


def test_a_machine_without_certificates_has_an_empty_store(tmp_path: Path) -> None:
    write_key_store(None, tmp_path / "store")
    assert (tmp_path / "store").read_bytes() == b""
