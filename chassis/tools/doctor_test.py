"""The doctor as the build starts it: findings fail the action of the verdict, and never that of the report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from chassis.doctor.facts import Facts, LayerFacts, Secret, encode
from chassis.oci.descriptor import LayerFile, Origin


def _run(directory: Path, *outputs: str, secrets: tuple[Secret, ...] = ()) -> subprocess.CompletedProcess[str]:
    files = tuple(LayerFile(secret.path, "file", 0o644, 1, "sha256:0", "") for secret in secrets)
    facts = directory / "facts.json"
    facts.write_bytes(encode(Facts((LayerFacts("sha256:0", Origin("data", "//:m"), files, secrets=secrets),))))
    spec = {
        "accelerator": "none",
        "allow": {},
        "architecture": "amd64",
        "base_facts": None,
        "cmd": [],
        "cpu": "",
        "entrypoint": [],
        "env": {},
        "facts": [str(facts)],
        "features": [],
        "labels": {},
        "name": "//:image",
        "variant": "",
    }
    command = [sys.executable, "-m", "chassis.tools.doctor", f"--spec={json.dumps(spec)}", *outputs]
    environment = {**os.environ, "PYTHONPATH": ":".join(path for path in sys.path if path)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


_SECRET = (Secret("app/data/netrc", "netrc credentials"),)


def test_an_image_without_findings_passes(tmp_path: Path) -> None:
    done = _run(tmp_path, f"--passed={tmp_path}/passed")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert (tmp_path / "passed").read_bytes() == b""


def test_findings_are_said_and_nothing_is_written(tmp_path: Path) -> None:
    done = _run(tmp_path, f"--passed={tmp_path}/passed", secrets=_SECRET)
    assert done.returncode == 1
    assert "//:image: 1 finding of the doctor" in done.stderr
    assert "/app/data/netrc" in done.stderr
    assert not (tmp_path / "passed").exists()


@pytest.mark.parametrize("secrets", [(), _SECRET])
def test_the_report_is_made_whatever_is_found(tmp_path: Path, secrets: tuple[Secret, ...]) -> None:
    names = {name: tmp_path / name for name in ("findings", "json", "report")}
    done = _run(tmp_path, *(f"--{name}={path}" for name, path in names.items()), secrets=secrets)
    assert done.returncode == 0, done.stderr
    assert bool(names["findings"].read_text()) == bool(secrets)
    assert len(json.loads(names["json"].read_text())["findings"]) == len(secrets)
