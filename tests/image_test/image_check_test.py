"""Servers that fail in every way, started from the real image's root file system."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chassis.errors import ChassisError
from chassis.image_test.case_file import EQUAL_JSON, Case, Expectation
from chassis.image_test.image_check import Outcome, Plan, ServerError, check_server
from chassis.oci.file_tree import remove_tree
from chassis.oci.layout_reader import LayoutReader
from chassis.oci.rootfs import RootFileSystem, Viewer, unpack
from chassis.sandbox.errors import SandboxError
from chassis.sandbox.ladder import Rung, Tools
from chassis.sandbox.program import ProgramError
from tests.image_test.failing_servers import QUIET, SERVER, needed, python, tools

CASE = Case("case", ({"input": b"[1,2]"},), (True,), ({"results.json": Expectation(EQUAL_JSON, [1, 2])},), None)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RootFileSystem]:
    root = tmp_path_factory.mktemp("image") / "root"
    yield unpack(LayoutReader(needed("CHASSIS_TEST_IMAGE")), root, viewer=Viewer(65532, 65532))
    remove_tree(root)


@pytest.fixture
def plan() -> Plan:
    return Plan(Path("unused"), tools(), [CASE], shutdown_seconds=20.0)


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
    missing = dataclasses.replace(plan, tools=Tools(Path("/no/bwrap"), Path("/no/proot")), rungs=list(Rung)[:2])
    with pytest.raises(SandboxError, match=r"/no/bwrap cannot be started.*\n.*/no/proot: there is no such program"):
        check(missing, image, tmp_path)
