"""Publishing to a real registry, with the second opinions of skopeo, umoci and crane."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from chassis.oci.layout_reader import LayoutReader
from chassis.oci.push import MOUNTED, SKIPPED, UPLOADED, PushOptions, PushReport, TagExistsError, push
from chassis.oci.registry.client import RegistryClient
from chassis.oci.registry.credentials import CredentialStore
from chassis.oci.registry.errors import AnswerError, UnreachableError
from chassis.oci.registry.mount_sources import MountSources
from chassis.oci.registry.reference import parse_repository
from chassis.oci.registry.transport import Backoff, Cancellation, Transport
from tests.publishing.fault_proxy import FaultProxy, Harm
from tests.publishing.push_tool import run_tool
from tests.publishing.registry_server import RegistryServer, free_port, skopeo
from tests.publishing.sample_images import SampleLayout, sample_image
from tests.publishing.second_opinions import assert_whole

KIB = 1 << 10
SIZES = (3_000 * KIB, 700 * KIB, 10)


def publish(layout: Path, repository: str, *tags: str, mount_from: str = "", **options) -> PushReport:
    cancellation = Cancellation()
    transport = Transport(backoff=Backoff(first=0.01), cancellation=cancellation)
    client = RegistryClient(parse_repository(repository), transport, CredentialStore({"HOME": "/nonexistent"}))
    sources = MountSources(client.repository, None, [mount_from] if mount_from else [])
    return push(LayoutReader(layout), client, tags, PushOptions(**options), cancellation, sources=sources)


def test_a_pushed_image_comes_back_with_its_digest(registry: RegistryServer, tmp_path: Path) -> None:
    layout, digest = sample_image(tmp_path / "image", *SIZES)
    report = publish(layout, f"{registry.address}/whole", "v1", "latest")
    assert report.digest == digest
    assert report.count(UPLOADED)[0] == 4
    assert report.tags == ("v1", "latest")
    assert_whole(f"{registry.address}/whole:v1", digest)


def test_a_second_push_sends_nothing(registry: RegistryServer, proxy: FaultProxy, tmp_path: Path) -> None:
    layout, _ = sample_image(tmp_path / "image", *SIZES, seed=1)
    publish(layout, f"{proxy.address}/twice", "v1")
    proxy.requests.clear()
    report = publish(layout, f"{proxy.address}/twice", "v1")
    assert report.count(SKIPPED)[0] == 4
    assert report.tags == ()
    assert {request.method for request in proxy.requests} == {"GET", "HEAD"}


def test_after_an_edit_only_the_new_layer_goes(proxy: FaultProxy, tmp_path: Path) -> None:
    layout = SampleLayout(tmp_path / "image", seed=2)
    shared = layout.layer(2_000 * KIB)
    publish(layout.finish(layout.image(100, shared=(shared,))), f"{proxy.address}/edit", "v1")
    proxy.requests.clear()
    report = publish(layout.finish(layout.image(200, shared=(shared,))), f"{proxy.address}/edit", "v1")
    assert report.count(UPLOADED)[0] == 2
    assert report.tags == ("v1",)
    assert 0 < proxy.sent_blobs() < 16 * KIB


def test_blobs_go_before_manifests_and_tags_come_last(proxy: FaultProxy, tmp_path: Path) -> None:
    layout = SampleLayout(tmp_path / "image", seed=3)
    shared = layout.layer(50 * KIB)
    images = [layout.image(10 * KIB, shared=(shared,), architecture=name) for name in ("amd64", "arm64")]
    index = layout.index(*images)
    report = publish(layout.finish(index), f"{proxy.address}/order", "v1", "v2")
    assert report.digest == index["digest"]
    puts = [
        request.path.rpartition("/")[2]
        for request in proxy.requests
        if "/manifests/" in request.path and request.method == "PUT"
    ]
    assert puts == [images[0]["digest"], images[1]["digest"], index["digest"], "v1", "v2"]
    first_manifest = next(r.number for r in proxy.requests if r.method == "PUT" and "/manifests/" in r.path)
    assert max(r.number for r in proxy.requests if r.is_blob_data()) < first_manifest
    finished = [r.path.partition("digest=")[2] for r in proxy.requests if "digest=" in r.path]
    assert len(finished) == len(set(finished)) == 5


def test_an_index_comes_back_whole(registry: RegistryServer, tmp_path: Path) -> None:
    layout = SampleLayout(tmp_path / "image", seed=4)
    index = layout.index(*(layout.image(9 * KIB, architecture=name) for name in ("amd64", "arm64")))
    publish(layout.finish(index), f"{registry.address}/index", "v1")
    assert_whole(f"{registry.address}/index:v1", index["digest"])


def test_a_dry_run_changes_nothing(proxy: FaultProxy, tmp_path: Path) -> None:
    layout, digest = sample_image(tmp_path / "image", *SIZES, seed=5)
    report = publish(layout, f"{proxy.address}/dry", "v1", dry_run=True)
    assert (report.digest, report.count(UPLOADED)[0], report.tags) == (digest, 4, ("v1",))
    assert {request.method for request in proxy.requests} == {"GET", "HEAD"}


def test_blobs_of_another_repository_are_mounted(proxy: FaultProxy, tmp_path: Path) -> None:
    layout, _ = sample_image(tmp_path / "image", *SIZES, seed=6)
    publish(layout, f"{proxy.address}/source", "v1")
    proxy.requests.clear()
    report = publish(layout, f"{proxy.address}/target", "v1", mount_from="source")
    assert report.count(MOUNTED)[0] == 4
    assert proxy.sent_blobs() == 0


def test_a_mount_that_is_refused_becomes_an_upload(registry: RegistryServer, tmp_path: Path) -> None:
    layout, digest = sample_image(tmp_path / "image", *SIZES, seed=7)
    report = publish(layout, f"{registry.address}/lonely", "v1", mount_from="nothing/there")
    assert report.count(UPLOADED)[0] == 4
    assert_whole(f"{registry.address}/lonely:v1", digest)


def test_eight_images_that_share_their_wheels_upload_each_shared_blob_once(
    registry: RegistryServer, tmp_path: Path
) -> None:
    layout = SampleLayout(tmp_path / "image", seed=12)
    wheels = tuple(layout.layer(size * KIB) for size in (1_500, 400, 90, 20))
    shared = {descriptor["digest"] for descriptor, _ in wheels}
    digests = []
    with FaultProxy(registry.address) as proxy:
        for number in range(8):
            image = layout.finish(layout.image(10 * KIB, shared=wheels))
            repository = f"--repository={proxy.address}/team/model{number}"
            done = run_tool("push", f"--image={image}", repository, "--tag=v1", CHASSIS_CACHE=str(tmp_path / "cache"))
            assert done.returncode == 0, done.stderr
            digests.append(done.stdout.strip())
            mounted = 0 if not number else len(wheels)
            assert f"{6 - mounted} uploaded" in done.stderr
            assert f"{mounted} mounted" in done.stderr
        completed = [request.path.rpartition("digest=")[2] for request in proxy.requests if "digest=" in request.path]
    uploaded = [digest.replace("%3A", ":") for digest in completed]
    assert sorted(digest for digest in uploaded if digest in shared) == sorted(shared)
    for number in range(8):
        assert_whole(f"{registry.address}/team/model{number}:v1", digests[number])


def test_an_immutable_tag_does_not_move(registry: RegistryServer, proxy: FaultProxy, tmp_path: Path) -> None:
    first, digest = sample_image(tmp_path / "first", 100, seed=8)
    second, _ = sample_image(tmp_path / "second", 100, seed=9)
    publish(first, f"{proxy.address}/fixed", "v1", immutable_tags=True)
    publish(first, f"{proxy.address}/fixed", "v1", immutable_tags=True)
    proxy.requests.clear()
    with pytest.raises(TagExistsError, match=f"fixed:v1 names {digest} already"):
        publish(second, f"{proxy.address}/fixed", "v1", immutable_tags=True)
    assert {request.method for request in proxy.requests} == {"GET", "HEAD"}
    assert_whole(f"{registry.address}/fixed:v1", digest)


def test_blobs_may_be_links_that_leave_the_layout(registry: RegistryServer, tmp_path: Path) -> None:
    layout, digest = sample_image(tmp_path / "image", *SIZES, seed=10)
    for number, blob in enumerate(sorted((layout / "blobs/sha256").iterdir())):
        moved = tmp_path / f"elsewhere{number}"
        blob.rename(moved)
        blob.symlink_to(os.path.relpath(moved, blob.parent))
    publish(layout, f"{registry.address}/linked", "v1")
    assert_whole(f"{registry.address}/linked:v1", digest)


def test_a_registry_that_is_not_there_is_named(tmp_path: Path) -> None:
    layout, _ = sample_image(tmp_path / "image", 10)
    port = free_port()
    with pytest.raises(UnreachableError, match=f"registry 127.0.0.1:{port}: .*Connection refused"):
        publish(layout, f"127.0.0.1:{port}/x", "v1")


def test_a_server_that_is_no_registry_is_named(proxy: FaultProxy, tmp_path: Path) -> None:
    layout, _ = sample_image(tmp_path / "image", 10)
    proxy.rule = lambda request: Harm(status=404, body=b"<html>a web site</html>")
    with pytest.raises(AnswerError, match=f"{proxy.address} is not a registry: its /v2/ answers 404"):
        publish(layout, f"{proxy.address}/x", "v1")


def test_the_tool_takes_the_flags_of_oci_push(registry: RegistryServer, tmp_path: Path) -> None:
    layout, digest = sample_image(tmp_path / "image", 10, seed=11)
    defaults = [f"--image={layout}", "--repository=registry.invalid/default", "--tag=default"]
    overridden = [*defaults, "-r", f"{registry.address}/tool", "-t", "extra", "--tag", "more"]
    dry = run_tool("push", *overridden, "--dry-run")
    assert (dry.returncode, dry.stdout) == (0, digest + "\n")
    assert "would be pushed" in dry.stderr
    done = run_tool("push", *overridden)
    assert (done.returncode, done.stdout) == (0, digest + "\n"), done.stderr
    tags = json.loads(skopeo(tmp_path, "list-tags", "--tls-verify=false", f"docker://{registry.address}/tool"))
    assert sorted(tags["Tags"]) == ["default", "extra", "more"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--repository=model", "--tag=x"], "names no registry"),
        (["--repository=127.0.0.1:1/UPPER"], "not a repository path"),
        (["--repository=127.0.0.1:1/x", "--tag=.x"], "tag '.x'"),
        (["--repository=127.0.0.1:1/x", "--tag=v1"], "cannot be reached"),
        (["--tag=v1"], "no repository"),
    ],
)
def test_the_tool_tells_what_is_wrong(tmp_path: Path, arguments: list, message: str) -> None:
    layout, _ = sample_image(tmp_path / "image", 10)
    done = run_tool("push", f"--image={layout}", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
