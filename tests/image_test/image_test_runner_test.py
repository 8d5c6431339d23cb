"""chassis_test's runner as a program: its output, its report, and what it leaves behind."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.image_test.failing_servers import QUIET, SERVER, needed, python

LIMIT_SECONDS = 120.0


def variant(folder: Path, **config: object) -> Path:
    """The real image with another configuration, its blobs by links."""
    source = needed("CHASSIS_TEST_IMAGE")
    blobs = folder / "image/blobs/sha256"
    blobs.mkdir(parents=True)
    for blob in (source / "blobs/sha256").iterdir():
        (blobs / blob.name).symlink_to(blob.resolve())

    def load(descriptor: dict) -> dict:
        return json.loads((blobs / descriptor["digest"].removeprefix("sha256:")).read_bytes())

    def store(document: dict, descriptor: dict) -> dict:
        data = json.dumps(document).encode()
        name = hashlib.sha256(data).hexdigest()
        (blobs / name).write_bytes(data)
        return descriptor | {"digest": f"sha256:{name}", "size": len(data)}

    index = json.loads((source / "index.json").read_bytes())
    manifest = load(index["manifests"][0])
    document = load(manifest["config"])
    document["architecture"] = config.pop("architecture", document["architecture"])
    document["config"] |= config
    manifest["config"] = store(document, manifest["config"])
    index["manifests"] = [store(manifest, index["manifests"][0])]
    (folder / "image/index.json").write_text(json.dumps(index))
    (folder / "image/oci-layout").write_bytes((source / "oci-layout").read_bytes())
    return folder / "image"


def start(folder: Path, image: Path, *flags: str, case: object = None) -> subprocess.Popen:
    (folder / "case.json").write_text(json.dumps(case or {"input": {"json": [1, 2]}, "output": [1, 2]}))
    (folder / "tmp").mkdir(exist_ok=True)
    root = Path(__file__).resolve().parents[2]
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "chassis.tools.image_test_runner",
            f"--image={image}",
            f"--case={folder}/case.json",
            f"--bwrap={needed('CHASSIS_TEST_BWRAP')}",
            f"--proot={needed('CHASSIS_TEST_PROOT')}",
            *flags,
        ],
        env={
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(folder),
            "PYTHONPATH": os.pathsep.join([str(root), *(path for path in sys.path if path)]),
            "TEST_TMPDIR": str(folder / "tmp"),
            "XML_OUTPUT_FILE": str(folder / "report.xml"),
            "BUILD_WORKSPACE_DIRECTORY": str(folder),
            "SECRET_OF_THE_MACHINE": "seen",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def check(folder: Path, image: Path, *flags: str, case: object = None) -> tuple[int, str]:
    """Exit status and output of the runner, which must have cleaned up and written its report."""
    process = start(folder, image, *flags, case=case)
    output, _ = process.communicate(timeout=LIMIT_SECONDS)
    assert list((folder / "tmp").iterdir()) == []
    suite = ElementTree.parse(folder / "report.xml").getroot()[0]
    assert bool(int(suite.get("failures", "0"))) == bool(process.returncode)
    assert "Traceback" not in output.partition("--- server's log ---")[0]
    return process.returncode, output


def processes_with(text: str) -> list[int]:
    """Processes with `text` in their arguments."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if text.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def wait_until(condition: Callable[[], object], seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_right_answers_pass(tmp_path: Path) -> None:
    status, output = check(tmp_path, variant(tmp_path, Entrypoint=python(QUIET + SERVER)))
    assert status == 0, output
    assert "ok  case  " in output
    assert "2 passed, 0 failed" in output


def test_a_wrong_answer_shows_both_values_and_the_log(tmp_path: Path) -> None:
    image = variant(tmp_path, Entrypoint=python(QUIET + SERVER))
    status, output = check(tmp_path, image, case={"name": "sums", "input": "[1,2]", "output": [1, 3]})
    assert status == 1
    assert "FAIL  sums" in output
    assert "$[1]: found 2, expected 3" in output
    assert "expected  [1, 3]" in output
    assert "found     [1, 2]" in output
    assert "--- server's log ---\nserving\n" in output


def test_an_image_for_another_cpu_needs_an_emulator(tmp_path: Path) -> None:
    other = {"x86_64": "arm64", "aarch64": "amd64"}[os.uname().machine]
    status, output = check(tmp_path, variant(tmp_path, architecture=other))
    assert status == 1
    assert f"is for {other} and this machine is {os.uname().machine}: an emulator is needed" in output


@pytest.mark.parametrize(
    ("number", "flags"),
    [
        (signal.SIGTERM, ()),
        (signal.SIGINT, ()),
        (signal.SIGKILL, ()),
        (signal.SIGTERM, ("--rung=proot",)),
        (signal.SIGKILL, ("--rung=proot",)),
    ],
)
def test_nothing_is_left_running_when_the_test_is_stopped(
    tmp_path: Path, number: signal.Signals, flags: tuple[str, ...]
) -> None:
    mark = f"mark-{uuid.uuid4()}"
    image = variant(tmp_path, Entrypoint=python(f"import time; print({mark!r}, flush=True); time.sleep(1000)"))
    process = start(tmp_path, image, *flags)
    try:
        # Once the server itself has spoken: bubblewrap carries the mark too, before it is bound to its parent's life.
        assert wait_until(lambda: any(mark in log.read_text() for log in (tmp_path / "tmp").glob("*/server.log")))
        process.send_signal(number)
        process.communicate(timeout=30)
        assert process.returncode != 0
        assert wait_until(lambda: not processes_with(mark))
        if number != signal.SIGKILL:
            assert list((tmp_path / "tmp").iterdir()) == []
    finally:
        process.kill()


def test_update_writes_the_answers_and_shows_the_difference(tmp_path: Path) -> None:
    image = variant(tmp_path, Entrypoint=python(QUIET + SERVER))
    (tmp_path / "case.json").write_text('[{"input": [1, 2], "output": [1, 3]}, {"input": [4]}]\n')
    process = start(
        tmp_path, image, "--update", "--case_name=case.json", case=json.loads((tmp_path / "case.json").read_text())
    )
    output, _ = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 0, output
    assert json.loads((tmp_path / "case.json").read_text()) == [
        {"input": [1, 2], "output": [1, 2]},
        {"input": [4], "output": [4]},
    ]
    assert '\n-[{"input": [1, 2], "output": [1, 3]}, {"input": [4]}]\n' in output
    assert '\n+[{"input": [1, 2], "output": [1, 2]}, {"input": [4], "output": [4]}]\n' in output
    again = start(
        tmp_path, image, "--update", "--case_name=case.json", case=json.loads((tmp_path / "case.json").read_text())
    )
    output, _ = again.communicate(timeout=LIMIT_SECONDS)
    assert output == "case.json: as it was\n"


def test_an_update_without_answers_changes_nothing(tmp_path: Path) -> None:
    dies = SERVER.replace("on_run()", "os._exit(3)", 1)
    image = variant(tmp_path, Entrypoint=python(QUIET + dies))
    process = start(tmp_path, image, "--update", "--case_name=case.json")
    before = (tmp_path / "case.json").read_text()
    output, _ = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 1
    assert "1 cases have no answer: their files stay as they were" in output
    assert "the server ended with status 3" in output
    assert (tmp_path / "case.json").read_text() == before


def test_a_case_without_an_answer_names_the_command_that_writes_it(tmp_path: Path) -> None:
    image = variant(tmp_path, Entrypoint=python(QUIET + SERVER))
    flags = ("--update_command=bazel run //model:image_test.update", "--case_name=model/case.json")
    status, output = check(tmp_path, image, *flags, case={"input": [1]})
    assert status == 1
    assert "to write what the image answers: bazel run //model:image_test.update" in output
