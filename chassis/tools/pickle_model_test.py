"""Tests of the pickle_model tool: its flags, outputs and errors."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from chassis.tools import pickle_model


def run(directory: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    outputs = [
        f"--model_pkl={directory}/model.pkl",
        f"--status_pb={directory}/status.pb",
        f"--model_json={directory}/model.json",
    ]
    return subprocess.run(
        [sys.executable, pickle_model.__file__, *outputs, *flags],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "metadata.json").write_text(json.dumps({"name": "m", "batch_size": 2}))
    (tmp_path / "model.py").write_text("def process(contents): return [len(content) for content in contents]\n")
    return tmp_path


def made(workspace: Path) -> set[str]:
    return {path.name for path in workspace.iterdir()} - {"metadata.json", "model.py", "flags"}


def test_the_three_files_are_written(workspace: Path) -> None:
    (workspace / "flags").write_text("--entry_point=model:process\n--source=ml/model.py=model.py\n--package_dir=ml\n")
    done = run(workspace, "--metadata=metadata.json", "--flagfile=flags")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert made(workspace) == {"model.pkl", "status.pb", "model.json"}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--entry_point=model:missing", "--source=model.py=model.py"], "has no 'missing'"),
        (["--entry_point=model:process", "--source=model.py"], "--source=model.py: expected NAME=FILE"),
        (["--data=a=x", "--data=a=y"], "--data: 'a' is given twice, as x and y"),
        (["--pickle=nowhere.pkl"], "nowhere.pkl: No such file or directory"),
    ],
)
def test_an_error_is_one_message_and_leaves_no_file(workspace: Path, flags: list[str], message: str) -> None:
    done = run(workspace, "--metadata=metadata.json", *flags)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert made(workspace) == set()


_ATTACKS = """
import os, pathlib, socket, tempfile
def attempt(what):
    try:
        what()
    except OSError:
        return False
    return True
reached = [name for name, what in {
    "secret": lambda: open(SECRET).read(),
    "overwrite": lambda: open(SECRET, "w").close(),
    "beside": lambda: pathlib.Path(SECRET + ".new").touch(),
    "tcp": lambda: socket.create_connection(("127.0.0.1", PORT), 5),
    "udp": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
}.items() if attempt(what)]
if reached:
    raise RuntimeError("reached: " + ", ".join(reached))
with tempfile.TemporaryDirectory() as own:
    pathlib.Path(own, "x").touch(mode=0o600)
    os.chmod(pathlib.Path(own, "x"), 0o644)
    os.listdir("/usr")
def process(contents): return [1 for content in contents]
"""


@pytest.mark.parametrize(("sandbox", "confined"), [("processwrapper-sandbox", True), ("linux-sandbox", False)])
def test_in_a_sandbox_of_bazel_that_confines_nothing_the_models_code_is_confined(
    tmp_path: Path, sandbox: str, confined: bool
) -> None:
    """What linux-sandbox confines by itself: here the name of the directory alone is as it makes it."""
    secret = tmp_path / "secret"
    secret.write_text("open-sesame")
    directory = tmp_path / "sandbox" / sandbox / "1" / "execroot" / "_main"
    directory.mkdir(parents=True)
    (directory / "metadata.json").write_text(json.dumps({"name": "m", "batch_size": 2}))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        source = _ATTACKS.replace("SECRET", repr(str(secret))).replace("PORT", str(listening.getsockname()[1]))
        (directory / "model.py").write_text(source)
        done = run(directory, "--metadata=metadata.json", "--entry_point=model:process", "--source=model.py=model.py")
    assert "Traceback" not in done.stderr
    if confined:
        assert done.returncode == 0, done.stderr
        assert secret.read_text() == "open-sesame"
        assert made(directory) == {"model.pkl", "status.pb", "model.json"}
    else:
        assert "reached: secret, overwrite, beside, tcp, udp" in done.stderr
