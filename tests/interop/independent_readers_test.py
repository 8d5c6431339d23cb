"""Tools that nobody here wrote read the image, and a registry gives back what was pushed."""

import contextlib
import gzip
import hashlib
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from chassis.declaration.pythons import DEFAULT_PYTHON

PLATFORMS = {"amd64": "amd64", "amd64_gpu": "amd64", "arm64": "arm64", "arm64_gpu": "arm64"}


def layout(platform):
    return Path(os.environ["IMAGE_" + platform.upper()])


def run(tool, *arguments, **kwargs):
    command = [os.environ[tool], *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, **kwargs)
    assert done.returncode == 0, f"{tool} {arguments}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def manifest(directory):
    index = json.loads((directory / "index.json").read_text())
    assert len(index["manifests"]) == 1
    descriptor = index["manifests"][0]
    content = (directory / "blobs/sha256" / descriptor["digest"].removeprefix("sha256:")).read_bytes()
    assert "sha256:" + hashlib.sha256(content).hexdigest() == descriptor["digest"]
    return descriptor["digest"], json.loads(content)


@pytest.fixture
def home(tmp_path):
    """An environment in which skopeo and umoci find a policy and a place of their own."""
    policy = tmp_path / ".config/containers/policy.json"
    policy.parent.mkdir(parents=True)
    policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    registries = policy.with_name("registries.conf")
    registries.write_text("")
    return {
        "HOME": str(tmp_path),
        "PATH": os.environ["PATH"],
        "TMPDIR": str(tmp_path),
        "XDG_RUNTIME_DIR": str(tmp_path),
        "CONTAINERS_REGISTRIES_CONF": str(registries),
    }


@contextlib.contextmanager
def registry(directory):
    """docker-registry on a free port of loopback; yields host:port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    configuration = directory / "registry.json"
    configuration.write_text(
        json.dumps(
            {
                "version": 0.1,
                "log": {"level": "warn"},
                "storage": {"filesystem": {"rootdirectory": str(directory / "registry")}},
                "http": {"addr": address},
            }
        )
    )
    log = (directory / "registry.log").open("wb")
    server = subprocess.Popen([os.environ["DOCKER_REGISTRY"], "serve", str(configuration)], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                urllib.request.urlopen(f"http://{address}/v2/", timeout=5).close()
                break
            except (urllib.error.URLError, ConnectionError):
                assert server.poll() is None, (directory / "registry.log").read_text()
                assert time.monotonic() < deadline, "docker-registry did not answer within 30 s"
        yield address
    finally:
        server.terminate()
        server.wait(timeout=30)
        log.close()


@pytest.mark.parametrize("platform", PLATFORMS)
def test_skopeo_names_the_platform_and_every_layer(platform, home):
    digest, content = manifest(layout(platform))
    seen = json.loads(run("SKOPEO", "inspect", f"oci:{layout(platform)}", env=home))
    assert (seen["Os"], seen["Architecture"], seen["Digest"]) == ("linux", PLATFORMS[platform], digest)
    assert seen["Layers"] == [layer["digest"] for layer in content["layers"]]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_nvidia_environment_is_set_on_gpu_platforms_alone(platform, home):
    env = json.loads(run("SKOPEO", "inspect", "--config", f"oci:{layout(platform)}", env=home))["config"]["Env"]
    names = {entry.partition("=")[0] for entry in env if entry.startswith("NVIDIA_")}
    wanted = {"NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES"} if platform.endswith("gpu") else set()
    assert names == wanted


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_layer_inflates_to_its_diff_id(platform):
    directory = layout(platform)
    _, content = manifest(directory)
    blobs = directory / "blobs/sha256"
    config = json.loads((blobs / content["config"]["digest"].removeprefix("sha256:")).read_text())
    assert len(config["rootfs"]["diff_ids"]) == len(content["layers"])
    for layer, diff_id in zip(content["layers"], config["rootfs"]["diff_ids"], strict=True):
        blob = blobs / layer["digest"].removeprefix("sha256:")
        assert blob.stat().st_size == layer["size"]
        with blob.open("rb") as stream:
            assert "sha256:" + hashlib.file_digest(stream, "sha256").hexdigest() == layer["digest"]
        with gzip.open(blob) as stream:
            assert "sha256:" + hashlib.file_digest(stream, "sha256").hexdigest() == diff_id


def test_umoci_unpacks_the_image(tmp_path, home):
    # umoci wants to write beside what it reads, and its own name of an image.
    copy = tmp_path / "layout"
    shutil.copytree(layout("arm64"), copy)
    index = json.loads((copy / "index.json").read_text())
    index["manifests"][0].setdefault("annotations", {})["org.opencontainers.image.ref.name"] = "latest"
    (copy / "index.json").chmod(0o644)
    (copy / "index.json").write_text(json.dumps(index))
    run("UMOCI", "unpack", "--rootless", "--image", f"{copy}:latest", tmp_path / "bundle", env=home)
    root = tmp_path / "bundle/rootfs"
    assert (root / f"opt/venv/lib/python{DEFAULT_PYTHON}/site-packages/numpy/__init__.py").is_file()
    assert (root / "opt/venv/bin/python").readlink() == Path(f"/usr/bin/python{DEFAULT_PYTHON}")
    assert (root / "app/model/model.pkl").is_file()
    assert (root / "etc/ssl/certs/ca-certificates.crt").stat().st_size > 100_000
    assert (root / "var/lib/dpkg/status.d/libc6").is_file()
    assert "nonroot:*:65532:65532" in (root / "etc/passwd").read_text()
    spec = json.loads((tmp_path / "bundle/config.json").read_text())
    assert spec["process"]["args"] == ["/opt/venv/bin/python", "-m", "chassis.runtime"]
    assert spec["process"]["user"]["uid"] == 65532


def test_pushed_image_comes_back_with_the_same_digests(tmp_path, home):
    digest, content = manifest(layout("arm64"))
    with registry(tmp_path) as address:
        repository = f"{address}/team/digits"
        push = ("PUSH", "--image", layout("arm64"), "--repository", repository, "--tag", "t")
        assert run(*push).strip().endswith(digest)
        assert run(*push).strip().endswith(digest)
        remote = f"docker://{repository}:t"
        assert json.loads(run("SKOPEO", "inspect", "--tls-verify=false", remote, env=home))["Digest"] == digest
        back = tmp_path / "back"
        run("SKOPEO", "copy", "--src-tls-verify=false", remote, f"oci:{back}:t", env=home)
    assert manifest(back) == (digest, content)


def test_registry_that_is_not_there_is_named(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [os.environ["PUSH"], "--image", layout("amd64"), "--repository", f"{address}/digits", "--tag", "t"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert address in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
