"""A layer far bigger than what the push may remember."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.publishing.certificates import new_authority
from tests.publishing.push_tool import tool_command, tool_environment
from tests.publishing.registry_server import RegistryServer
from tests.publishing.sample_images import CONFIG, LAYER, MANIFEST, SampleLayout

MIB = 1 << 20
ALLOWED_KIB = 24 << 10


def image_of_one_layer(path: Path, size: int) -> Path:
    """A layout whose layer is a hole of `size` bytes: a push knows nothing of what is in it."""
    layout = SampleLayout(path)
    state = hashlib.sha256()
    zeros = bytes(MIB)
    for _ in range(size // MIB):
        state.update(zeros)
    with (layout.blobs / state.hexdigest()).open("wb") as stream:
        stream.truncate(size)
    layer = {"mediaType": LAYER, "digest": f"sha256:{state.hexdigest()}", "size": size}
    config = {"architecture": "arm64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}}
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": layout.blob(json.dumps(config).encode(), CONFIG),
        "layers": [layer],
    }
    return layout.finish(layout.blob(json.dumps(manifest).encode(), MANIFEST))


def peak_kib(layout: Path, repository: str, *flags: str) -> int:
    """Most memory that the push tool had at once."""
    command = tool_command("push", f"--image={layout}", f"--repository={repository}", "--tag=v1", *flags)
    process = subprocess.Popen(command, env=tool_environment(), stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss


@pytest.mark.parametrize(("size", "encrypted"), [(2048 * MIB, False), (256 * MIB, True)], ids=["2 GiB", "TLS"])
def test_memory_is_flat(tmp_path: Path, size: int, encrypted: bool) -> None:
    certificate, key = new_authority().write(tmp_path)
    tls = {"certificate": str(certificate), "key": str(key)} if encrypted else None
    with RegistryServer(tmp_path / "registry", tls=tls) as registry:
        small = peak_kib(image_of_one_layer(tmp_path / "a", MIB), f"{registry.address}/a", f"--ca-file={certificate}")
        big = peak_kib(image_of_one_layer(tmp_path / "b", size), f"{registry.address}/b", f"--ca-file={certificate}")
        stored = list((tmp_path / "registry/data").rglob("*/data"))
    assert max(file.stat().st_size for file in stored) == size
    assert big - small < ALLOWED_KIB
