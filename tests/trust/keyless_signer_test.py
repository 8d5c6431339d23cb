"""An identity that signs, over the life of its token and its certificate; what it signed and somebody changed is
refused."""

from __future__ import annotations

import base64
import datetime
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from rfc3161_client import TimestampRequestBuilder
from sigstore import dsse

from chassis.oci.digest import of_bytes
from chassis.oci.registry.client import RegistryClient
from chassis.oci.registry.credentials import CredentialStore
from chassis.oci.registry.reference import parse_repository
from chassis.oci.registry.transport import Transport
from chassis.trust import keyless
from chassis.trust.errors import IdentityError, SignatureError
from chassis.trust.keyless import Identity, KeylessSigner, identity_token, keyless_signer, read_trusted_root
from chassis.trust.statement import SIGNED_IMAGE, Statement, encode_statement
from chassis.trust.verification import verify_image
from tests.trust.loopback_sigstore import IDENTITY, ISSUER, LoopbackSigstore, Services
from tests.trust.loopback_timestamps import TimestampAuthority
from tests.trust.referrers_registry import ReferrersRegistry
from tests.trust.signing_tools import pushed


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    (tmp_path / "services").mkdir()
    with LoopbackSigstore() as sigstore:
        yield Services(sigstore, tmp_path / "services")


STATEMENT = Statement("", f"sha256:{'ab' * 32}", SIGNED_IMAGE, {})


def signer_of(services: Services) -> KeylessSigner:
    """As a push makes it."""
    return keyless_signer(services.token, {}, services.signing, services.root)


def expire(signer: KeylessSigner) -> None:
    """What time does to a token."""
    signer.token._exp = int(time.time()) - 1


def test_a_token_that_expires_while_an_image_is_sent_is_taken_anew(services: Services) -> None:
    signer = signer_of(services)
    expire(signer)
    services.token.write_text(services.sigstore.token(exp=int(time.time()) - 60))
    with pytest.raises(
        IdentityError, match=r"expired by now, and there is no newer one: .*/token: cannot be signed with"
    ):
        signer.bundle(STATEMENT)
    services.token.write_text(services.sigstore.token(sub="https://ci.example/other"))
    with pytest.raises(IdentityError, match=r"the newer one is of https://ci\.example/other"):
        signer.bundle(STATEMENT)
    assert services.sigstore.issued == []
    services.token.write_text(services.sigstore.token(exp=int(time.time()) + 300))
    assert signer.said(signer.bundle(STATEMENT), "it") == [STATEMENT]
    assert services.sigstore.issued == [IDENTITY]


def test_a_certificate_is_left_before_it_expires(services: Services) -> None:
    signer = signer_of(services)
    for _ in range(2):
        signer.bundle(STATEMENT)
    assert services.sigstore.issued == [IDENTITY]
    made, begin = signer._made
    signer._made = made, begin - 8 * 60
    signer.bundle(STATEMENT)
    assert services.sigstore.issued == [IDENTITY] * 2


def test_a_certificate_that_expired_all_the_same_is_asked_for_once_more(services: Services) -> None:
    signer = signer_of(services)
    services.sigstore.age = datetime.timedelta(hours=1)
    with pytest.raises(IdentityError, match="is expired already"):
        signer.bundle(STATEMENT)
    assert services.sigstore.issued == [IDENTITY]
    services.sigstore.age = datetime.timedelta(seconds=30)
    assert signer.said(signer.bundle(STATEMENT), "it") == [STATEMENT]
    assert services.sigstore.issued == [IDENTITY] * 2


def test_services_that_do_not_answer_are_waited_for_once(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyless, "_SERVICE_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        services.signing.write_text(services.signing.read_text().replace(services.sigstore.address, address))
        signer = signer_of(services)
        with ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(signer.bundle, STATEMENT) for _ in range(8)]
        assert {str(one.exception()) for one in asked} == {
            "signing without a key: Sigstore's services gave no answer in 0.5 s"
        }
        silent.setblocking(False)
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()


def test_a_token_of_the_environment_may_end_in_a_line_break(services: Services) -> None:
    token = services.sigstore.token()
    assert str(identity_token(None, {"SIGSTORE_ID_TOKEN": f" {token}\n"})) == token


def test_what_an_identity_signs_has_to_be_a_statement(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dsse.Envelope, "_TYPE", "application/x-other")
    monkeypatch.setattr(dsse.Statement, "_pae", lambda self: dsse._pae("application/x-other", self._contents))
    bundle = signer_of(services).bundle(STATEMENT)
    with pytest.raises(SignatureError, match=r"signs 'application/x-other', expected 'application/vnd\.in-toto"):
        Identity(IDENTITY, ISSUER, read_trusted_root(services.root)).payload(bundle)


@dataclass(frozen=True)
class Signed:
    """An image that an identity signed: `bundle` is its signature, `manifest` that of the bundle's artifact, and
    `other` the bundle of something else that it signed."""

    registry: ReferrersRegistry
    root: Path
    digest: str
    manifest: dict
    bundle: dict
    other: dict

    def verify(self, name: str, bundle: dict) -> None:
        """Puts the image with `bundle` in place of its own into a repository, and verifies it."""
        data = json.dumps(bundle).encode()
        digest = of_bytes(data)
        self.registry.blobs[digest] = data
        (layer,) = self.manifest["layers"]
        manifest = self.manifest | {"layers": [layer | {"digest": digest, "size": len(data)}]}
        self.registry.add(name, *self.registry.manifests["signed/one", self.digest])
        self.registry.add(name, manifest["mediaType"], json.dumps(manifest).encode())
        client = RegistryClient(
            parse_repository(f"{self.registry.address}/{name}"), Transport(), CredentialStore({"HOME": "/nonexistent"})
        )
        identity = Identity(IDENTITY, ISSUER, read_trusted_root(self.root))
        found = verify_image(client, self.digest, [], identities=[identity])
        assert [one.digest for one in found.statements] == [self.digest]


def signed_image(folder: Path, rekor: int) -> Iterator[Signed]:
    """An image that is signed by services whose log has an API of this version."""
    with LoopbackSigstore(rekor=rekor) as sigstore, ReferrersRegistry() as registry:
        services = Services(sigstore, folder)
        digest = pushed(registry.address, folder, "signed/one", 1, *services.flags)
        (entry,) = registry.referrers("signed/one", digest)
        manifest = json.loads(registry.manifests["signed/one", entry["digest"]][1])
        bundle = json.loads(registry.blobs[manifest["layers"][0]["digest"]])
        other = json.loads(signer_of(services).bundle(STATEMENT))
        yield Signed(registry, services.root, digest, manifest, bundle, other)


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signed]:
    yield from signed_image(tmp_path_factory.mktemp("signed"), 1)


@pytest.fixture(scope="module")
def stamped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signed]:
    """Signed at a time that an authority of timestamps says."""
    yield from signed_image(tmp_path_factory.mktemp("stamped"), 2)


def entry_of(bundle: dict) -> dict:
    """The log's."""
    (entry,) = bundle["verificationMaterial"]["tlogEntries"]
    return entry


def swap(holder: dict | list, name: str | int) -> None:
    """Puts other bytes, as many, in place of those of a text in base64."""
    data = bytearray(base64.b64decode(holder[name]))
    data[-1] ^= 1
    holder[name] = base64.b64encode(data).decode()


def swap_proof(signed: Signed, bundle: dict) -> None:
    swap(entry_of(bundle)["inclusionProof"]["hashes"], 0)


def swap_root(signed: Signed, bundle: dict) -> None:
    swap(entry_of(bundle)["inclusionProof"], "rootHash")


def swap_checkpoint(signed: Signed, bundle: dict) -> None:
    checkpoint = entry_of(bundle)["inclusionProof"]["checkpoint"]
    checkpoint["envelope"] = "other." + checkpoint["envelope"]


def swap_promise(signed: Signed, bundle: dict) -> None:
    swap(entry_of(bundle)["inclusionPromise"], "signedEntryTimestamp")


def swap_time(signed: Signed, bundle: dict) -> None:
    entry_of(bundle)["integratedTime"] = str(int(entry_of(bundle)["integratedTime"]) + 5)


def swap_entry(signed: Signed, bundle: dict) -> None:
    bundle["verificationMaterial"]["tlogEntries"] = [entry_of(signed.other)]


def swap_signature(signed: Signed, bundle: dict) -> None:
    swap(bundle["dsseEnvelope"]["signatures"][0], "sig")


def swap_payload(signed: Signed, bundle: dict) -> None:
    other = encode_statement(Statement("_", signed.digest, SIGNED_IMAGE, {"more": "than was said"}))
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(other).decode()


def swap_payload_type(signed: Signed, bundle: dict) -> None:
    bundle["dsseEnvelope"]["payloadType"] = "application/x-other"


def swap_certificate(signed: Signed, bundle: dict) -> None:
    bundle["verificationMaterial"]["certificate"] = signed.other["verificationMaterial"]["certificate"]


def no_entry(signed: Signed, bundle: dict) -> None:
    del bundle["verificationMaterial"]["tlogEntries"]


def no_entries(signed: Signed, bundle: dict) -> None:
    bundle["verificationMaterial"]["tlogEntries"] = []


def no_proof(signed: Signed, bundle: dict) -> None:
    del entry_of(bundle)["inclusionProof"]


def no_promise(signed: Signed, bundle: dict) -> None:
    del entry_of(bundle)["inclusionPromise"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (swap_proof, "inclusion proof contains invalid root hash"),
        (swap_root, "inclusion proof contains invalid root hash"),
        (swap_checkpoint, "checkpoint: invalid signature"),
        (swap_promise, "SET: invalid inclusion promise"),
        (swap_time, "SET: invalid inclusion promise"),
        (swap_entry, "log entry payload hash does not match bundle"),
        (swap_signature, "DSSE: invalid signature"),
        (swap_payload, "DSSE: invalid signature"),
        (swap_payload_type, "signs 'application/x-other'"),
        (swap_certificate, "DSSE: invalid signature"),
        (no_entry, "tlogEntries Field required"),
        (no_entries, "expected exactly one log entry"),
        (no_proof, "inclusionProof Field required"),
        (no_promise, "bundle must contain an inclusion promise"),
    ],
)
def test_a_bundle_that_was_changed_is_refused(
    signed: Signed, change: Callable[[Signed, dict], None], reason: str
) -> None:
    changed = json.loads(json.dumps(signed.bundle))
    signed.verify(f"same/{change.__name__}", changed)
    change(signed, changed)
    with pytest.raises(SignatureError, match=re.escape(reason)):
        signed.verify(f"changed/{change.__name__}", changed)


def stamps_of(bundle: dict) -> list[dict]:
    """What authorities said of the time."""
    return bundle["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"]


def swap_stamp(signed: Signed, bundle: dict) -> None:
    swap(stamps_of(bundle)[0], "signedTimestamp")


def cut_stamp(signed: Signed, bundle: dict) -> None:
    stamps_of(bundle)[0]["signedTimestamp"] = stamps_of(bundle)[0]["signedTimestamp"][:200]


def other_stamp(signed: Signed, bundle: dict) -> None:
    stamps_of(bundle)[:] = stamps_of(signed.other)


def strange_stamp(signed: Signed, bundle: dict) -> None:
    query = TimestampRequestBuilder().data(base64.b64decode(bundle["dsseEnvelope"]["signatures"][0]["sig"])).build()
    answer = TimestampAuthority().answer(query.as_bytes())
    stamps_of(bundle)[:] = [{"signedTimestamp": base64.b64encode(answer).decode()}]


def no_stamp(signed: Signed, bundle: dict) -> None:
    stamps_of(bundle).clear()


def a_time_of_its_own(signed: Signed, bundle: dict) -> None:
    """The log's API of this version has none."""
    entry_of(bundle)["integratedTime"] = str(int(time.time()))
    other_stamp(signed, bundle)


def same_stamps(signed: Signed, bundle: dict) -> None:
    stamps_of(bundle).extend(stamps_of(bundle)[:])


def many_stamps(signed: Signed, bundle: dict) -> None:
    stamps_of(bundle).extend(stamps_of(bundle) * 50)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (swap_stamp, "not enough sources of verified time"),
        (cut_stamp, "Invalid Timestamp Response"),
        (other_stamp, "not enough sources of verified time"),
        (strange_stamp, "not enough sources of verified time"),
        (no_stamp, "bundle must contain an inclusion promise or signed timestamp(s)"),
        (a_time_of_its_own, "not enough sources of verified time"),
        (same_stamps, "duplicate timestamp found"),
        (many_stamps, "too many signed timestamp"),
        (swap_proof, "inclusion proof contains invalid root hash"),
        (swap_checkpoint, "checkpoint: invalid signature"),
        (swap_entry, "transparency log entry is inconsistent with other materials"),
        (swap_signature, "not enough sources of verified time"),
        (swap_payload, "DSSE: invalid signature"),
        (swap_certificate, "DSSE: invalid signature"),
        (no_entries, "expected exactly one log entry"),
    ],
)
def test_a_bundle_with_timestamps_that_was_changed_is_refused(
    stamped: Signed, change: Callable[[Signed, dict], None], reason: str
) -> None:
    changed = json.loads(json.dumps(stamped.bundle))
    stamped.verify(f"same/{change.__name__}", changed)
    change(stamped, changed)
    with pytest.raises(SignatureError, match=re.escape(reason)):
        stamped.verify(f"changed/{change.__name__}", changed)


def test_an_authority_of_timestamps_that_is_silent_is_named(tmp_path: Path) -> None:
    with LoopbackSigstore(rekor=2) as sigstore:
        sigstore.timestamps.silent = True
        with pytest.raises(IdentityError, match=r"the services gave no whole bundle: .*signed timestamp"):
            signer_of(Services(sigstore, tmp_path)).bundle(STATEMENT)
