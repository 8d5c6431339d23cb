"""An authority that says when it saw a signature (RFC 3161): Sigstore's services have one beside a log of no times."""

from __future__ import annotations

import datetime
import hashlib
from typing import Any

from asn1crypto import algos, cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_SHA256 = ec.ECDSA(hashes.SHA256())
_POLICY = "1.3.6.1.4.1.57264.2"
_DAY = datetime.timedelta(days=1)


class TimestampAuthority:
    """The authority, with a root of its own. `late` is by how many seconds what it says is wrong, `asked` how often it
    was asked; `silent` has it refuse."""

    def __init__(self) -> None:
        self._key, root_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        root_name, name = (
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in ("timestamps", "timestamp authority")
        )
        self._root = _certificate(root_name, root_name, root_key, root_key, True)
        self._leaf = _certificate(name, root_name, self._key, root_key, False)
        self.late = 0
        self.asked = 0
        self.silent = False

    @property
    def chain(self) -> list[bytes]:
        """Its certificate and its root's, in DER."""
        return [one.public_bytes(serialization.Encoding.DER) for one in (self._leaf, self._root)]

    def answer(self, query: bytes) -> bytes:
        """The response to a request, both in DER."""
        self.asked += 1
        asked = tsp.TimeStampReq.load(query)
        now = datetime.datetime.now(datetime.UTC).replace(microsecond=0) + datetime.timedelta(seconds=self.late)
        said: dict[str, Any] = {
            "version": "v1",
            "policy": _POLICY,
            "message_imprint": asked["message_imprint"],
            "serial_number": self.asked,
            "gen_time": now,
        }
        if asked["nonce"].native is not None:
            said["nonce"] = asked["nonce"].native
        token = self._signed(tsp.TSTInfo(said).dump())
        return bytes(tsp.TimeStampResp({"status": {"status": "granted"}, "time_stamp_token": token}).dump())

    def _signed(self, info: bytes) -> cms.ContentInfo:
        """CMS's signed data of a TSTInfo (RFC 5652, 5; RFC 5816)."""
        sha256 = algos.DigestAlgorithm({"algorithm": "sha256"})
        leaf = asn1_x509.Certificate.load(self.chain[0])
        names = tsp.SigningCertificateV2(
            {"certs": [{"hash_algorithm": sha256, "cert_hash": hashlib.sha256(self.chain[0]).digest()}]}
        )
        attributes = cms.CMSAttributes(
            [
                cms.CMSAttribute({"type": "content_type", "values": ["tst_info"]}),
                cms.CMSAttribute({"type": "message_digest", "values": [hashlib.sha256(info).digest()]}),
                cms.CMSAttribute({"type": "signing_certificate_v2", "values": [names]}),
            ]
        )
        signer = {
            "version": "v1",
            "sid": {"issuer_and_serial_number": {"issuer": leaf.issuer, "serial_number": leaf.serial_number}},
            "digest_algorithm": sha256,
            "signed_attrs": attributes,
            "signature_algorithm": {"algorithm": "sha256_ecdsa"},
            "signature": self._key.sign(attributes.dump(), _SHA256),
        }
        data = {
            "version": "v3",
            "digest_algorithms": [sha256],
            "encap_content_info": {"content_type": "tst_info", "content": core.ParsableOctetString(info)},
            "certificates": [leaf],
            "signer_infos": [signer],
        }
        return cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(data)})


def _certificate(
    name: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey, root: bool
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    usage = dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False)
    usage |= dict.fromkeys(("encipher_only", "decipher_only", "crl_sign"), False)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + 30 * _DAY)
        .add_extension(x509.BasicConstraints(ca=root, path_length=0 if root else None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=not root, key_cert_sign=root, **usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if not root:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
    return builder.sign(signer, hashes.SHA256())
