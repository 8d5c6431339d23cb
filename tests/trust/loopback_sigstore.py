"""Sigstore's services on loopback, with keys of their own: a certificate authority that reads identity tokens (Fulcio's
API v2), its log of certificates, and a log of signatures: Rekor's API v1, or v2, whose entries have no time, with an
authority of timestamps beside it. cosign is their client as ours is.

Specifications: github.com/sigstore/fulcio, docs/certificate-specification.md; github.com/sigstore/rekor, openapi.yaml;
github.com/sigstore/rekor-tiles, CLIENTS.md; RFC 6962; github.com/C2SP/C2SP, signed-note.md.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import struct
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from tests.support.loopback_server import LoopbackServer
from tests.trust.loopback_timestamps import TimestampAuthority

ISSUER = "https://issuer.example"
IDENTITY = "https://ci.example/team/models/release"
_SHA256 = ec.ECDSA(hashes.SHA256())
_OF_FULCIO = "1.3.6.1.4.1.57264.1"
_TIMESTAMPS = ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
_MINUTES = datetime.timedelta(minutes=10)


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _public_der(key: ec.EllipticCurvePrivateKey) -> bytes:
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(*form)


def _der_of(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def _key_id(key: ec.EllipticCurvePrivateKey) -> bytes:
    return hashlib.sha256(_public_der(key)).digest()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


class LoopbackSigstore(LoopbackServer):
    """The services; a context manager. `issued` are the names in certificates, `entries` the bodies in the log; `age`
    is how long ago certificates begin, `late` how long after signing the log says that it took an entry; `timestamps`
    is who says when, beside a log of the API `rekor` 2."""

    def __init__(self, *, rekor: int = 1) -> None:
        self.rekor = rekor
        self.timestamps = TimestampAuthority()
        self.issuer_key, self.authority_key, self.certificates_key, self.log_key = (_new_key() for _ in range(4))
        self.authority = _authority(self.authority_key)
        self.issued: list[str] = []
        self._log: list[bytes] = [b"{}"]  # JSON of protobuf leaves a number out that is 0, which not every reader takes
        self.age = datetime.timedelta(seconds=30)
        self.late = 0
        server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        server.sigstore = self
        super().__init__(server)

    @property
    def entries(self) -> list[bytes]:
        """The bodies of what was signed."""
        return self._log[1:]

    def token(self, **claims: object) -> str:
        """An identity token of the issuer that the authority believes, with `claims` beside or instead of its own."""
        now = int(time.time())
        usual = {"iss": ISSUER, "sub": IDENTITY, "aud": "sigstore", "iat": now, "exp": now + 600}
        return jwt.encode(usual | claims, self.issuer_key, algorithm="ES256")

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Writes the signing configuration and the trusted root."""
        start = {"start": "2020-01-01T00:00:00Z"}
        service = {"url": f"http://{self.address}", "majorApiVersion": 1, "validFor": start, "operator": "tests"}
        signing = {
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": [service],
            "rekorTlogUrls": [service | {"majorApiVersion": self.rekor}],
            "rekorTlogConfig": {"selector": "ANY"},
        }
        if self.rekor == 2:
            signing["tsaUrls"] = [service | {"url": f"http://{self.address}/api/v1/timestamp"}]
            signing["tsaConfig"] = {"selector": "ANY"}
        root = {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [self._instance(self.log_key)],
            "ctlogs": [self._instance(self.certificates_key)],
            "certificateAuthorities": [self._chain("authority", [_der_of(self.authority)])],
        }
        if self.rekor == 2:
            root["timestampAuthorities"] = [self._chain("timestamps", self.timestamps.chain)]
        paths = folder / "signing_config.json", folder / "trusted_root.json"
        for path, document in zip(paths, (signing, root), strict=True):
            path.write_text(json.dumps(document))
        return paths

    def _chain(self, name: str, certificates: list[bytes]) -> dict[str, Any]:
        return {
            "subject": {"organization": "tests", "commonName": name},
            "uri": f"http://{self.address}",
            "certChain": {"certificates": [{"rawBytes": _text(one)} for one in certificates]},
            "validFor": {"start": "2020-01-01T00:00:00Z"},
        }

    def _instance(self, key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
        return {
            "baseUrl": f"http://{self.address}",
            "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": _text(_public_der(key)),
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                "validFor": {"start": "2020-01-01T00:00:00Z"},
            },
            "logId": {"keyId": _text(_key_id(key))},
        }

    def certificate(self, public: Any, claims: dict[str, Any]) -> list[str]:
        """The chain for a key, whose holder has proved to have it, in PEM."""
        self.issued.append(claims["sub"])
        begin = datetime.datetime.now(datetime.UTC).replace(microsecond=0) - self.age
        name = claims["sub"].encode()
        usage = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign"), False
        ) | dict.fromkeys(("crl_sign", "encipher_only", "decipher_only"), False)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self.authority.subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + _MINUTES)
            .add_extension(x509.KeyUsage(digital_signature=True, **usage), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.authority_key.public_key()), critical=False
            )
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(name.decode())]), critical=True)
            .add_extension(_extension(f"{_OF_FULCIO}.1", claims["iss"].encode()), critical=False)
            .add_extension(_extension(f"{_OF_FULCIO}.8", _der(0x0C, claims["iss"].encode())), critical=False)
        )
        before = builder.sign(self.authority_key, hashes.SHA256())
        logged = builder.add_extension(
            x509.UnrecognizedExtension(_TIMESTAMPS, self._timestamps(before.tbs_certificate_bytes)), critical=False
        )
        chain = logged.sign(self.authority_key, hashes.SHA256()), self.authority
        return [one.public_bytes(serialization.Encoding.PEM).decode() for one in chain]

    def _timestamps(self, certificate: bytes) -> bytes:
        """The list of one signed certificate timestamp (RFC 6962, 3.2 and 3.3)."""
        now = int(time.time() * 1000)
        entry = _key_id(self.authority_key) + len(certificate).to_bytes(3) + certificate
        signed = struct.pack("!BBQH", 0, 0, now, 1) + entry + struct.pack("!H", 0)
        signature = self.certificates_key.sign(signed, _SHA256)
        stamp = struct.pack("!B32sQHBBH", 0, _key_id(self.certificates_key), now, 0, 4, 3, len(signature)) + signature
        return _der(0x04, _sized(_sized(stamp)))

    def log(self, proposed: dict[str, Any]) -> dict[str, Any]:
        """Takes a signed envelope; the answer is the entry with its proofs."""
        content = proposed["spec"]["proposedContent"]
        envelope = json.loads(content["envelope"])
        payload = base64.b64decode(envelope["payload"])
        body = {
            "apiVersion": "0.0.1",
            "kind": "dsse",
            "spec": {
                "envelopeHash": _hash(content["envelope"].encode()),
                "payloadHash": _hash(payload),
                "signatures": [
                    {"signature": one["sig"], "verifier": content["verifiers"][0]} for one in envelope["signatures"]
                ],
            },
        }
        self._log.append(_canonical(body))
        index = len(self._log) - 1
        entry = {
            "body": _text(self._log[-1]),
            "integratedTime": int(time.time()) + self.late,
            "logID": _key_id(self.log_key).hex(),
            "logIndex": index,
        }
        promise = self.log_key.sign(_canonical(entry), _SHA256)
        leaves, root, path = self._proof(index)
        proof = {
            "logIndex": index,
            "treeSize": len(leaves),
            "rootHash": root.hex(),
            "hashes": [one.hex() for one in path],
            "checkpoint": self._checkpoint(len(leaves), root),
        }
        verification = {"inclusionProof": proof, "signedEntryTimestamp": _text(promise)}
        return {leaves[-1].hex(): entry | {"verification": verification}}

    def log_untimed(self, proposed: dict[str, Any]) -> dict[str, Any]:
        """Takes the digest of what was signed, with its signature; the answer is the entry with its proof."""
        asked = proposed["hashedRekordRequestV002"]
        data = {"algorithm": "SHA2_256", "digest": asked["digest"]}
        spec = {"hashedRekordV002": {"data": data, "signature": asked["signature"]}}
        self._log.append(_canonical({"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": spec}))
        index = len(self._log) - 1
        leaves, root, path = self._proof(index)
        proof = {
            "logIndex": str(index),
            "treeSize": str(len(leaves)),
            "rootHash": _text(root),
            "hashes": [_text(one) for one in path],
            "checkpoint": {"envelope": self._checkpoint(len(leaves), root)},
        }
        return {
            "logIndex": str(index),
            "logId": {"keyId": _text(_key_id(self.log_key))},
            "kindVersion": {"kind": "hashedrekord", "version": "0.0.2"},
            "inclusionProof": proof,
            "canonicalizedBody": _text(self._log[-1]),
        }

    def _proof(self, index: int) -> tuple[list[bytes], bytes, list[bytes]]:
        """The leaves of the log, its root, and what proves that one of the leaves is below it."""
        leaves = [hashlib.sha256(b"\0" + one).digest() for one in self._log]
        return leaves, _root(leaves), _path(leaves, index)

    def _checkpoint(self, size: int, root: bytes) -> str:
        name = "tests.example" if self.rekor == 1 else "127.0.0.1"
        note = f"{name}{' - 1' if self.rekor == 1 else ''}\n{size}\n{_text(root)}\n"
        signature = _key_id(self.log_key)[:4] + self.log_key.sign(note.encode(), _SHA256)
        return f"{note}\n\N{EM DASH} {name} {_text(signature)}\n"


class Services:
    """The services with the files that say where they are, and a token in a file."""

    def __init__(self, sigstore: LoopbackSigstore, folder: Path) -> None:
        self.sigstore = sigstore
        self.signing, self.root = sigstore.write(folder)
        self.token = folder / "token"
        self.token.write_text(sigstore.token())

    @property
    def flags(self) -> tuple[str, ...]:
        """What a push signs with."""
        files = (f"--signing_config={self.signing}", f"--trusted_root={self.root}")
        return ("--sign", "--keyless", f"--identity-token={self.token}", *files)


def _authority(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "tests"), x509.NameAttribute(NameOID.COMMON_NAME, "authority")]
    )
    begin = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    usage = dict.fromkeys(("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"), False)
    usage |= dict.fromkeys(("key_agreement", "encipher_only", "decipher_only"), False)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _extension(name: str, value: bytes) -> x509.UnrecognizedExtension:
    return x509.UnrecognizedExtension(ObjectIdentifier(name), value)


def _der(tag: int, value: bytes) -> bytes:
    length = bytes([len(value)]) if len(value) < 128 else b"\x82" + len(value).to_bytes(2)
    return bytes([tag]) + length + value


def _sized(value: bytes) -> bytes:
    return len(value).to_bytes(2) + value


def _hash(data: bytes) -> dict[str, str]:
    return {"algorithm": "sha256", "value": hashlib.sha256(data).hexdigest()}


def _canonical(document: dict[str, Any]) -> bytes:
    """RFC 8785, for documents of ASCII and integers."""
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()


def _split(leaves: list[bytes]) -> int:
    """The largest power of two below the number of leaves (RFC 6962, 2.1)."""
    return 1 << (len(leaves) - 1).bit_length() - 1


def _root(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    middle = _split(leaves)
    return hashlib.sha256(b"\1" + _root(leaves[:middle]) + _root(leaves[middle:])).digest()


def _path(leaves: list[bytes], index: int) -> list[bytes]:
    if len(leaves) == 1:
        return []
    middle = _split(leaves)
    if index < middle:
        return [*_path(leaves[:middle], index), _root(leaves[middle:])]
    return [*_path(leaves[middle:], index - middle), _root(leaves[:middle])]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/api/v1/timestamp":
            self._timestamp(body)
            return
        answers = {"/api/v2/signingCert": self._certify}
        version = self.server.sigstore.rekor
        answers[f"/api/v{version}/log/entries"] = self._log if version == 1 else self._log_untimed
        answer = answers.get(self.path)
        status, document = answer(json.loads(body)) if answer else (404, {"message": "no such service"})
        data = json.dumps(document).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        if self.path.endswith("/v1/log/entries") and status == 201:
            self.send_header("ETag", next(iter(document)))
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _certify(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        sigstore: LoopbackSigstore = self.server.sigstore
        token = (
            self.headers.get("Authorization", "").removeprefix("Bearer ") or body["credentials"]["oidcIdentityToken"]
        )
        try:
            claims = jwt.decode(
                token, sigstore.issuer_key.public_key(), algorithms=["ES256"], audience="sigstore", issuer=ISSUER
            )
        except jwt.InvalidTokenError as error:
            return 401, {"code": 16, "message": f"the token is not believed: {error}"}
        if "certificateSigningRequest" in body:
            request = x509.load_pem_x509_csr(base64.b64decode(body["certificateSigningRequest"]))
            if not request.is_signature_valid:
                return 400, {"code": 3, "message": "the request is not signed by its key"}
            public = request.public_key()
        else:
            asked = body["publicKeyRequest"]
            public = serialization.load_pem_public_key(asked["publicKey"]["content"].encode())
            public.verify(base64.b64decode(asked["proofOfPossession"]), claims["sub"].encode(), _SHA256)
        chain = {"chain": {"certificates": sigstore.certificate(public, claims)}}
        return 200, {"signedCertificateEmbeddedSct": chain}

    def _log(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return 201, self.server.sigstore.log(body)

    def _log_untimed(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return 201, self.server.sigstore.log_untimed(body)

    def _timestamp(self, query: bytes) -> None:
        timestamps: TimestampAuthority = self.server.sigstore.timestamps
        data = b"" if timestamps.silent else timestamps.answer(query)
        self.send_response_only(503 if timestamps.silent else 200)
        self.send_header("Content-Type", "application/timestamp-reply")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
