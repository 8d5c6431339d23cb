"""Signatures by an identity, with Sigstore's services on loopback: cosign verifies what a push signs, and what cosign
signs is verified; who else signed, when and for whom is told apart."""

from __future__ import annotations

import datetime
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from absl import flags as absl_flags
from absl.testing import flagsaver

from chassis.command_line.signing_flags import publications
from chassis.errors import ChassisError
from chassis.oci.push_plan import plan_of_layout
from tests.publishing.push_tool import run_tool
from tests.publishing.sample_images import sample_image
from tests.trust.loopback_sigstore import IDENTITY, ISSUER, LoopbackSigstore, Services
from tests.trust.referrers_registry import ReferrersRegistry
from tests.trust.signing_tools import cosign, keys, push, pushed, run_program

FLAGS = absl_flags.FLAGS
PUBLIC_UNREACHABLE = {"HTTPS_PROXY": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1", "NO_PROXY": "127.0.0.1"}


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    (tmp_path / "services").mkdir()
    with LoopbackSigstore() as sigstore:
        yield Services(sigstore, tmp_path / "services")


@pytest.fixture(params=[1, 2], ids=["log of times", "log and timestamps"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Services]:
    """Services of both kinds: what says when something was signed is the log (Rekor's API v1), or an authority of
    timestamps beside one that does not (v2)."""
    (tmp_path / "services").mkdir()
    with LoopbackSigstore(rekor=request.param) as sigstore:
        yield Services(sigstore, tmp_path / "services")
        assert bool(sigstore.timestamps.asked) == (request.param == 2)


def verify(
    image: str, root: Path, identity: str = IDENTITY, issuer: str = ISSUER, *flags: str
) -> subprocess.CompletedProcess:
    who = (f"--certificate-identity={identity}", f"--certificate-oidc-issuer={issuer}", f"--trusted-root={root}")
    return run_tool("verify", f"--image={image}", *who, *flags)


def cosign_flags(services: Services) -> tuple[str, ...]:
    who = (f"--certificate-identity={IDENTITY}", f"--certificate-oidc-issuer={ISSUER}")
    return (*who, f"--trusted-root={services.root}")


def test_cosign_verifies_what_an_identity_signs(memory: ReferrersRegistry, either: Services, tmp_path: Path) -> None:
    digest = pushed(memory.address, tmp_path, "signed/one", 1, *either.flags)
    image = f"{memory.address}/signed/one@{digest}"
    said = json.loads(cosign(tmp_path, "verify", *cosign_flags(either), image))
    assert [one["critical"]["image"]["docker-manifest-digest"] for one in said] == [digest]
    verified = verify(f"{memory.address}/signed/one:v1", either.root)
    assert (verified.returncode, verified.stdout.strip()) == (0, digest), verified.stderr
    assert f"is signed by {IDENTITY} (of {ISSUER})" in verified.stderr
    assert either.sigstore.issued == [IDENTITY]
    assert len(either.sigstore.entries) == 1


def test_a_key_alone_does_not_verify_what_an_identity_signed(
    memory: ReferrersRegistry, services: Services, tmp_path: Path
) -> None:
    digest = pushed(memory.address, tmp_path, "signed/key", 11, *services.flags)
    image = f"{memory.address}/signed/key@{digest}"
    _, key = keys(tmp_path)
    done = run_tool("verify", image, f"--key={key}")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"is not signed by {key}, or was changed since" in done.stderr
    either = verify(image, services.root, IDENTITY, ISSUER, f"--key={key}")
    assert (either.returncode, either.stdout.strip()) == (0, digest), either.stderr
    assert f"@{digest} is signed by one of {key}, {IDENTITY} (of {ISSUER})\n" in either.stderr


def test_what_cosign_signs_is_verified(memory: ReferrersRegistry, either: Services, tmp_path: Path) -> None:
    digest = pushed(memory.address, tmp_path, "cosign/one", 2)
    image = f"{memory.address}/cosign/one@{digest}"
    services_flags = (f"--signing-config={either.signing}", f"--trusted-root={either.root}")
    cosign(tmp_path, "sign", "--yes", f"--identity-token={either.token}", *services_flags, image)
    verified = verify(image, either.root)
    assert (verified.returncode, verified.stdout.strip()) == (0, digest), verified.stderr


def test_what_cosign_signs_with_a_key_and_logs_is_verified(
    memory: ReferrersRegistry, either: Services, tmp_path: Path
) -> None:
    """As cosign 3 does if nothing else is said; the key alone is asked for."""
    digest = pushed(memory.address, tmp_path, "cosign/key", 12)
    image = f"{memory.address}/cosign/key@{digest}"
    key, public = keys(tmp_path)
    services_flags = (f"--signing-config={either.signing}", f"--trusted-root={either.root}")
    cosign(tmp_path, "sign", "--yes", f"--key={key}", *services_flags, image)
    assert len(either.sigstore.entries) == 1
    verified = run_tool("verify", image, f"--key={public}")
    assert (verified.returncode, verified.stdout.strip()) == (0, digest), verified.stderr
    # What a push signs is beside it: neither finds the other's to be its own.
    both = push(memory.address, tmp_path / "image-cosign-key-12", "cosign/key", "--tag=v1", *either.flags)
    assert f"{digest}: attached: signature.sigstore.json" in both.stderr, both.stderr


def test_a_second_push_finds_its_signature_and_a_dry_run_makes_none(
    memory: ReferrersRegistry, either: Services, tmp_path: Path
) -> None:
    pushed(memory.address, tmp_path, "again/one", 3)
    image = tmp_path / "image-again-one-3"
    dry = push(memory.address, image, "again/one", "--tag=v1", "--dry_run", *either.flags)
    assert ": would be attached: signature.sigstore.json" in dry.stderr, dry.stderr
    assert (either.sigstore.issued, either.sigstore.entries) == ([], [])
    first, second = (push(memory.address, image, "again/one", "--tag=v1", *either.flags) for _ in range(2))
    assert ": attached: signature.sigstore.json" in first.stderr, first.stderr
    assert ": there already: signature.sigstore.json" in second.stderr, second.stderr
    assert len(either.sigstore.entries) == 1
    assert either.sigstore.issued == [IDENTITY]
    # An issuer whose certificates name another claim of the token than its subject.
    either.token.write_text(either.sigstore.token(sub="repo:team", job_workflow_ref="ci.example/team/models/release"))
    third = push(memory.address, image, "again/one", "--tag=v1", *either.flags)
    assert ": there already: signature.sigstore.json" in third.stderr, third.stderr


def test_targets_that_are_keyless_sign_and_verify(memory: ReferrersRegistry, services: Services) -> None:
    repository = f"{memory.address}/team/target"
    # In Bazel's sandbox the layers are where the index is, and not where a push of its target looks for them.
    assert run_tool("push", f"--image={os.environ['INDEX']}", f"--repository={repository}").returncode == 0
    pushed_target = started("PUSH_KEYLESS", f"--repository={repository}", "--tag=v1", *services.flags[2:])
    verified = started("VERIFY_KEYLESS", f"--image={repository}:v1", f"--trusted-root={services.root}")
    assert verified.stdout == pushed_target.stdout
    blocks = re.findall(r"```console\n(.*?)```", Path(os.environ["TRUST"]).read_text(), re.DOTALL)
    (block,) = [block for block in blocks if "--certificate-identity" in block]
    shown = [line for line in block.splitlines() if not re.match(r"\$ |    --|…$", line)]
    repository_and_digest = f"{repository}@{verified.stdout.strip()}"
    said = verified.stderr.replace(repository_and_digest, "registry.example/digits@sha256:c4d6…").splitlines()
    assert shown
    assert [line for line in shown if line not in said] == []
    assert len(services.sigstore.entries) == 3 * 3  # two images and their index, each with two documents
    assert services.sigstore.issued == [IDENTITY]


def test_several_targets_of_which_one_is_keyless(memory: ReferrersRegistry, services: Services) -> None:
    repository = f"{memory.address}/tests/trust"
    assert run_tool("push", f"--image={os.environ['INDEX']}", f"--repository={repository}").returncode == 0
    pushes = started("PUSH_ALL_KEYLESS", f"--registry={memory.address}", "--tag=v1", *services.flags[2:])
    assert [one["outcome"] for one in json.loads(pushes.stdout)["pushes"]] == ["pushed"] * 2
    started("VERIFY_KEYLESS", f"--image={repository}:v1", f"--trusted-root={services.root}")


def started(target: str, *flags: str) -> subprocess.CompletedProcess:
    """A target, as `bazel run` starts it; it has to succeed."""
    environment = {**os.environ, "HOME": "/nonexistent"}
    command = [os.environ[target], *flags]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done


def test_another_identity_issuer_or_root_is_refused(
    memory: ReferrersRegistry, services: Services, tmp_path: Path
) -> None:
    digest = pushed(memory.address, tmp_path, "other/one", 4, *services.flags)
    image = f"{memory.address}/other/one@{digest}"
    with LoopbackSigstore() as other:
        (tmp_path / "other").mkdir()
        _, other_root = other.write(tmp_path / "other")
    for root, identity, issuer, reason in (
        (services.root, "https://ci.example/other", ISSUER, "Certificate's SANs do not match https://ci.example/other"),
        (services.root, IDENTITY, "https://other.example", "expected 'https://other.example'"),
        (other_root, IDENTITY, ISSUER, "is not of a trusted authority"),
    ):
        done = verify(image, root, identity, issuer)
        assert (done.returncode, done.stdout) == (1, "")
        assert reason in done.stderr
        assert "Traceback" not in done.stderr


def test_what_was_signed_with_an_expired_certificate_is_refused(
    memory: ReferrersRegistry, either: Services, tmp_path: Path
) -> None:
    either.sigstore.late = either.sigstore.timestamps.late = 3600
    digest = pushed(memory.address, tmp_path, "late/one", 5, *either.flags)
    image = f"{memory.address}/late/one@{digest}"
    done = verify(image, either.root)
    assert (done.returncode, done.stdout) == (1, "")
    assert "its certificate was not valid when it signed, as the log or a timestamp has it" in done.stderr
    refused = run_program("CHASSIS_TEST_COSIGN", tmp_path, "verify", *cosign_flags(either), image)
    assert refused.returncode != 0


def test_an_image_of_the_same_signature_is_another(
    memory: ReferrersRegistry, services: Services, tmp_path: Path
) -> None:
    first = pushed(memory.address, tmp_path, "lies/one", 6, *services.flags)
    second = pushed(memory.address, tmp_path, "lies/one", 7)
    (entry,) = memory.referrers("lies/one", first)
    media_type, data = memory.manifests["lies/one", entry["digest"]]
    document = json.loads(data)
    document["subject"]["digest"] = second
    name = memory.add("lies/one", media_type, json.dumps(document).encode())
    done = verify(f"{memory.address}/lies/one@{second}", services.root)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"bundle {name}: is the signature of another image, {first}" in done.stderr


def test_nothing_is_tagged_if_the_services_refuse_or_do_not_answer(
    memory: ReferrersRegistry, services: Services, tmp_path: Path
) -> None:
    pushed(memory.address, tmp_path, "refused/one", 8)
    image = tmp_path / "image-refused-one-8"

    def refused(reason: str) -> None:
        done = push(memory.address, image, "refused/one", "--tag=v2", *services.flags)
        assert (done.returncode, done.stdout) == (1, ""), done.stderr
        assert reason in done.stderr
        assert "Traceback" not in done.stderr

    services.token.write_text(services.sigstore.token(iss="https://issuer.other"))
    refused("signing without a key: FulcioClientError: 401 Client Error")
    services.token.write_text(services.sigstore.token())
    services.sigstore.age = datetime.timedelta(hours=1)
    refused("signing without a key: the certificate that was given is expired already")
    services.signing.write_text(services.signing.read_text().replace(services.sigstore.address, "127.0.0.1:1"))
    refused("signing without a key: ConnectionError")
    assert list(memory.tags) == [("refused/one", "v1")]
    assert services.sigstore.entries == []


def test_what_is_not_an_identity_is_named_before_anything_is_sent(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a push asks what to attach, before it speaks to the registry."""
    texts = {
        "old": services.sigstore.token(exp=int(time.time()) - 60),
        "none": "hello",
        "bad.json": "[]",
        "empty.json": "{}",
    }
    files = {name: tmp_path / name for name in texts}
    for name, text in texts.items():
        files[name].write_text(text)
    token, both = f"--identity_token={services.token}", services.flags[3:]
    cases = [
        (("--keyless", *both), {}, "no identity to sign with"),
        (("--keyless", *both), {"SIGSTORE_ID_TOKEN": "a.b.c"}, "SIGSTORE_ID_TOKEN: cannot be signed with"),
        (
            ("--keyless", f"--identity_token={files['old']}", *both),
            {},
            "old: cannot be signed with: Signature has expired",
        ),
        (
            ("--keyless", f"--identity_token={files['none']}", *both),
            {},
            "none: cannot be signed with: Not enough segments",
        ),
        (("--keyless", f"--identity_token={tmp_path / 'gone'}", *both), {}, "gone: cannot be read"),
        (("--keyless", f"--identity_token={texts['old']}", *both), {}, "is a token, which any process here could read"),
        (("--keyless", token, both[0]), {}, "give both, of the same services, or neither"),
        (("--keyless", token), PUBLIC_UNREACHABLE, "what Sigstore's public services are cannot be had"),
        (
            ("--keyless", token, both[0], f"--trusted_root={files['bad.json']}"),
            {},
            "bad.json: expected a JSON object, found list",
        ),
        (("--keyless", token, both[0], f"--trusted_root={files['empty.json']}"), {}, "is not a trusted root"),
        (("--keyless", token, f"--signing_config={services.root}", both[1]), {}, "is not a signing configuration"),
        (("--keyless", "--signature_tags", token, *both), {}, "the older form takes a key"),
        (("--keyless", "--key=cosign.key"), {}, "only one of the two"),
        (("--keyless", "--nosign"), {}, "contradict each other"),
        (("--nosign", both[1]), {}, "--nosign and --trusted_root contradict each other"),
        ((both[1],), {}, "--trusted_root: belongs to --keyless"),
        (("--signer=true", token), {}, "--identity_token: belongs to --keyless"),
    ]
    for flags, environment, message in cases:
        with monkeypatch.context() as patched, flagsaver.flagsaver():
            for name, value in environment.items():
                patched.setenv(name, value)
            FLAGS(["push", *flags])
            with pytest.raises(ChassisError, match=re.escape(message)) as caught:
                publications([plan_of_layout(tmp_path)])
        assert texts["old"] not in str(caught.value)


def test_a_target_that_is_keyless_is_not_pushed_unsigned_by_chance(tmp_path: Path, services: Services) -> None:
    plan = replace(plan_of_layout(tmp_path), target="//team:push", keyless=True)
    for flags, message in (
        (("--nokeyless",), "--nokeyless: //team:push has nothing else to sign with: give --key"),
        (("--nokeyless", f"--trusted_root={services.root}"), "--trusted_root: belongs to --keyless"),
    ):
        with flagsaver.flagsaver():
            FLAGS(["push", *flags])
            with pytest.raises(ChassisError, match=re.escape(message)):
                publications([plan])
    with flagsaver.flagsaver():
        FLAGS(["push", "--nosign"])
        assert [what.signer for what in publications([plan])] == [None]


def test_a_bad_token_ends_a_push(memory: ReferrersRegistry, services: Services, tmp_path: Path) -> None:
    image, _ = sample_image(tmp_path / "image", 50, seed=9)
    services.token.write_text("hello")
    done = push(memory.address, image, "bad/one", "--tag=v1", *services.flags)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: {services.token}: cannot be signed with: Not enough segments\n"
    assert memory.requests == []


def test_verifying_wants_a_whole_identity_and_a_root(services: Services) -> None:
    image, who = "--image=127.0.0.1:1/x:v1", f"--certificate-identity={IDENTITY}"
    assert "--certificate_oidc_issuer: is missing" in run_tool("verify", image, who).stderr
    issuer = f"--certificate-oidc-issuer={ISSUER}"
    assert "--certificate_identity: is missing" in run_tool("verify", image, issuer, "--key=x").stderr
    gone = run_tool("verify", image, who, issuer, "--trusted-root=/gone")
    assert "/gone: cannot be read: No such file" in gone.stderr
    unreachable = run_tool("verify", image, who, issuer, **PUBLIC_UNREACHABLE)
    assert "Give --trusted_root FILE" in unreachable.stderr


def test_several_images_are_signed_by_one_certificate(
    memory: ReferrersRegistry, services: Services, tmp_path: Path
) -> None:
    names = [f"several/{number}" for number in range(3)]
    nothing = ("layers", "layouts", "mount_from", "stamped_tags", "status_files", "tag_files")
    for number, name in enumerate(names):
        sample_image(tmp_path / f"image{number}", 100, seed=20 + number)
        plan = {key: [] for key in nothing} | {
            "documents": f"image{number}",
            "immutable_tags": False,
            "keyless": number < 2,
            "repository": f"{memory.address}/{name}",
            "tags": ["v1"],
            "target": f"//team:push{number}",
        }
        (tmp_path / f"{number}.json").write_text(json.dumps(plan))
    plans = [f"--plan={tmp_path}/{number}.json" for number in range(3)]
    environment = {"RUNFILES_DIR": str(tmp_path), "BUILD_WORKING_DIRECTORY": str(tmp_path)}
    for outcome in ("pushed", "unchanged"):
        memory.requests.clear()
        done = run_tool("push_all", *plans, "--since=last.json", *services.flags[2:], **environment)
        assert done.returncode == 0, done.stderr
        (tmp_path / "last.json").write_text(done.stdout)
        assert [one["outcome"] for one in json.loads(done.stdout)["pushes"]] == [outcome] * 3
        assert services.sigstore.issued == [IDENTITY]
        assert len(services.sigstore.entries) == 2
    assert memory.requests == []
