"""Publishing an index over images with and without an accelerator, with skopeo's second opinion."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from chassis.oci.index import IndexEntry, write_index
from tests.publishing.push_tool import run_tool
from tests.publishing.registry_server import RegistryServer, skopeo
from tests.publishing.sample_images import sample_image

PLATFORMS = (("amd64", "none"), ("arm64", "none"), ("amd64", "cuda"), ("arm64", "cuda"))


def sample_index(folder: Path, seed: int = 0) -> tuple[Path, str, dict[tuple[str, str], str]]:
    """An index layout of four images as `oci_index` makes it; its digest, and those of the images by platform."""
    entries, digests = [], {}
    for number, (architecture, accelerator) in enumerate(PLATFORMS):
        layout, digest = sample_image(
            folder / f"image{number}", 10_000, seed=10 * seed + number, architecture=architecture
        )
        entries.append(IndexEntry(layout, accelerator))
        digests[architecture, accelerator] = digest
    descriptor = write_index(folder / "index", tuple(entries))
    return folder / "index", descriptor.digest, digests


def push(layout: Path, repository: str, *arguments: str) -> subprocess.CompletedProcess:
    return run_tool("push", f"--image={layout}", f"--repository={repository}", *arguments)


def inspected(folder: Path, name: str, *arguments: str) -> dict:
    return json.loads(skopeo(folder, *arguments, "inspect", "--tls-verify=false", f"docker://{name}"))


def test_an_index_of_four_platforms_pulls_whole(registry: RegistryServer, tmp_path: Path) -> None:
    layout, digest, _ = sample_index(tmp_path)
    name = f"{registry.address}/index"
    done = push(layout, name, "--tag=v1")
    assert (done.returncode, done.stdout) == (0, digest + "\n"), done.stderr
    for tag in ("v1", "v1-cuda"):
        copy = ["copy", "--all", "--src-tls-verify=false", f"docker://{name}:{tag}", f"dir:{tmp_path}/{tag}"]
        skopeo(tmp_path, *copy)
    raw = json.loads(skopeo(tmp_path, "inspect", "--raw", "--tls-verify=false", f"docker://{name}:v1"))
    assert [entry.get("annotations") for entry in raw["manifests"]] == [
        None,
        None,
        {"dev.chassis.accelerator": "cuda"},
        {"dev.chassis.accelerator": "cuda"},
    ]


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
@pytest.mark.parametrize(("tag", "accelerator"), [("v1", "none"), ("v1-cuda", "cuda")])
def test_a_client_gets_the_image_of_its_cpu(
    registry: RegistryServer, tmp_path: Path, architecture: str, tag: str, accelerator: str
) -> None:
    layout, _, digests = sample_index(tmp_path)
    name = f"{registry.address}/choice"
    assert push(layout, name, "--tag=v1").returncode == 0
    found = inspected(tmp_path, f"{name}:{tag}", f"--override-arch={architecture}")
    wanted = inspected(tmp_path, f"{name}@{digests[architecture, accelerator]}", f"--override-arch={architecture}")
    assert found["Layers"] == wanted["Layers"]
    assert found["Architecture"] == architecture


def test_companion_tags_can_be_left_out(registry: RegistryServer, tmp_path: Path) -> None:
    layout, _, _ = sample_index(tmp_path, seed=1)
    name = f"{registry.address}/plain"
    assert push(layout, name, "--tag=v1", "--noaccelerator_tags").returncode == 0
    tags = json.loads(skopeo(tmp_path, "list-tags", "--tls-verify=false", f"docker://{name}"))
    assert tags["Tags"] == ["v1"]


def test_an_immutable_tag_keeps_its_companions_too(registry: RegistryServer, tmp_path: Path) -> None:
    name = f"{registry.address}/fixed"
    first, _, _ = sample_index(tmp_path / "first", seed=2)
    second, _, _ = sample_index(tmp_path / "second", seed=3)
    assert push(first, name, "--tag=v1", "--immutable_tags").returncode == 0
    again = push(first, name, "--tag=v1", "--immutable_tags")
    assert again.returncode == 0
    assert "tag v1-cuda was there already" in again.stderr
    refused = push(second, name, "--tag=v1", "--immutable_tags")
    assert refused.returncode == 1
    assert "tags are not to be moved" in refused.stderr


def test_tags_come_from_files_and_from_the_workspaces_status(registry: RegistryServer, tmp_path: Path) -> None:
    layout, digest = sample_image(tmp_path / "image", 10, seed=50)
    (tmp_path / "tags").write_text("one\ntwo\n")
    (tmp_path / "status").write_text("STABLE_VERSION 1.2+g3\n")
    name = f"{registry.address}/stamped"
    done = push(
        layout,
        name,
        f"--tag_file={tmp_path}/tags",
        f"--status_file={tmp_path}/status",
        "--stamped_tag=v{STABLE_VERSION}",
    )
    assert (done.returncode, done.stdout) == (0, digest + "\n"), done.stderr
    tags = json.loads(skopeo(tmp_path, "list-tags", "--tls-verify=false", f"docker://{name}"))
    assert sorted(tags["Tags"]) == ["one", "two", "v1.2-g3"]
