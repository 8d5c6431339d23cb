"""Stands in for `gpgv` on a machine that has none: checks detached OpenPGP signatures with pysequoia.

    python3 -m chassis.debian.gpgv --status-fd 3 --keyring KEYS SIGNATURE DATA

Takes the arguments that apt gives, writes the status lines that apt reads (GnuPG's doc/DETAILS), and ends with 0 only
if a key of the keyrings made a good signature, with 1 otherwise. What is weak, such as SHA-1, is judged by Sequoia's
policy.

Runs on any Python from 3.9 that can import pysequoia, because it is part of what brings Bazel to a machine.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pysequoia import Cert

# RFC 9580, section 9.5.
_HASHES = {"MD5": 1, "SHA1": 2, "RipeMD": 3, "SHA256": 8, "SHA384": 9, "SHA512": 10, "SHA224": 11}
_ARMOR = b"-----BEGIN PGP SIGNATURE-----"
_FLAGS = ("--ignore-time-conflict", "--quiet", "-q", "--verbose", "-v")
_WITH_VALUE = ("--keyring", "--status-fd", "--homedir", "--logger-fd", "--weak-digest", "--output", "-o")


def main(argv: Sequence[str]) -> int:
    """0 if a signature is good; 1 if none is; 2 if it cannot be said."""
    values: dict[str, list[str]] = {}
    files = []
    rest = iter(argv)
    for argument in rest:
        if argument in _FLAGS or argument == "--":
            continue
        name, equals, value = argument.partition("=")
        if name in _WITH_VALUE:
            values.setdefault(name, []).append(value if equals else next(rest, ""))
        elif argument.startswith("-"):
            print(f"gpgv stand-in: {argument} is not known here", file=sys.stderr)
            return 2
        else:
            files.append(Path(argument))
    if len(files) != 2 or not values.get("--keyring"):
        print("gpgv stand-in: a signature, what is signed and --keyring are expected", file=sys.stderr)
        return 2
    try:
        lines, good = check(files[0].read_bytes(), files[1].read_bytes(), [Path(k) for k in values["--keyring"]])
    except OSError as error:
        print(f"gpgv stand-in: {error}", file=sys.stderr)
        return 2
    status = "".join(f"[GNUPG:] {line}\n" for line in lines).encode()
    os.write(int(values.get("--status-fd", ["2"])[-1]), status)
    return 0 if good else 1


def check(signatures: bytes, data: bytes, keyrings: Sequence[Path]) -> tuple[list[str], bool]:
    """The status lines for each of the signatures (one armored or binary block may hold several), and whether one is
    good."""
    from pysequoia import Sig, verify
    from pysequoia.packet import PacketPile

    certificates = [certificate for keyring in keyrings for certificate in _certificates(keyring)]
    lines: list[str] = []
    good = False
    try:
        # Armored blocks may follow each other, as in a Release.gpg that two have signed.
        blocks = [_ARMOR + part for part in signatures.split(_ARMOR)[1:]] or [signatures]
        packets = [packet for block in blocks for packet in PacketPile.from_bytes(block)]
    except Exception as error:  # pysequoia raises plain exceptions
        return [f"NODATA 4 {_one_line(error)}"], False
    for packet in packets:
        lines.append("NEWSIG")
        issuer = "0" * 16
        try:
            signature = Sig.from_bytes(bytes(packet))
            issuer = (signature.issuer_key_id or signature.issuer_fingerprint or issuer).upper()[-16:]
            result = verify(bytes=data, store=lambda key_ids: certificates, signature=signature)
            valid = result.valid_sigs[0]
        except Exception as error:
            known = any(issuer.lower() in str(bytes(certificate).hex()) for certificate in certificates)
            lines.append(f"BADSIG {issuer} {_one_line(error)}" if known else f"NO_PUBKEY {issuer}")
            continue
        made = int(signature.created.timestamp()) if signature.created else 0
        algorithm = _HASHES.get(str(packet.hash_algorithm).rpartition(".")[2], 0)
        key, primary = valid.signing_key.upper(), valid.certificate.upper()
        lines.append(f"GOODSIG {key[-16:]} {primary}")
        lines.append(f"VALIDSIG {key} - {made} 0 4 0 1 {algorithm} 00 {primary}")
        good = True
    return lines, good


def _certificates(keyring: Path) -> list[Cert]:
    from pysequoia import Cert

    data = keyring.read_bytes()
    return Cert.split_bytes(data) if data else []


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
