"""What a program of another CPU starts, on each rung of the ladder that can start it.

`CHASSIS_TEST_ARM64_IMAGE` is an image layout for arm64, `CHASSIS_TEST_ARM64_EMULATOR` a static qemu program for it.
"""

from __future__ import annotations

import dataclasses
import json
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from chassis.image_test.server import Launch, SandboxedServer
from chassis.oci.file_tree import remove_tree
from chassis.oci.layout_reader import LayoutReader
from chassis.oci.rootfs import RootFileSystem, Viewer, unpack
from chassis.sandbox import binfmt
from chassis.sandbox.errors import SandboxError
from chassis.sandbox.image_root import EMULATOR_PATH
from chassis.sandbox.ladder import Need, Rung, climb
from chassis.sandbox.program import Emulator
from tests.image_test.failing_servers import needed, python, tools

# A program, a script by its first line, a program under another name, and a process of Python's own.
START_OTHERS = """
import json, multiprocessing, pathlib, platform, subprocess, sys
def said(*command, **more):
    return subprocess.run(command, capture_output=True, check=True, text=True, **more).stdout.strip()
machine = "import platform; print(platform.machine())"
script = pathlib.Path("/tmp/script")
script.write_text("#!" + sys.executable + "\\n" + machine + "\\n")
script.chmod(0o755)
print(json.dumps({
    "program": said(sys.executable, "-c", machine),
    "script": said(str(script)),
    "name": said("whatever", "-c", "import sys; print(sys.orig_argv[0])", executable=sys.executable),
    "spawned": multiprocessing.get_context("spawn").Pool(1).apply(platform.machine),
}))
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RootFileSystem]:
    root = tmp_path_factory.mktemp("image") / "root"
    found = unpack(LayoutReader(needed("CHASSIS_TEST_ARM64_IMAGE")), root, viewer=Viewer(65532, 65532))
    yield dataclasses.replace(
        found, config=dataclasses.replace(found.config, entrypoint=python(START_OTHERS), command=())
    )
    remove_tree(root)


@pytest.mark.parametrize("rung", [Rung.BUBBLEWRAP, Rung.PROOT])
def test_programs_scripts_and_processes_are_emulated_as_their_parent_is(
    image: RootFileSystem, rung: Rung, tmp_path: Path
) -> None:
    reason = binfmt.reason_against(tmp_path) if rung is Rung.BUBBLEWRAP else ""
    try:
        sandbox = climb(tools(), Need.CHILDREN, [rung], emulated=True)
    except SandboxError as error:
        assert reason, error
        assert "an emulated program cannot start others" in str(error)
        return
    assert not reason
    file = tmp_path / "emulator:of arm64"
    shutil.copy2(needed("CHASSIS_TEST_ARM64_EMULATOR"), file)
    emulator = Emulator(file, EMULATOR_PATH, "cortex-a57")
    with SandboxedServer(Launch(image, sandbox, emulator), {}, tmp_path / "log") as server:
        assert server.wait(120) == 0, server.log()
        seen = json.loads(server.log().splitlines()[-1])
    assert seen == {
        "program": "aarch64",
        "script": "aarch64",
        "name": "whatever",
        "spawned": "aarch64",
    }
    assert platform.machine() != "aarch64"


def test_where_the_kernel_does_not_a_sandbox_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binfmt, "reason_against", lambda _: "mount binfmt_misc: Operation not permitted")
    found = climb(tools(), rungs=[Rung.BUBBLEWRAP], emulated=True)
    assert "without children of an emulated program (mount binfmt_misc: Operation not permitted)" in found.line()
    assert climb(tools(), Need.CHILDREN, emulated=True).rung is Rung.PROOT
