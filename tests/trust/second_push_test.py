"""Pushes of images that are signed already: nothing is signed or sent again, and nothing is believed that is not so."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.trust.referrers_registry import ReferrersRegistry
from tests.trust.signing_tools import keys, push, pushed, signer_program, verify


def test_a_second_push_sends_nothing(memory: ReferrersRegistry, pair: tuple[Path, Path], tmp_path: Path) -> None:
    flags = ("--sign", f"--key={pair[0]}", "--signature-tags")
    pushed(memory.address, tmp_path, "again/one", 4, *flags)
    memory.requests.clear()
    image = tmp_path / "image-again-one-4"
    done = push(memory.address, image, "again/one", "--tag=v1", *flags)
    assert done.returncode == 0, done.stderr
    assert {method for method, _ in memory.requests} <= {"GET", "HEAD"}
    assert ": there already: signature.sigstore.json" in done.stderr


def test_a_key_stays_closed_if_all_is_signed(address: str, pair: tuple[Path, Path], tmp_path: Path) -> None:
    """Its password costs more than the rest of such a push. Whatever it is, what is to be signed is signed by it."""
    flags = ("--sign", f"--key={pair[0]}", "--signature-tags")
    wrong = {"COSIGN_PASSWORD": "wrong"}
    digest = pushed(address, tmp_path, "closed/one", 30, *flags)
    image = tmp_path / "image-closed-one-30"
    done = push(address, image, "closed/one", "--tag=v2", *flags, **wrong)
    assert (done.returncode, done.stdout.strip()) == (0, digest), done.stderr
    assert ": there already: signature.sigstore.json, sha256-" in done.stderr
    unsigned = pushed(address, tmp_path, "closed/two", 30)
    refused = push(address, image, "closed/two", "--tag=v2", *flags, **wrong)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"{pair[0]}: the password is wrong" in refused.stderr
    assert "the registry does not have it" in verify(f"{address}/closed/two:v2", pair[1]).stderr
    assert "is not signed with" in verify(f"{address}/closed/two@{unsigned}", pair[1]).stderr


def test_a_push_names_the_key_that_signed_what_is_there(
    memory: ReferrersRegistry, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    """Who replaced cosign.key and left the old cosign.pub beside it reads which one was believed."""
    flags = ("--sign", f"--key={pair[0]}", "--signature-tags")
    pushed(memory.address, tmp_path, "named/one", 34, *flags)
    image = tmp_path / "image-named-one-34"
    rotated = keys(tmp_path)[0]
    rotated.with_suffix(".pub").write_bytes(pair[1].read_bytes())
    flags = ("--sign", f"--key={rotated}", "--signature-tags")
    done = push(memory.address, image, "named/one", "--tag=v1", *flags)
    assert done.returncode == 0, done.stderr
    believed = re.escape(str(rotated.with_suffix(".pub")))
    assert re.search(rf": there already: signature\.sigstore\.json, .*\.sig \(signed by {believed}\)\n", done.stderr)
    refused = push(memory.address, image, "named/two", "--tag=v1", *flags)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"{rotated}: is not the private key of {rotated.with_suffix('.pub')} beside it" in refused.stderr


def test_a_bundle_of_an_earlier_release_is_not_attached_again(
    memory: ReferrersRegistry, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    """Theirs have no signature among the annotations."""
    flags = ("--sign", f"--key={pair[0]}")
    digest = pushed(memory.address, tmp_path, "earlier/one", 35, *flags)
    (entry,) = memory.referrers("earlier/one", digest)
    media_type, data = memory.manifests.pop(("earlier/one", entry["digest"]))
    document = json.loads(data)
    del document["annotations"]["dev.chassis.signature"]
    memory.add("earlier/one", media_type, json.dumps(document, separators=(",", ":")).encode())
    memory.requests.clear()
    done = push(memory.address, tmp_path / "image-earlier-one-35", "earlier/one", "--tag=v1", *flags)
    assert done.returncode == 0, done.stderr
    assert ": there already: signature.sigstore.json" in done.stderr
    assert len(memory.referrers("earlier/one", digest)) == 1
    assert {method for method, _ in memory.requests} <= {"GET", "HEAD"}
    assert [path for method, path in memory.requests if method == "GET" and "/blobs/" in path] == []


def test_a_list_that_claims_signatures_does_not_keep_a_key_from_signing(
    memory: ReferrersRegistry, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    flags = ("--sign", f"--key={pair[0]}")
    first = pushed(memory.address, tmp_path, "claims/one", 31, *flags)
    second = pushed(memory.address, tmp_path, "claims/one", 32)
    (entry,) = memory.referrers("claims/one", first)
    body = [
        entry | {"annotations": entry["annotations"] | {"dev.chassis.signature": signature}}
        for signature in (entry["annotations"]["dev.chassis.signature"], "", "AAAA", "no base64")
    ]
    memory.hostile = lambda reference, query: (200, json.dumps({"manifests": body}).encode(), {})
    done = push(memory.address, tmp_path / "image-claims-one-32", "claims/one", "--tag=v2", *flags)
    assert done.returncode == 0, done.stderr
    assert f"{second}: attached: signature.sigstore.json" in done.stderr
    memory.hostile = None
    assert verify(f"{memory.address}/claims/one:v2", pair[1]).returncode == 0


def test_what_a_program_signed_is_known_from_the_list(memory: ReferrersRegistry, tmp_path: Path) -> None:
    flags = ("--sign", f"--signer={signer_program(tmp_path, tmp_path / 'plain.pub')}")
    digest = pushed(memory.address, tmp_path, "signed/list", 33, *flags)
    memory.requests.clear()
    done = push(memory.address, tmp_path / "image-signed-list-33", "signed/list", "--tag=v1", *flags)
    assert ": there already: signature.sigstore.json" in done.stderr
    assert [path for method, path in memory.requests if "/blobs/" in path] == []
    (entry,) = memory.referrers("signed/list", digest)
    # A bundle of another writer, in a list without the annotation, is fetched.
    name = ("signed/list", entry["digest"])
    document = json.loads(memory.manifests[name][1])
    del document["annotations"]
    memory.add("signed/list", memory.manifests.pop(name)[0], json.dumps(document).encode())
    done = push(memory.address, tmp_path / "image-signed-list-33", "signed/list", "--tag=v1", *flags)
    assert ": there already: signature.sigstore.json" in done.stderr
