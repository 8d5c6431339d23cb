"""Signatures: cosign verifies what a push signs, and what cosign signs is verified, on registries with and without the
referrers API."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from tests.publishing.push_tool import run_tool
from tests.publishing.registry_server import CraneRegistry
from tests.publishing.sample_images import SampleLayout, sample_image
from tests.trust.referrers_registry import ReferrersRegistry
from tests.trust.signing_tools import cosign, keys, push, pushed, run_program, signer_program, verify

OFFLINE = ("--insecure-ignore-tlog=true",)
NO_LOG = ("--use-signing-config=false", "--tlog-upload=false", "--yes")


def test_cosign_verifies_what_a_push_signs(address: str, pair: tuple[Path, Path], tmp_path: Path) -> None:
    digest = pushed(address, tmp_path, "signed/one", 1, "--sign", f"--key={pair[0]}")
    said = json.loads(cosign(tmp_path, "verify", f"--key={pair[1]}", *OFFLINE, f"{address}/signed/one@{digest}"))
    assert [one["critical"]["image"]["docker-manifest-digest"] for one in said] == [digest]
    other = keys(tmp_path)[1]
    refused = run_program(
        "CHASSIS_TEST_COSIGN", tmp_path, "verify", f"--key={other}", *OFFLINE, f"{address}/signed/one@{digest}"
    )
    assert refused.returncode != 0


def test_a_third_registry_takes_what_is_signed(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """crane's has no referrers API either: what the other tests say of docker's is not said of it again."""
    with CraneRegistry(tmp_path / "registry") as server:
        test_cosign_verifies_what_a_push_signs(server.address, pair, tmp_path)
        test_a_program_signs_and_a_second_push_finds_its_signature(server.address, pair, tmp_path)


def test_cosign_verifies_the_older_form(address: str, pair: tuple[Path, Path], tmp_path: Path) -> None:
    flags = ("--sign", f"--key={pair[0]}", "--signature-tags")
    digest = pushed(address, tmp_path, "signed/tags", 2, *flags)
    image = f"{address}/signed/tags@{digest}"
    said = json.loads(cosign(tmp_path, "verify", "--new-bundle-format=false", f"--key={pair[1]}", *OFFLINE, image))
    assert said[0]["critical"]["identity"]["docker-reference"] == f"{address}/signed/tags"
    done = verify(image, pair[1])
    assert done.returncode == 0
    assert "simplesigning" in done.stderr
    assert "bundle.v0.3" in done.stderr


@pytest.mark.parametrize("form", ["--new-bundle-format=true", "--new-bundle-format=false"])
def test_what_cosign_signs_is_verified(address: str, pair: tuple[Path, Path], tmp_path: Path, form: str) -> None:
    name = f"cosign/{'bundle' if form.endswith('true') else 'tag'}"
    digest = pushed(address, tmp_path, name, 3)
    unsigned = verify(f"{address}/{name}:v1", pair[1])
    assert (unsigned.returncode, unsigned.stdout) == (1, "")
    assert "is not signed with" in unsigned.stderr
    cosign(tmp_path, "sign", f"--key={pair[0]}", form, *NO_LOG, f"{address}/{name}@{digest}")
    verified = verify(f"{address}/{name}:v1", pair[1])
    assert verified.returncode == 0, verified.stderr
    assert verified.stdout.strip() == digest
    other = keys(tmp_path)[1]
    refused = verify(f"{address}/{name}:v1", other)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"is not signed by {other}, or was changed since" in refused.stderr


def test_a_base_is_pulled_only_if_it_is_signed(address: str, pair: tuple[Path, Path], tmp_path: Path) -> None:
    unsigned = pushed(address, tmp_path, "base/unsigned", 20)
    signed = pushed(address, tmp_path, "base/signed", 21, "--sign", f"--key={pair[0]}", "--signature-tags")
    other = keys(tmp_path)[1].rename(tmp_path / "other.pub")
    (tmp_path / "text.pub").write_text("hello")

    def pull(image: str, *named: Path) -> subprocess.CompletedProcess:
        output = tmp_path / "pulled"
        output.mkdir(exist_ok=True)
        return run_tool("pull", f"--image={address}/{image}", f"--output={output}", *(f"--key={key}" for key in named))

    for image, key, message in (
        (f"base/unsigned@{unsigned}", pair[1], "is not signed with cosign.pub"),
        (f"base/signed@{signed}", other, "is not signed by other.pub, or was changed since"),
        (f"base/signed@{signed}", tmp_path / "text.pub", "text.pub: is not a public key in PEM"),
        (f"base/signed@{signed}", tmp_path / "gone.pub", "gone.pub: cannot be read"),
    ):
        refused = pull(image, key)
        assert refused.returncode == 1
        assert message in refused.stderr
        assert list((tmp_path / "pulled").iterdir()) == []
    done = pull(f"base/signed@{signed}", other, pair[1])
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "pulled" / "manifest.json").is_file()


def test_a_tag_moves_only_after_the_signature(
    memory: ReferrersRegistry, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    pushed(memory.address, tmp_path, "order/one", 5, "--sign", f"--key={pair[0]}")
    puts = [
        path.rpartition("/manifests/")[2] for method, path in memory.requests if method == "PUT" and "manifests" in path
    ]
    assert puts[-1] == "v1"
    assert len(puts) == 3  # the image, its signature, the tag


def test_nothing_is_tagged_if_a_signature_is_refused(
    memory: ReferrersRegistry, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    first = pushed(memory.address, tmp_path, "refused/one", 6)
    image, digest = sample_image(tmp_path / "second", 90, seed=7)
    memory.refuse = lambda method, path: (
        method == "PUT" and "/manifests/" in path and digest not in path and not path.endswith("/v1")
    )
    done = push(memory.address, image, "refused/one", "--tag=v1", "--sign", f"--key={pair[0]}")
    assert (done.returncode, done.stdout) == (1, "")
    assert memory.tags["refused/one", "v1"] == first


def test_every_image_of_an_index_is_signed(address: str, pair: tuple[Path, Path], tmp_path: Path) -> None:
    layout = SampleLayout(tmp_path / "index", 8)
    images = [layout.image(50, architecture=one) for one in ("amd64", "arm64")]
    index = layout.index(*images)
    done = push(address, layout.finish(index), "signed/index", "--tag=v1", "--sign", f"--key={pair[0]}")
    assert done.returncode == 0, done.stderr
    for digest in (index["digest"], *(image["digest"] for image in images)):
        cosign(tmp_path, "verify", f"--key={pair[1]}", *OFFLINE, f"{address}/signed/index@{digest}")


def test_a_program_signs_and_a_second_push_finds_its_signature(
    address: str, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    public = tmp_path / "plain.pub"
    flags = ("--sign", f"--signer={signer_program(tmp_path, public)}")
    digest = pushed(address, tmp_path, "signed/program", 9, *flags)
    cosign(tmp_path, "verify", f"--key={public}", *OFFLINE, f"{address}/signed/program@{digest}")
    done = push(address, tmp_path / "image-signed-program-9", "signed/program", "--tag=v1", *flags)
    assert ": there already: signature.sigstore.json" in done.stderr
    assert verify(f"{address}/signed/program:v1", public).returncode == 0


def test_bad_keys_are_named_before_anything_is_sent(
    memory: ReferrersRegistry, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    image, _ = sample_image(tmp_path / "image", 50, seed=10)
    (tmp_path / "text").write_text("hello")
    cases = [
        ((f"--key={pair[0]}",), {"COSIGN_PASSWORD": "wrong"}, f"{pair[0]}: the password is wrong"),
        (("--sign",), {}, "give --key cosign.key, --signer PROGRAM or --keyless"),
        ((f"--key={pair[1]}",), {}, "is a public key"),
        ((f"--key={tmp_path / 'text'}",), {}, "is not a private key in PEM"),
        ((f"--key={tmp_path / 'gone'}",), {}, "cannot be read: No such file"),
        (("--signer=false",), {}, "false --public-key: failed with status 1"),
        (("--signer=/nonexistent",), {}, "cannot be started"),
        (("--signer=true",), {}, "is not a public key in PEM"),
        ((f"--key={pair[0]}", "--signer=true"), {}, "only one of the two"),
        ((f"--key={pair[0]}", "--nosign"), {}, "contradict each other"),
    ]
    for flags, environment, message in cases:
        done = push(memory.address, image, "bad/keys", "--tag=v1", *flags, **environment)
        assert (done.returncode, done.stdout) == (1, ""), flags
        assert message in done.stderr
    assert memory.tags == {}
    assert memory.manifests == {}


def test_a_list_that_lies_or_is_endless_is_not_believed(
    memory: ReferrersRegistry, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    good = pushed(memory.address, tmp_path, "lies/one", 11, "--sign", f"--key={pair[0]}")
    other = pushed(memory.address, tmp_path, "lies/one", 12)
    listed = memory.referrers("lies/one", good)

    def answer(manifests: list[dict], link: str = ""):
        body = json.dumps({"schemaVersion": 2, "manifests": manifests}).encode()
        headers = {"Content-Type": "application/vnd.oci.image.index.v1+json", "Link": link}
        memory.hostile = lambda reference, query: (200, body, headers)

    image = f"{memory.address}/lies/one@{other}"
    answer(listed)  # another image's signature
    done = verify(image, pair[1])
    assert done.returncode == 1
    assert f"refers to {good}" in done.stderr
    answer([listed[0] | {"digest": "sha256:" + "0" * 64}])
    assert "asking for its manifest" in verify(image, pair[1]).stderr
    answer(listed * 300)
    assert "at most 200 are looked at" in verify(image, pair[1]).stderr
    answer(listed, f'<{"/v2/lies/one/referrers/" + other}>; rel="next"')
    assert "more than 100 pages" in verify(image, pair[1]).stderr
    memory.hostile = lambda reference, query: (200, b"[" * 100_000, {})
    done = verify(image, pair[1])
    assert (done.returncode, done.stdout) == (1, "")
    assert "is not an index of manifests" in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_is_tagged_if_the_list_is_endless_or_none(
    memory: ReferrersRegistry, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    digest = pushed(memory.address, tmp_path, "endless/one", 15)
    image = tmp_path / "image-endless-one-15"
    empty = b'{"schemaVersion": 2, "manifests": []}'
    following = {"Link": f'</v2/endless/one/referrers/{digest}>; rel="next"'}
    for body, headers, reason in (
        (empty, following, "more than 100 pages"),
        (b'{"manifests": [' + b"{}," * 20_000 + b"{}]}", {}, "is not an index of manifests"),
        (b"[" * 100_000, {}, "is not an index of manifests"),
    ):
        memory.hostile = lambda reference, query, answer=(200, body, headers): answer
        done = push(memory.address, image, "endless/one", "--tag=v2", "--sign", f"--key={pair[0]}")
        assert (done.returncode, done.stdout) == (1, ""), reason
        assert reason in done.stderr
        assert "Traceback" not in done.stderr
    assert list(memory.tags) == [("endless/one", "v1")]


def test_a_changed_or_shortened_bundle_is_refused(
    memory: ReferrersRegistry, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    good = pushed(memory.address, tmp_path, "changed/one", 13, "--sign", f"--key={pair[0]}")
    image = f"{memory.address}/changed/one@{good}"
    assert verify(image, pair[1]).returncode == 0
    (entry,) = memory.referrers("changed/one", good)
    name = ("changed/one", entry["digest"])
    media_type, data = memory.manifests[name]
    layer = json.loads(data)["layers"][0]
    bundle = memory.blobs[layer["digest"]]
    changed = json.loads(bundle)
    payload = json.loads(base64.b64decode(changed["dsseEnvelope"]["payload"]))
    payload["predicate"] = {"more": 1}
    changed["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(payload).encode()).decode()
    for content, reason in (
        (json.dumps(changed).encode(), "or was changed since"),
        (bundle[: len(bundle) // 2], "is not a Sigstore bundle, or cut short"),
        (b"[]", "is not a Sigstore bundle"),
        (b'{"a":[' + b"[]," * 200_000 + b"[]]}", "has more parts than any"),  # thirty times the memory if it is read
        (b'{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "messageSignature": {}}', "a bare signature"),
    ):
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        memory.blobs[digest] = content
        document = json.loads(data)
        document["layers"][0] |= {"digest": digest, "size": len(content)}
        other = json.dumps(document).encode()
        del memory.manifests[name]
        name = ("changed/one", f"sha256:{hashlib.sha256(other).hexdigest()}")
        memory.manifests[name] = (media_type, other)
        done = verify(image, pair[1])
        assert (done.returncode, done.stdout) == (1, ""), reason
        assert reason in done.stderr
        assert "Traceback" not in done.stderr


def test_verifying_says_what_is_missing(memory: ReferrersRegistry, pair: tuple[Path, Path], tmp_path: Path) -> None:
    digest = pushed(memory.address, tmp_path, "missing/one", 14, "--sign", f"--key={pair[0]}")
    image = f"{memory.address}/missing/one:v1"
    done = verify(image, pair[1], "--require=provenance")
    assert "says nothing of the kind https://slsa.dev/provenance/v1" in done.stderr
    assert "is a private key" in verify(image, pair[0]).stderr
    assert "the registry does not have it" in verify(f"{memory.address}/missing/one:v2", pair[1]).stderr
    assert "no key" in run_tool("verify", f"--image={image}").stderr
    bare = run_tool("verify", f"{memory.address}/missing/one:v1", f"--key={pair[1]}")
    assert bare.stdout.strip() == digest
