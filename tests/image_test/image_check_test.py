"""Servers that fail in every way, started from the real image's root file system."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chassis.errors import ChassisError
from chassis.image_test.case_file import EQUAL_JSON, Case, Expectation
from chassis.image_test.image_check import Outcome, Plan, ServerError, check_server
from chassis.sandbox.program import ProgramError
from chassis.image_test.server import Launch, SandboxedServer
from chassis.oci.file_tree import remove_tree
from chassis.oci.layout_reader import LayoutReader
from chassis.oci.rootfs import RootFileSystem, Viewer, unpack
from tests.image_test.failing_servers import QUIET, SERVER, needed, python

CASE = Case("case", ({"input": b"[1,2]"},), (True,), ({"results.json": Expectation(EQUAL_JSON, [1, 2])},), None)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RootFileSystem]:
    root = tmp_path_factory.mktemp("image") / "root"
    yield unpack(LayoutReader(needed("CHASSIS_TEST_IMAGE")), root, viewer=Viewer(65532, 65532))
    remove_tree(root)


@pytest.fixture
def plan() -> Plan:
    return Plan(Path("unused"), TOOLS, [CASE], shutdown_seconds=20.0)


def check(plan: Plan, image: RootFileSystem, folder: Path, **config: object) -> Outcome:
    """What a plan comes to with the image's configuration changed."""
    changed = dataclasses.replace(image, config=dataclasses.replace(image.config, command=(), **config))
    return check_server(plan, changed, folder / "log", lambda line: None)


def failures(outcome: Outcome) -> dict[str, str]:
    return {result.name: result.failure for result in outcome.results if result.failure}


def test_a_good_server_passes(plan: Plan, image: RootFileSystem, tmp_path: Path) -> None:
    outcome = check(plan, image, tmp_path, entrypoint=python(QUIET + SERVER))
    assert [(result.name, result.failure) for result in outcome.results] == [("case", ""), ("Shutdown", "")]
    assert outcome.log.endswith("serving\n")


def test_a_server_that_ends_at_once_is_noticed_at_once(plan: Plan, image: RootFileSystem, tmp_path: Path) -> None:
    begin = time.monotonic()
    script = "import sys; print('no weights here'); sys.exit(3)"
    with pytest.raises(ServerError, match=r"ended before it was ready \(exit status 3\)\n.*\nno weights here"):
        check(plan, image, tmp_path, entrypoint=python(script))
    assert time.monotonic() - begin < plan.startup_seconds / 2


def test_a_server_that_never_listens_is_given_up(plan: Plan, image: RootFileSystem, tmp_path: Path) -> None:
    script = "import time; print('asleep', flush=True); time.sleep(1000)"
    short = dataclasses.replace(plan, startup_seconds=3.0)
    with pytest.raises(ServerError, match=r"not ready after 3 s: it never listened\n.*\nasleep"):
        check(short, image, tmp_path, entrypoint=python(script))


def test_a_server_that_crashes_in_a_case_is_told(plan: Plan, image: RootFileSystem, tmp_path: Path) -> None:
    hooks = "on_run = lambda: os._exit(9)\nafter_shutdown = lambda: None\n"
    found = failures(check(plan, image, tmp_path, entrypoint=python(hooks + SERVER)))
    assert "the server ended with status 9" in found["case"]
    assert "ended before it was asked to" in found["Shutdown"]


def test_a_case_that_takes_too_long_fails(plan: Plan, image: RootFileSystem, tmp_path: Path) -> None:
    hooks = "on_run = lambda: __import__('time').sleep(1000)\nafter_shutdown = lambda: None\n"
    short = dataclasses.replace(plan, case_seconds=1.0, shutdown_seconds=3.0)
    found = failures(check(short, image, tmp_path, entrypoint=python(hooks + SERVER)))
    assert "Run fails with DEADLINE_EXCEEDED" in found["case"]


@pytest.mark.parametrize(
    ("after", "message"),
    [
        ("lambda: os._exit(7)", "the server ended with status 7 after Shutdown, expected 0"),
        ("lambda: __import__('time').sleep(1000)", "the server still runs 2 s after Shutdown"),
    ],
)
def test_a_bad_end_after_shutdown_fails(
    plan: Plan, image: RootFileSystem, tmp_path: Path, after: str, message: str
) -> None:
    hooks = f"on_run = lambda: None\nafter_shutdown = {after}\n"
    short = dataclasses.replace(plan, shutdown_seconds=2.0)
    assert failures(check(short, image, tmp_path, entrypoint=python(hooks + SERVER))) == {"Shutdown": message}


LOOK_AROUND = """
import json, os, sys
def writable(path):
    try:
        open(path + "/probe", "w").close()
        return True
    except OSError:
        return False
print(json.dumps({
    "ids": [os.getuid(), os.getgid()], "prefix": sys.prefix, "path": sys.path, "environment": sorted(os.environ),
    "root": sorted(os.listdir("/")), "writable": [p for p in ("/", "/tmp", "/app", "/opt/venv") if writable(p)],
    "pids": [name for name in os.listdir("/proc") if name.isdigit()], "devices": sorted(os.listdir("/dev")),
}))
"""


@pytest.mark.parametrize("own_proc", [True, False])
def test_the_server_sees_the_image_and_nothing_of_the_machine(
    plan: Plan, image: RootFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_proc: bool
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_MACHINE", "seen")
    monkeypatch.setenv("PYTHONPATH", "/")
    config = dataclasses.replace(image.config, entrypoint=python(LOOK_AROUND), command=())
    launch = Launch(dataclasses.replace(image, config=config), plan.bwrap)
    with SandboxedServer(launch, {"PSC_MODEL_PORT": "1"}, tmp_path / "log", own_proc) as server:
        assert server.wait(60) == 0, server.log()
        seen = json.loads(server.log())
    assert seen["ids"] == [65532, 65532]
    assert seen["prefix"] == "/opt/venv"
    assert all(path == "" or path.startswith(("/usr/lib/python3", "/opt/venv/", "/app")) for path in seen["path"])
    assert set(seen["environment"]) <= {*image.config.environment, "HOME", "PATH", "PSC_MODEL_PORT", "PWD", "LC_CTYPE"}
    assert set(seen["root"]) == {path.name for path in image.path.iterdir()}
    assert seen["writable"] == ["/tmp"]
    assert set(seen["devices"]) <= {
        *("console", "core", "fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout"),
        *("tty", "urandom", "zero"),
    }
    if own_proc:
        assert len(seen["pids"]) <= 2


@pytest.mark.parametrize(
    ("config", "error", "message"),
    [
        ({"entrypoint": ("/no/such/program",)}, SandboxError, "program cannot be started: /no/such/program"),
        ({"entrypoint": ()}, SandboxError, "neither an entrypoint nor a command"),
        ({"user": "ghost"}, ProgramError, "user 'ghost', which its /etc/passwd and /etc/group do not know"),
        ({"working_dir": "/no/such/place"}, SandboxError, "working directory is not in it: /no/such/place"),
    ],
)
def test_an_image_that_cannot_start_is_told(
    plan: Plan, image: RootFileSystem, tmp_path: Path, config: dict, error: type[ChassisError], message: str
) -> None:
    with pytest.raises(error, match=message):
        check(plan, image, tmp_path, **config)


def test_a_missing_sandbox_is_named(plan: Plan, image: RootFileSystem, tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="/no/bwrap: cannot be started"):
        check(dataclasses.replace(plan, bwrap=Path("/no/bwrap")), image, tmp_path)
