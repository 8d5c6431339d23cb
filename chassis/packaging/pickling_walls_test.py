"""Tests of chassis.packaging.pickling_worker: what models, and wheels imported for several, cannot reach or leave."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from chassis.confinement import descendants
from chassis.confinement.errors import ConfinementError
from chassis.packaging.packager import running_version
from chassis.packaging.pickling_actions import PLAIN, WHEEL, Actions, actions_in
from chassis.packaging.pickling_worker import Action
from chassis.packaging.sample_models import written


@pytest.fixture
def actions(tmp_path: Path) -> Iterator[Actions]:
    with actions_in(tmp_path) as made:
        yield made


def test_a_model_finds_nothing_of_the_one_before(actions: Actions) -> None:
    leaves = WHEEL + (
        "import os, sys, tempfile\nnumbers_of.STATE.append('left')\nsys.left = os.environ['LEFT'] = 'left'\n"
        "for place in (tempfile.gettempdir(), os.environ['HOME'], os.getcwd(), '/tmp', '/dev/shm'):\n"
        "    try: open(place + '/left', 'w').close()\n"
        "    except OSError: pass\n"
        "def process(a: bytes): return 1\n"
    )
    looks = WHEEL + (
        "import os, sys, tempfile\n"
        "found = list(numbers_of.STATE) + [getattr(sys, 'left', ''), os.environ.get('LEFT', '')]\n"
        "for place in (tempfile.gettempdir(), os.environ['HOME'], os.getcwd()):\n"
        "    found += [name for name in os.listdir(place) if name == 'left']\n"
        "assert not any(found), found\ndef process(a: bytes): return 1\n"
    )
    actions.package(leaves, "leaves")
    kept = actions.warm()
    actions.package(looks, "looks")
    assert actions.warm() == kept != []
    assert not Path("/tmp/left").exists()
    assert not Path("/dev/shm/left").exists()


_REACHES = """
import numbers_of
PID = 0
import os, signal, socket
def attempt(what):
    try:
        what()
    except (OSError, AttributeError):
        return False
    return True
def descriptors():
    for number in range(3, 64):
        try:
            os.write(number, b"0\\n")
        except OSError:
            continue
        return
    raise OSError
reached = [name for name, what in {
    "another's input": lambda: open(OTHER).read(),
    "the same by its copy": lambda: open(PLACE + "/warm-0/models/model-another/inputs/ml/other.py").read(),
    "a secret": lambda: open(SECRET).read(),
    "the wheel": lambda: open(numbers_of.__file__, "a"),
    "the process that forks": lambda: os.kill(os.getppid(), signal.SIGKILL),
    "its memory": lambda: open(f"/proc/{os.getppid()}/mem", "r+b"),
    "its variables": lambda: open(f"/proc/{os.getppid()}/environ", "rb").read(),
    "its files": lambda: open(PLACE + "/warm-0/output.log", "w"),
    "what another wrote": lambda: open(PLACE + "/warm-0/work/another/output/model.pkl").read(),
    "what another is to be checked by": lambda: open(PLACE + "/warm-0/work/another/output/model.pkl", "w"),
    "its packages": lambda: os.symlink("/", PLACE + "/warm-0/site/evil"),
    "its descriptors": descriptors,
    "the network": lambda: socket.create_connection(("127.0.0.1", PORT), 5),
}.items() if attempt(what)]
if reached:
    raise RuntimeError("reached: " + ", ".join(reached))
def process(a: bytes): return 1
"""


def test_a_model_reaches_neither_another_nor_the_process_that_forks(actions: Actions) -> None:
    secret = written(actions.root / "home" / "token", b"open-sesame")
    actions.package(PLAIN, "other")
    kept = actions.warm()
    (place,) = (actions.root / "bazel-out").iterdir()
    written(place / "warm-0" / "models" / "model-another" / "inputs" / "ml" / "other.py", b"left by another worker")
    written(place / "warm-0" / "work" / "another" / "output" / "model.pkl", b"left by another worker")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        source = _REACHES
        for name, value in {
            "OTHER": str(actions.root / "ml" / "other.py"),
            "PLACE": str(place),
            "SECRET": str(secret),
            "PORT": listening.getsockname()[1],
        }.items():
            source = source.replace(name, repr(value))
        actions.package(source)
    assert actions.warm() == kept
    assert actions.package(PLAIN) == actions.alone(PLAIN)
    assert actions.warm() == kept


_WHEEL_THAT_ATTACKS = """
import os
STATE = []
place = os.path.dirname(os.environ["TMPDIR"])
def attempt(what, path):
    try:
        what(path)
    except OSError:
        return
    STATE.append((what.__name__, path))
def append(path):
    with open(path, "a") as file:
        file.write("# by the wheel")
def replace(path):
    os.rename(path, place + "/tmp/moved")
    os.symlink("/", path)
def make(path):
    os.symlink("/", path + "/evil")
OWN = {place + "/home", place + "/tmp", place + "/work"}
LOG = place + "/output.log"  # of the steps, and opened by them
assert LOG in [entry.path for entry in os.scandir(place)]
for root, directories, files in [*os.walk(place), *os.walk(os.path.dirname(place))]:
    for path in (root + "/" + name for name in files):
        if path != LOG:
            attempt(append, path)
        attempt(replace, path)
    for path in (root + "/" + name for name in directories):
        if path not in OWN:
            attempt(make, path)
        attempt(replace, path)
attempt(make, place)
attempt(make, os.path.dirname(place))
attempt(append, place + "/site/chassis/__init__.py")
attempt(append, __file__)
for path in SOURCES:
    attempt(lambda each: open(each).read(), path)
    attempt(append, path)
"""


def test_a_wheel_reaches_no_file_of_a_model_nor_what_the_worker_writes(actions: Actions) -> None:
    sources = [str(actions.root / "ml" / "model.py"), str(actions.root / "made" / "key")]
    actions.wheel(_WHEEL_THAT_ATTACKS.replace("SOURCES", repr(sources)))
    source = WHEEL + "print('reached', numbers_of.STATE)\ndef process(a: bytes): return 1\n"
    for _ in range(2):
        assert "reached []" in actions.package(source, data={"key": b"value"}).printed
    assert actions.warm()
    assert (actions.root / "ml" / "model.py").read_text() == source
    assert (actions.root / "made" / "key").read_bytes() == b"value"


@pytest.mark.parametrize("wheel", ["STATE = []\n", "FILE = open(__file__)\nSTATE = []\n"])
def test_inputs_are_the_same_files_afterwards_to_whoever_looks_at_their_times(actions: Actions, wheel: str) -> None:
    actions.wheel(wheel)
    actions.model(PLAIN, "model", {"key": b"value"})
    files = [path for path in actions.root.rglob("*") if path.is_file()]
    # Not by `Actions.package`, which writes them anew.
    action = Action(
        actions.model(PLAIN, "model"), ["ml/model.py", "made/key"], ["wheel"], {}, None, running_version(), 20.0
    )
    digests = {str(path.relative_to(actions.root)): "1" for path in files}
    before = {path: (path.stat().st_ctime_ns, path.stat().st_nlink) for path in files}
    actions.worker.package(dataclasses.replace(action, digests=digests))
    assert bool(actions.warm()) == ("FILE" not in wheel)
    assert {path: (path.stat().st_ctime_ns, path.stat().st_nlink) for path in files} == before


def test_a_model_that_cannot_be_ended_does_not_run_again_without_walls(
    actions: Actions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(descendants, "_SECONDS", -1.0)  # so that one process does for a thousand
    marks = actions.root / "marks"
    source = WHEEL + (
        "import os, time\n"
        f"try: open({str(marks)!r}, 'w').close()\n"
        "except OSError: pass\n"
        "if not os.fork():\n    os.setsid()\n    time.sleep(600)\n"
        "def process(a: bytes): return 1\n"
    )
    with pytest.raises(ConfinementError, match="go on after it"):
        actions.package(source)
    assert not marks.exists()


def test_what_a_model_leaves_running_is_ended_before_the_next(actions: Actions) -> None:
    source = WHEEL + (
        "import os, time\n"
        "if not os.fork():\n    os.setsid()\n    if not os.fork():\n        time.sleep(600)\n    os._exit(0)\n"
        "def process(a: bytes): return 1\n"
    )
    actions.package(source)
    (kept,) = actions.warm()
    children = Path(f"/proc/{kept}/task/{kept}/children").read_text().split()
    assert all(Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "Z" for child in children)
    actions.package(PLAIN)
    assert actions.warm() != []
