"""An authority of one certificate for tests: TLS on loopback, and signatures of registry tokens.

Pure Python, so that no key lies in the repository and no other program is needed. Formats: RFC 8017 (RSA),
RFC 5280 (certificates), RFC 7515 (signatures of tokens). For tests only: nothing here resists side channels.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

_EXPONENT = 65537
_PRIME_BITS = 1024
_SMALL_PRIMES = [p for p in range(3, 2000, 2) if all(p % q for q in range(3, int(p**0.5) + 1, 2))]
_SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
_RSA_ENCRYPTION = (1, 2, 840, 113549, 1, 1, 1)
_SHA256_WITH_RSA = (1, 2, 840, 113549, 1, 1, 11)
_COMMON_NAME = (2, 5, 4, 3)
_ALTERNATIVE_NAMES = (2, 5, 29, 17)
_BASIC_CONSTRAINTS = (2, 5, 29, 19)


@dataclass(frozen=True, slots=True)
class Authority:
    """A key and its self-signed certificate for 127.0.0.1 and localhost, in DER."""

    modulus: int
    secret: int
    key: bytes
    certificate: bytes

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Writes certificate and key as PEM; returns both paths."""
        certificate, key = folder / "certificate.pem", folder / "key.pem"
        certificate.write_text(_pem("CERTIFICATE", self.certificate))
        key.write_text(_pem("RSA PRIVATE KEY", self.key))
        return certificate, key

    def sign(self, data: bytes) -> bytes:
        """RSASSA-PKCS1-v1_5 with SHA-256."""
        return _sign(data, self.modulus, self.secret)

    def token(self, claims: dict) -> str:
        """A signed JSON web token whose header holds the certificate."""
        header = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(self.certificate).decode()]}
        text = ".".join(_base64url(json.dumps(part).encode()) for part in (header, claims))
        return f"{text}.{_base64url(self.sign(text.encode()))}"


def new_authority() -> Authority:
    """Makes a key of 2048 bits and its certificate, valid from an hour ago for a day."""
    p, q = _prime(), _prime()
    modulus = p * q
    secret = pow(_EXPONENT, -1, (p - 1) * (q - 1))
    numbers = (0, modulus, _EXPONENT, secret, p, q, secret % (p - 1), secret % (q - 1), pow(q, -1, p))
    key = _sequence(*(_integer(number) for number in numbers))
    algorithm = _sequence(_oid(_SHA256_WITH_RSA), _tlv(0x05))
    name = _sequence(_tlv(0x31, _sequence(_oid(_COMMON_NAME), _tlv(0x0C, b"test authority"))))
    public = _sequence(
        _sequence(_oid(_RSA_ENCRYPTION), _tlv(0x05)),
        _tlv(0x03, b"\0", _sequence(_integer(modulus), _integer(_EXPONENT))),
    )
    names = _sequence(_tlv(0x82, b"localhost"), _tlv(0x87, bytes([127, 0, 0, 1])))
    extensions = _sequence(
        _sequence(_oid(_BASIC_CONSTRAINTS), _tlv(0x01, b"\xff"), _tlv(0x04, _sequence(_tlv(0x01, b"\xff")))),
        _sequence(_oid(_ALTERNATIVE_NAMES), _tlv(0x04, names)),
    )
    now = time.time()
    body = _sequence(
        _tlv(0xA0, _integer(2)),
        _integer(secrets.randbits(63) | 1),
        algorithm,
        name,
        _sequence(_moment(now - 3600), _moment(now + 86400)),
        name,
        public,
        _tlv(0xA3, extensions),
    )
    signature = _tlv(0x03, b"\0", _sign(body, modulus, secret))
    return Authority(modulus, secret, key, _sequence(body, algorithm, signature))


def _prime() -> int:
    while True:
        number = secrets.randbits(_PRIME_BITS) | 3 << (_PRIME_BITS - 2) | 1
        if all(number % small for small in _SMALL_PRIMES) and number % _EXPONENT != 1 and _is_prime(number):
            return number


def _is_prime(number: int) -> bool:
    """Miller and Rabin's test; eight rounds are plenty for a random number of this size."""
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for _ in range(8):
        value = pow(secrets.randbelow(number - 3) + 2, odd, number)
        if value in (1, number - 1):
            continue
        for _ in range(twos - 1):
            value = value * value % number
            if value == number - 1:
                break
        else:
            return False
    return True


def _sign(data: bytes, modulus: int, secret: int) -> bytes:
    length = (modulus.bit_length() + 7) // 8
    info = _SHA256_INFO + hashlib.sha256(data).digest()
    padded = b"\0\1" + b"\xff" * (length - len(info) - 3) + b"\0" + info
    return pow(int.from_bytes(padded, "big"), secret, modulus).to_bytes(length, "big")


def _tlv(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def _sequence(*parts: bytes) -> bytes:
    return _tlv(0x30, *parts)


def _integer(number: int) -> bytes:
    return _tlv(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def _oid(arcs: tuple[int, ...]) -> bytes:
    content = bytes([arcs[0] * 40 + arcs[1]])
    for arc in arcs[2:]:
        piece = bytes([arc & 0x7F])
        while arc := arc >> 7:
            piece = bytes([arc & 0x7F | 0x80]) + piece
        content += piece
    return _tlv(0x06, content)


def _moment(seconds: float) -> bytes:
    return _tlv(0x17, time.strftime("%y%m%d%H%M%SZ", time.gmtime(seconds)).encode())


def _pem(kind: str, data: bytes) -> str:
    text = base64.b64encode(data).decode()
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {kind}-----", *lines, f"-----END {kind}-----", ""])


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
