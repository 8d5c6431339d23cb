"""The tools that make layers, documents and layouts from their command lines, put together to an image."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path


def _run(tool: str, *arguments: str | Path, cwd: Path, status: int = 0) -> str:
    path = os.pathsep.join(str(Path(place).absolute()) for place in sys.path if place)
    ran = subprocess.run(
        [sys.executable, "-m", f"chassis.tools.{tool}", *map(str, arguments)],
        cwd=cwd,
        env={"PYTHONPATH": path, "PATH": os.environ.get("PATH", "")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == status, ran.stderr
    return ran.stderr


def _layer(cwd: Path, name: str, *arguments: str, status: int = 0) -> str:
    outputs = [f"--{flag}={name}.{flag}" for flag in ("blob", "files", "facts")] + [f"--descriptor={name}.json"]
    return _run("files_layer", "--kind=code", f"--name=//demo:{name}", *outputs, *arguments, cwd=cwd, status=status)


def _spec(*names: str) -> str:
    layers = [{"descriptor": f"{name}.json", "files": f"{name}.files"} for name in names]
    document = {"architecture": "arm64", "layers": layers, "base_layout": None, "config": {"cmd": ["sh"]}}
    return f"--spec={json.dumps(document)}"


def test_layers_and_a_spec_become_a_layout(tmp_path):
    (tmp_path / "a.py").write_text("print(1)\n")
    (tmp_path / "flags").write_text("--entry=app/code/a.py=a.py\n--symlink=bin/python=/usr/bin/python3.11\n")
    _layer(tmp_path, "one", "--flagfile=flags")
    _layer(tmp_path, "two", "--entry=app/data/a=a.py", "--compression=none")
    _run("image_documents", _spec("one", "two"), "--output=documents", cwd=tmp_path)
    layers = ["--layer=one.blob", "--layer=two.blob"]
    _run("image_layout", "--documents=documents", *layers, "--output=image", cwd=tmp_path)
    index = json.loads((tmp_path / "image" / "index.json").read_bytes())
    assert index["manifests"][0]["platform"] == {"architecture": "arm64", "os": "linux", "variant": "v8"}
    blobs = list((tmp_path / "image" / "blobs" / "sha256").iterdir())
    assert len(blobs) == 4
    for blob in blobs:
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
    assert {str(blob.readlink()) for blob in blobs if blob.is_symlink()} == {
        "../../../one.blob",
        "../../../two.blob",
    }


def test_errors_are_one_line_for_a_person_and_leave_nothing(tmp_path):
    error = _layer(tmp_path, "one", "--entry=a=missing", status=1)
    assert error.splitlines()[-1] == "error: 'a': its source missing is missing"
    error = _layer(tmp_path, "one", "--entry=nothing", status=1)
    assert "--entry=nothing: two parts with `=` between them are expected" in error
    assert list(tmp_path.iterdir()) == []


def test_colliding_layers_leave_no_layout(tmp_path):
    (tmp_path / "a").write_text("1")
    (tmp_path / "b").write_text("2")
    _layer(tmp_path, "one", "--entry=x=a")
    _layer(tmp_path, "two", "--entry=x=b")
    (tmp_path / "image").mkdir()
    error = _run("image_documents", _spec("one", "two"), "--output=image", cwd=tmp_path, status=1)
    assert "/x is installed differently by two layers" in error
    assert "code //demo:one" in error and "code //demo:two" in error
    assert list((tmp_path / "image").iterdir()) == []
