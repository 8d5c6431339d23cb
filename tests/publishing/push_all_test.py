"""Publishing many images in one process to a real registry."""

from __future__ import annotations

import json
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from chassis.oci.digest import of_bytes
from tests.publishing.fault_proxy import FaultProxy, Harm
from tests.publishing.push_tool import run_tool
from tests.publishing.registry_server import RegistryServer
from tests.publishing.sample_images import SampleLayout
from tests.publishing.second_opinions import assert_whole

KIB = 1 << 10


class Images:
    """Images that share their first layer, and the plans of their pushes."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.seed = seed
        self.digests: list[str] = []

    def add(self, repository: str, size: int = 1000, **plan: object) -> int:
        """Adds one; returns its number."""
        number = len(self.digests)
        layout = SampleLayout(self.folder / f"image{number}", seed=self.seed)
        shared = layout.layer(2_000 * KIB)
        entry = layout.image(size + number, shared=(shared,))
        layout.finish(entry)
        self.digests.append(entry["digest"])
        fields = {
            "documents": f"image{number}",
            "immutable_tags": False,
            "layers": [],
            "layouts": [],
            "mount_from": [],
            "repository": repository,
            "stamped_tags": [],
            "status_files": [],
            "tag_files": [],
            "tags": ["v1"],
            "target": f"//team:push{number}",
        }
        (self.folder / f"{number}.json").write_text(json.dumps(fields | plan))
        return number

    def push(self, *arguments: str) -> tuple[int, list[dict], str]:
        """Runs the tool; its exit status, what it printed of each image, and its messages."""
        plans = [f"--plan={self.folder}/{number}.json" for number in range(len(self.digests))]
        environment = {"RUNFILES_DIR": str(self.folder), "BUILD_WORKING_DIRECTORY": str(self.folder)}
        done = run_tool("push_all", *plans, *arguments, **environment)
        (self.folder / "last.json").write_text(done.stdout)
        return done.returncode, json.loads(done.stdout)["pushes"] if done.stdout else [], done.stderr


def test_several_images_share_a_session_and_a_layer(
    registry: RegistryServer, proxy: FaultProxy, tmp_path: Path
) -> None:
    images = Images(tmp_path, 200)
    for name in ("a", "b", "c"):
        images.add(f"{proxy.address}/shared/{name}")
    status, pushes, messages = images.push("--deployment=deployment.json")
    assert (status, [push["outcome"] for push in pushes]) == (0, ["pushed"] * 3), messages
    assert [push["digest"] for push in pushes] == images.digests
    for name, digest in zip("abc", images.digests, strict=True):
        assert_whole(f"{registry.address}/shared/{name}:v1", digest)
    asked = [request.path for request in proxy.requests]
    assert asked.count("/v2/") == 1, "one session"
    assert sum(request.size > 1_000 * KIB for request in proxy.requests if request.is_blob_data()) == 1, "sent once"
    deployment = json.loads((tmp_path / "deployment.json").read_text())
    assert deployment == {
        f"{proxy.address}/shared/{name}": digest for name, digest in zip("abc", images.digests, strict=True)
    }


def test_tags_come_after_the_content_of_all(proxy: FaultProxy, tmp_path: Path) -> None:
    images = Images(tmp_path, 201)
    images.add(f"{proxy.address}/order/a")
    images.add(f"{proxy.address}/order/b")
    assert images.push()[0] == 0
    puts = [request.path.rpartition("/")[2] for request in proxy.requests if request.method == "PUT"]
    tags = [name for name in puts if name == "v1"]
    assert tags == puts[-2:]


def test_one_failure_does_not_stop_the_others_and_is_the_exit_status(
    registry: RegistryServer, proxy: FaultProxy, tmp_path: Path
) -> None:
    images = Images(tmp_path, 202)
    for name in ("a", "broken", "c"):
        images.add(f"{proxy.address}/failing/{name}")
    images.add("127.0.0.1:1/nobody/there")
    proxy.rule = lambda request: Harm(status=403) if "/failing/broken/" in request.path else None
    status, pushes, messages = images.push("--deployment=deployment.json")
    assert status == 1
    assert [push["outcome"] for push in pushes] == ["pushed", "failed", "pushed", "failed"]
    assert "403" in pushes[1]["error"]
    assert "cannot be reached" in pushes[3]["error"]
    assert "error: //team:push1: " in messages
    assert "2 pushed, 0 unchanged, 2 failed" in messages
    for name, number in (("a", 0), ("c", 2)):
        assert_whole(f"{registry.address}/failing/{name}:v1", images.digests[number])
    assert len(json.loads((tmp_path / "deployment.json").read_text())) == 2
    proxy.rule = lambda request: None
    status, pushes, _ = images.push("--since=last.json")
    assert [push["outcome"] for push in pushes] == ["unchanged", "pushed", "unchanged", "failed"]


def test_what_the_last_run_has_is_not_looked_at(proxy: FaultProxy, tmp_path: Path) -> None:
    images = Images(tmp_path, 203)
    for number in range(3):
        images.add(f"{proxy.address}/since/{number}")
    assert images.push("--since=last.json")[0] == 0, "a file that is not there yet is an empty one"
    proxy.requests.clear()
    status, pushes, _ = images.push("--since=last.json")
    assert (status, [push["outcome"] for push in pushes]) == (0, ["unchanged"] * 3)
    assert proxy.requests == []
    status, pushes, _ = images.push("--since=last.json", "--tag=v2")
    assert [push["outcome"] for push in pushes] == ["pushed"] * 3, "other tags"
    assert [push["tags"] for push in pushes] == [["v1", "v2"]] * 3


def test_the_last_run_counts_for_what_was_attached_too(proxy: FaultProxy, tmp_path: Path) -> None:
    images = Images(tmp_path, 206)
    images.add(f"{proxy.address}/attached/a")
    assert images.push("--since=last.json")[0] == 0
    keys = []
    for name in ("one.pem", "other.pem"):
        key = ec.generate_private_key(ec.SECP256R1())
        form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        (tmp_path / name).write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
        keys.append(f"--key={tmp_path / name}")
    for flags, outcome in (
        (keys[:1], "pushed"),  # not signed before
        (keys[:1], "unchanged"),
        (keys[1:], "pushed"),  # another key
        (["--signature-tags", *keys[1:]], "pushed"),
        (["--signature-tags", *keys[1:]], "unchanged"),
    ):
        proxy.requests.clear()
        status, pushes, messages = images.push("--since=last.json", *flags)
        assert (status, pushes[0]["outcome"]) == (0, outcome), messages
        assert bool(proxy.requests) == (outcome == "pushed")


def test_a_file_of_another_kind_is_named(tmp_path: Path) -> None:
    images = Images(tmp_path, 204)
    images.add("127.0.0.1:1/x")
    (tmp_path / "other.json").write_text("[]")
    status, _, messages = images.push("--since=other.json")
    assert status == 1
    assert "other.json: is not the JSON" in messages


def test_another_registry_takes_the_place_of_the_targets_own(registry: RegistryServer, tmp_path: Path) -> None:
    images = Images(tmp_path, 205)
    images.add("registry.example/team/a")
    images.add("", target="//team/b:push")
    status, pushes, messages = images.push(f"--registry={registry.address}/mirror")
    assert status == 0, messages
    assert [push["repository"] for push in pushes] == [
        f"{registry.address}/mirror/team/a",
        f"{registry.address}/mirror/team/b",
    ]


def test_a_dry_run_sends_nothing(proxy: FaultProxy, tmp_path: Path) -> None:
    images = Images(tmp_path, 206)
    images.add(f"{proxy.address}/dry/a")
    images.add(f"{proxy.address}/dry/b")
    status, _, messages = images.push("--dry-run", "--deployment=deployment.json")
    assert status == 0
    assert "2 images would be published" in messages
    assert {request.method for request in proxy.requests} <= {"GET", "HEAD"}
    assert not (tmp_path / "deployment.json").exists()
    assert of_bytes(b"")
