"""Pulling a base image from a real registry: by digest, layers when they are asked for, through faults."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chassis.oci.descriptor import Descriptor, Platform
from chassis.oci.layout import RunSettings, read_base, write_layout
from chassis.oci.layout_reader import LayoutReader
from chassis.oci.pull import write_pulled_layout
from chassis.oci.registry.client import RegistryClient
from chassis.oci.registry.credentials import CredentialStore
from chassis.oci.registry.errors import AnswerError, RegistryError, StatusError
from chassis.oci.registry.reference import parse_repository
from chassis.oci.registry.transport import Backoff, Transport
from tests.publishing.fault_proxy import FaultProxy, Harm, Request
from tests.publishing.push_tool import run_tool
from tests.publishing.registry_server import RegistryServer, skopeo
from tests.publishing.sample_images import SampleLayout, sample_image

SIZES = (900_000, 70_000, 10)


def published(registry: RegistryServer, name: str, layout: Path) -> None:
    done = run_tool("push", f"--image={layout}", f"--repository={registry.address}/{name}", "--tag=v1")
    assert done.returncode == 0, done.stderr


def client_of(address: str, name: str) -> RegistryClient:
    transport = Transport(backoff=Backoff(attempts=4, first=0.01))
    store = CredentialStore({"HOME": "/nonexistent"})
    return RegistryClient(parse_repository(f"{address}/{name}"), transport, store, actions="pull")


def largest_layer(layout: Path) -> Descriptor:
    manifest, _ = LayoutReader(layout).image()
    return max(manifest.blobs, key=lambda blob: blob.size)


def pull(folder: Path, image: str, *arguments: str):
    folder.mkdir(exist_ok=True)
    return run_tool("pull", f"--image={image}", f"--output={folder}", *arguments)


def test_a_pulled_image_is_the_one_that_was_pushed(registry: RegistryServer, proxy: FaultProxy, tmp_path: Path) -> None:
    layout, digest = sample_image(tmp_path / "image", *SIZES)
    published(registry, "base", layout)
    done = pull(tmp_path / "pulled", f"{proxy.address}/base@{digest}", "--platform=linux/arm64")
    assert done.returncode == 0, done.stderr
    fetched = [request.path for request in proxy.requests if "/blobs/" in request.path]
    assert len(fetched) == 1  # the configuration: no layer before it is asked for
    layers = []
    for number in range(len(SIZES)):
        folder = tmp_path / f"layer{number}"
        arguments = [f"--layer={number}", f"--layers_json={tmp_path}/pulled/layers.json"]
        done = pull(folder, f"{proxy.address}/base@{digest}", *arguments)
        assert done.returncode == 0, done.stderr
        assert [file.name for file in folder.iterdir()] == ["layer"]
        layers.append(folder / "layer")
    assert {request.method for request in proxy.requests} == {"GET"}
    documents = (tmp_path / "pulled/manifest.json", tmp_path / "pulled/config.json")
    assert write_pulled_layout(tmp_path / "base", *documents, layers).digest == digest
    skopeo(tmp_path, "copy", f"oci:{tmp_path}/base", f"dir:{tmp_path}/read")
    assert (tmp_path / "read/manifest.json").read_bytes() == (tmp_path / "pulled/manifest.json").read_bytes()
    platform = Platform("arm64")
    base = read_base(tmp_path / "base", platform)
    write_layout(tmp_path / "on_base", platform, (), RunSettings(user="1:1"), base)
    skopeo(tmp_path, "copy", f"oci:{tmp_path}/on_base", f"dir:{tmp_path}/read_on_base")


def test_a_tag_is_refused_with_the_digest_to_write(registry: RegistryServer, tmp_path: Path) -> None:
    layout, digest = sample_image(tmp_path / "image", 10, seed=1)
    published(registry, "tagged", layout)
    done = pull(tmp_path / "pulled", f"{registry.address}/tagged:v1")
    assert done.returncode == 1
    assert f'write digest = "{digest}", which is what the tag v1 names now' in done.stderr
    missing = pull(tmp_path / "pulled", f"{registry.address}/tagged:v2")
    assert "the registry has no tag v2" in missing.stderr


def test_the_image_of_a_platform_is_taken_from_an_index(registry: RegistryServer, tmp_path: Path) -> None:
    layout = SampleLayout(tmp_path / "image", seed=2)
    images = {name: layout.image(100, architecture=name) for name in ("amd64", "arm64")}
    index = layout.index(*images.values())
    published(registry, "multi", layout.finish(index))
    image = f"{registry.address}/multi@{index['digest']}"
    for name, descriptor in images.items():
        assert pull(tmp_path / name, image, f"--platform=linux/{name}").returncode == 0
        blob = layout.blobs / descriptor["digest"].partition(":")[2]
        assert (tmp_path / name / "manifest.json").read_bytes() == blob.read_bytes()
    absent = pull(tmp_path / "absent", image, "--platform=linux/s390x")
    assert "has no image for linux/s390x; it has linux/amd64, linux/arm64" in absent.stderr
    assert "say which platforms" in pull(tmp_path / "absent", image).stderr
    single = f"{registry.address}/multi@{images['amd64']['digest']}"
    other = pull(tmp_path / "absent", single, "--platform=linux/arm64")
    assert "is for linux/amd64, linux/arm64 was asked for" in other.stderr
    assert list((tmp_path / "absent").iterdir()) == []


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_download_goes_on(registry: RegistryServer, proxy: FaultProxy, tmp_path: Path, ranges: bool) -> None:
    layout, _ = sample_image(tmp_path / "image", *SIZES, seed=3)
    published(registry, "broken", layout)
    layer = largest_layer(layout)
    cuts = iter([300_000, 200_000])
    asked = []

    def rule(request: Request) -> Harm | None:
        if "/blobs/" not in request.path:
            return None
        asked.append(request.headers.get("range", ""))
        return Harm(cut_body=next(cuts, None), drop="" if ranges else "range")

    proxy.rule = rule
    client_of(proxy.address, "broken").fetch_blob(layer, tmp_path / "layer")
    blob = layout / "blobs/sha256" / layer.digest.partition(":")[2]
    assert (tmp_path / "layer").read_bytes() == blob.read_bytes()
    assert asked == ["", "bytes=300000-", "bytes=500000-" if ranges else "bytes=200000-"]


@pytest.mark.parametrize(
    ("tamper", "message"),
    [
        (lambda data: data[:-1] + b"x", "the registry's bytes have the digest"),
        (lambda data: data + b"x", "sends more bytes than that"),
        (lambda data: data[:-1], "the registry sent"),
    ],
)
def test_other_bytes_than_the_digest_says_leave_nothing(
    registry: RegistryServer, proxy: FaultProxy, tmp_path: Path, tamper, message: str
) -> None:
    layout, _ = sample_image(tmp_path / "image", *SIZES, seed=4)
    published(registry, "tampered", layout)
    client = client_of(proxy.address, "tampered")
    proxy.rule = lambda request: Harm(tamper=tamper) if "/blobs/" in request.path else None
    (tmp_path / "out").mkdir()
    with pytest.raises(RegistryError, match=message):
        client.fetch_blob(largest_layer(layout), tmp_path / "out/layer")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_manifest_with_other_bytes_is_refused(registry: RegistryServer, proxy: FaultProxy, tmp_path: Path) -> None:
    layout, digest = sample_image(tmp_path / "image", 10, seed=5)
    published(registry, "swapped", layout)
    client = client_of(proxy.address, "swapped")
    proxy.rule = lambda request: Harm(tamper=lambda data: data + b" ") if "/manifests/" in request.path else None
    with pytest.raises(AnswerError, match="answers with a manifest of digest"):
        client.manifest(digest)
    proxy.rule = lambda request: None
    with pytest.raises(StatusError, match="answers 404"):
        client.manifest("sha256:" + "0" * 64)


def test_a_layout_needs_every_layer(tmp_path: Path) -> None:
    layout, digest = sample_image(tmp_path / "image", *SIZES, seed=6)
    manifest = layout / "blobs/sha256" / digest.partition(":")[2]
    config = layout / "blobs/sha256" / json.loads(manifest.read_text())["config"]["digest"].partition(":")[2]
    done = run_tool(
        "pulled_layout", f"--manifest={manifest}", f"--config={config}", f"--output={tmp_path}/out", "--layer=/x"
    )
    assert done.returncode == 1
    assert "has 3 layers, 1 were given" in done.stderr


def test_an_image_is_compared_with_one_of_a_registry(registry: RegistryServer, tmp_path: Path) -> None:
    before, after = SampleLayout(tmp_path / "before"), SampleLayout(tmp_path / "after")
    for layout, own in ((before, 30_000), (after, 40_000)):
        layout.finish(layout.image(own, shared=(layout.layer(70_000),)))
    published(registry, "explained", before.path)
    reference = f"{registry.address}/explained:v1"
    done = run_tool("explain", f"--image={after.path}", f"--diff={reference}", "--json")
    assert done.returncode == 0, done.stderr
    difference = json.loads(done.stdout)["difference"]
    assert difference["complete"]
    assert [len(difference["layers"][kind]) for kind in ("shared", "fetched")] == [1, 1]
    here = run_tool("explain", f"--image={after.path}", f"--diff={before.path}", "--json")
    assert json.loads(here.stdout)["difference"]["files"] == difference["files"]
    absent = run_tool("explain", f"--image={after.path}", f"--diff={registry.address}/explained:absent")
    assert absent.returncode == 1
    assert absent.stderr == f"error: --diff={registry.address}/explained:absent: the registry has no tag absent\n"
