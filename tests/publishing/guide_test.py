"""What docs/publishing.md shows is what the tools print."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tests.publishing.push_tool import run_tool
from tests.publishing.registry_server import RegistryServer
from tests.publishing.sample_images import sample_image

SBOM = "application/spdx+json"
VARYING = [
    (r"sha256([:-])(?:[0-9a-f]{64}|[0-9a-f]{4}…)", r"sha256\1HEX"),
    (r"127\.0\.0\.1:\d+/\w+", "REPOSITORY"),
    (r"\b[0-9a-f]{12}\b", "HEX"),
    (r"\d+(?:\.\d+)? (?:B|kB|MB|GB)", "BYTES"),
    (r"\b\d+(?:\.\d+)? s:", "SECONDS:"),
    (r"\b\d+ (uploaded|mounted|skipped)", r"N \1"),
    (r"written to \S+", "written to FILE"),
]


def shape(line: str) -> str:
    """A line without what differs from one run to the next."""
    for pattern, replacement in VARYING:
        line = re.sub(pattern, replacement, line)
    return line


def shown() -> list[str]:
    """The lines of output in the guide's console blocks."""
    blocks = re.findall(r"```console\n(.*?)```", Path(os.environ["PUBLISHING"]).read_text(), re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line != "…" and not line.startswith("$ ")]


def printed(folder: Path) -> set[str]:
    """The shapes of all lines that the guide's commands print, on an image of chance."""
    layout, digest = sample_image(folder / "image", 300_000, 10)
    docker = folder / "bin/docker"
    docker.parent.mkdir()
    reason = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
    docker.write_text(f"#!/bin/sh\necho '{reason}' >&2\nexit 1\n")
    docker.chmod(0o755)
    (folder / "sbom.json").write_text("{}")
    with RegistryServer(folder / "registry") as registry:
        name = f"{registry.address}/digits"
        push = ("push", f"--image={layout}", f"--repository={name}", "--tag=0.0.1")
        load = ("load", f"--image={layout}", "--name=localhost/digits:latest")
        attach = ("attach", f"--artifact_type={SBOM}", f"--file={SBOM}={folder}/sbom.json")
        runs = [
            run_tool(*push),
            run_tool(*push),
            run_tool(*load, PATH=str(docker.parent)),
            run_tool(*load, f"--output={folder}/image.tar"),
            run_tool(*attach, f"--image={name}@{digest}"),
            run_tool("pull", f"--image={name}:0.0.1", f"--output={folder}"),
        ]
    assert [run.returncode for run in runs] == [0, 0, 1, 0, 0, 1], [run.stderr for run in runs]
    return {shape(line) for run in runs for line in (run.stdout + run.stderr).splitlines()}


def test_the_guide_shows_what_the_tools_print(tmp_path: Path) -> None:
    lines, real = shown(), printed(tmp_path)
    assert len(lines) > 15
    assert [line for line in lines if shape(line) not in real] == []
