"""Verifies signatures with the OpenSSL that Python itself brings, where no other package is: in images, and in programs
of repository rules.
"""

from __future__ import annotations

import ctypes
from typing import Any

from chassis.errors import ChassisError

_RSA, _EC, _ED25519 = 6, 408, 1087
"""What OpenSSL calls kinds of keys (NID)."""

_CURVES = {b"prime256v1": b"SHA256", b"secp384r1": b"SHA384", b"secp521r1": b"SHA512"}
"""Curves as OpenSSL calls them, and the digests that are signed with them."""

_RSA_BITS = 2048
_NAME_BYTES = 64


class VerifierError(ChassisError):
    """There is no OpenSSL 3, or a key is none that signs."""


class OpenSslKey:
    """A public key in PEM; `where` names it for people."""

    def __init__(self, pem: bytes, where: str) -> None:
        """Raises `VerifierError` if it is not a public key of ECDSA, Ed25519 or RSA."""
        self.where = where
        self._openssl = _openssl(where)
        source = self._openssl.BIO_new_mem_buf(pem, len(pem))
        self._key = self._openssl.PEM_read_bio_PUBKEY(source, None, None, None)
        self._openssl.BIO_free(source)
        self._openssl.ERR_clear_error()  # or Python's next connection over TLS reads it
        if not self._key:
            raise VerifierError(f"{where}: is not a public key in PEM (BEGIN PUBLIC KEY)")
        self._digest = self._digest_name()

    def _digest_name(self) -> bytes:
        """What a key of its kind signs the digest of; nothing for Ed25519, which signs the message."""
        kind = self._openssl.EVP_PKEY_get_base_id(self._key)
        if kind == _ED25519:
            return b""
        if kind == _RSA and self._openssl.EVP_PKEY_get_bits(self._key) >= _RSA_BITS:
            return b"SHA256"
        name = ctypes.create_string_buffer(_NAME_BYTES)
        named = self._openssl.EVP_PKEY_get_group_name(self._key, name, _NAME_BYTES, None)
        self._openssl.ERR_clear_error()
        if kind == _EC and named == 1 and name.value in _CURVES:
            return _CURVES[name.value]
        raise VerifierError(f"{self.where}: expected a key of ECDSA (P-256, P-384, P-521), Ed25519 or RSA (2048 bits)")

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Whether `signature` is this key's of `data`."""
        ssl = self._openssl
        context = ssl.EVP_MD_CTX_new()
        digest = ssl.EVP_get_digestbyname(self._digest) if self._digest else None
        begun = ssl.EVP_DigestVerifyInit(context, None, digest, None, self._key)
        good = begun == 1 and ssl.EVP_DigestVerify(context, signature, len(signature), data, len(data)) == 1
        ssl.EVP_MD_CTX_free(context)
        ssl.ERR_clear_error()
        return bool(good)


def _openssl(where: str) -> Any:
    """OpenSSL as Python's own `hashlib` uses it, with the types of what is called here."""
    try:
        library = ctypes.CDLL("libcrypto.so.3")
    except OSError:
        raise VerifierError(f"{where}: verifying needs OpenSSL 3, but libcrypto.so.3 was not found") from None
    pointer, size, data = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p
    for name, result, arguments in (
        ("BIO_new_mem_buf", pointer, [data, ctypes.c_int]),
        ("BIO_free", ctypes.c_int, [pointer]),
        ("PEM_read_bio_PUBKEY", pointer, [pointer, pointer, pointer, pointer]),
        ("EVP_PKEY_get_base_id", ctypes.c_int, [pointer]),
        ("EVP_PKEY_get_bits", ctypes.c_int, [pointer]),
        ("EVP_PKEY_get_group_name", ctypes.c_int, [pointer, data, size, pointer]),
        ("EVP_MD_CTX_new", pointer, []),
        ("EVP_MD_CTX_free", None, [pointer]),
        ("EVP_get_digestbyname", pointer, [data]),
        ("EVP_DigestVerifyInit", ctypes.c_int, [pointer, pointer, pointer, pointer, pointer]),
        ("EVP_DigestVerify", ctypes.c_int, [pointer, data, size, data, size]),
        ("ERR_clear_error", None, []),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
