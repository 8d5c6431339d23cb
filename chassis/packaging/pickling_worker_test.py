"""Tests of chassis.packaging.pickling_worker: models one after the other give what each gives alone, and no more."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import multiprocessing
import os
import select
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from chassis.confinement import descendants
from chassis.confinement.errors import ConfinementError
from chassis.confinement.walls import landlock_version
from chassis.declaration.model import ModelMetadata
from chassis.packaging.errors import PackagingError
from chassis.packaging.packager import Model, PackagedModel, package_model, running_version
from chassis.packaging.pickling_worker import Action, PicklingWorker
from chassis.packaging.sample_models import written

_WHEEL = "import numbers_of\n"
_PLAIN = _WHEEL + "def process(a: bytes):\n    return numbers_of.STATE\n"


class Actions:
    """A directory that actions run in, one after the other, with a worker there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.wheel("STATE = []\n")
        self.worker = PicklingWorker(())

    def wheel(self, source: str) -> None:
        """Gives the wheel that models import another content."""
        written(self.root / "wheel" / "numbers_of-1.0.dist-info" / "METADATA", b"")
        (self.root / "wheel" / "numbers_of.py").unlink(missing_ok=True)
        written(self.root / "wheel" / "numbers_of.py", source.encode())

    def package(self, source: str, name: str = "model", data: Mapping[str, bytes] | None = None) -> PackagedModel:
        """What the worker makes of a model."""
        model = self.model(source, name, data)
        files = [str(path) for path in (*model.sources.values(), *model.data.values())]
        digests = {file: file for file in files} | {
            str(path.relative_to(self.root)): str(hash(path.read_bytes()))
            for path in (self.root / "wheel").rglob("*")
            if path.is_file()
        }
        return self.worker.package(Action(model, files, ["wheel"], digests, None, running_version(), 20.0))

    def model(self, source: str, name: str, data: Mapping[str, bytes] | None = None) -> Model:
        """A model in the workspace package `ml`, its paths from the directory that actions run in."""
        written(self.root / "ml" / f"{name}.py", source.encode())
        for key, content in (data or {}).items():
            written(self.root / "made" / key, content)
        return Model(
            ModelMetadata(name=name),
            f"{name}:process",
            None,
            "ml",
            {f"ml/{name}.py": Path(f"ml/{name}.py")},
            {key: Path("made", key) for key in data or {}},
            [Path("wheel"), Path()],
        )

    def alone(self, source: str, name: str = "model", data: Mapping[str, bytes] | None = None) -> PackagedModel:
        """What processes of its own make of a model."""
        # Not in this process, which would end the ones that are kept.
        with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as other:
            package = functools.partial(package_model, timeout=20.0, inputs=self.root, shared=())
            return other.submit(package, self.model(source, name, data)).result()

    def warm(self) -> list[int]:
        """The processes that are kept."""
        return [process._process for process in self.worker._kept.values()]


@pytest.fixture
def actions(tmp_path: Path) -> Iterator[Actions]:
    if not landlock_version():
        pytest.skip("this kernel has no Landlock: nothing is kept")
    with contextlib.chdir(tmp_path):
        made = Actions(tmp_path)
        yield made
        made.worker.stop()


_MODELS = {
    "plain": _PLAIN,
    "no wheel": "import json\ndef process(a: bytes):\n    return json.loads(a)\n",
    "names": "import numbers_of\nimport xml.dom.minidom, os.path as p\nfrom xml.dom import minidom\n"
    "NAMES = ['numbers_of', 'xml.dom', 'minidom', p.__name__, numbers_of.__name__]\n"
    "def process(a: bytes):\n    return NAMES, minidom, xml.dom.minidom, numbers_of, numbers_of.__name__\n",
    "class": _WHEEL + "class A:\n    K = {None, 'a', 1}\n    def f(self): return numbers_of\n"
    "def process(a: bytes):\n    return A().f(), {x for x in A.K}\n",
    "annotated": '"""A model."""\nfrom __future__ import annotations\nimport numbers_of\nimport functools\n'
    "@functools.lru_cache\ndef half(a: int) -> float: return a / 2\n"
    "def process(a: bytes) -> float: return half(len(a))\n",
}


@pytest.mark.parametrize("name", _MODELS)
def test_a_model_after_others_gives_the_bytes_that_it_gives_alone(actions: Actions, name: str) -> None:
    expected = actions.alone(_MODELS[name])
    actions.package(_PLAIN, "other")
    assert actions.warm()
    assert actions.package(_MODELS[name]) == expected
    kept = actions.warm()
    assert actions.package(_MODELS[name]) == expected
    assert actions.warm() == kept


def test_data_is_there_and_what_is_printed_is_told(actions: Actions) -> None:
    source = _WHEEL + (
        "from chassis import data_path\nFOUND = open(data_path('key')).read()\nprint('read', FOUND)\n"
        "def process(a: bytes): return FOUND\n"
    )
    expected = actions.alone(source, data={"key": b"value"})
    assert "read value" in expected.printed
    assert actions.package(source, data={"key": b"value"}) == expected
    assert actions.warm()


def test_a_model_finds_nothing_of_the_one_before(actions: Actions) -> None:
    leaves = _WHEEL + (
        "import os, sys, tempfile\nnumbers_of.STATE.append('left')\nsys.left = os.environ['LEFT'] = 'left'\n"
        "for place in (tempfile.gettempdir(), os.environ['HOME'], os.getcwd(), '/tmp', '/dev/shm'):\n"
        "    try: open(place + '/left', 'w').close()\n"
        "    except OSError: pass\n"
        "def process(a: bytes): return 1\n"
    )
    looks = _WHEEL + (
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
    actions.package(_PLAIN, "other")
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
    assert actions.package(_PLAIN) == actions.alone(_PLAIN)
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
    source = _WHEEL + "print('reached', numbers_of.STATE)\ndef process(a: bytes): return 1\n"
    for _ in range(2):
        assert "reached []" in actions.package(source, data={"key": b"value"}).printed
    assert actions.warm()
    assert (actions.root / "ml" / "model.py").read_text() == source
    assert (actions.root / "made" / "key").read_bytes() == b"value"


@pytest.mark.parametrize("wheel", ["STATE = []\n", "FILE = open(__file__)\nSTATE = []\n"])
def test_inputs_are_the_same_files_afterwards_to_whoever_looks_at_their_times(actions: Actions, wheel: str) -> None:
    actions.wheel(wheel)
    actions.model(_PLAIN, "model", {"key": b"value"})
    files = [path for path in actions.root.rglob("*") if path.is_file()]
    # Not by `Actions.package`, which writes them anew.
    action = Action(
        actions.model(_PLAIN, "model"), ["ml/model.py", "made/key"], ["wheel"], {}, None, running_version(), 20.0
    )
    digests = {str(path.relative_to(actions.root)): "1" for path in files}
    before = {path: (path.stat().st_ctime_ns, path.stat().st_nlink) for path in files}
    actions.worker.package(dataclasses.replace(action, digests=digests))
    assert bool(actions.warm()) == ("FILE" not in wheel)
    assert {path: (path.stat().st_ctime_ns, path.stat().st_nlink) for path in files} == before


def test_a_model_with_more_than_is_copied_is_packaged_by_processes_of_its_own(actions: Actions) -> None:
    source = _WHEEL + (
        "import os\nfrom chassis import data_path\nSIZE = os.path.getsize(data_path('key'))\n"
        "def process(a: bytes): return SIZE\n"
    )
    data = {"key": bytes((64 << 20) + 1)}
    assert actions.package(source, data=data) == actions.alone(source, data=data)
    assert not actions.warm()


def test_a_worker_in_a_sandbox_keeps_a_process_that_writes_nothing_there(tmp_path: Path) -> None:
    if not landlock_version():
        pytest.skip("this kernel has no Landlock: nothing is kept")
    directory = tmp_path / "bazel-workers" / "worker-1-PickleModel" / "main"
    directory.mkdir(parents=True)
    with contextlib.chdir(directory):
        actions = Actions(directory)
        program = written(directory / "tool.runfiles" / "tool.py", b"the worker's own")
        attack = f"STATE = []\ntry: open({str(program)!r}, 'a').close(); STATE.append(1)\nexcept OSError: pass\n"
        actions.wheel(attack)
        for _ in range(2):
            shows = _WHEEL + "print(numbers_of.STATE)\ndef process(a: bytes): return 1\n"
            assert actions.package(shows).printed == "[]\n"
            assert actions.warm()
            for path in [*directory.glob("bazel-out/*"), *directory.parent.glob("chassis*")]:  # as Bazel does
                shutil.rmtree(path)
        actions.wheel("STATE = []\n")
        assert actions.package(_PLAIN) == actions.alone(_PLAIN)
        actions.worker.stop()
        assert [path.name for path in (tmp_path / "bazel-workers").iterdir()] == ["worker-1-PickleModel"]


def test_nothing_is_left_of_a_worker_that_stops(actions: Actions) -> None:
    actions.package(_PLAIN)
    assert actions.warm()
    assert list((actions.root / "bazel-out").iterdir())
    actions.worker.stop()
    assert not list((actions.root / "bazel-out").iterdir())
    actions.wheel("FILE = open(__file__)\nSTATE = []\n")
    actions.package(_PLAIN)
    assert not actions.warm()
    assert not list((actions.root / "bazel-out").iterdir())


def test_of_what_a_model_writes_the_end_alone_is_read(actions: Actions) -> None:
    source = _WHEEL + (
        "import os\nos.ftruncate(1, 1 << 40)\nprint('the end', flush=True)\ndef process(a: bytes): return 1\n"
    )
    for _ in range(2):
        assert actions.package(source).printed.endswith("the end\n")
        assert actions.warm()


def test_a_model_that_cannot_be_ended_does_not_run_again_without_walls(
    actions: Actions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(descendants, "_SECONDS", -1.0)  # so that one process does for a thousand
    marks = actions.root / "marks"
    source = _WHEEL + (
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
    source = _WHEEL + (
        "import os, time\n"
        "if not os.fork():\n    os.setsid()\n    if not os.fork():\n        time.sleep(600)\n    os._exit(0)\n"
        "def process(a: bytes): return 1\n"
    )
    actions.package(source)
    (kept,) = actions.warm()
    children = Path(f"/proc/{kept}/task/{kept}/children").read_text().split()
    assert all(Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "Z" for child in children)
    actions.package(_PLAIN)
    assert actions.warm() != []


def test_an_error_is_that_of_a_process_of_its_own_and_the_worker_goes_on(actions: Actions) -> None:
    broken = _WHEEL + "import missing\ndef process(a: bytes): return 1\n"
    with pytest.raises(PackagingError) as alone:
        actions.alone(broken)
    with pytest.raises(PackagingError) as error:
        actions.package(broken)
    assert str(error.value) == str(alone.value)
    ends = _WHEEL + "import os\nos._exit(3)\n"
    with pytest.raises(PackagingError, match="ended with status 3"):
        actions.package(ends)
    assert actions.package(_PLAIN) == actions.alone(_PLAIN)


def test_another_content_of_a_wheel_is_imported_anew(actions: Actions) -> None:
    source = _WHEEL + "FOUND = list(numbers_of.STATE)\ndef process(a: bytes): return FOUND\n"
    for state in ("[]", "[1]", "[1, 2]", "[1, 2, 3]"):
        actions.wheel(f"STATE = {state}\n")
        assert actions.package(source) == actions.alone(source)
        assert len(actions.warm()) <= 2


@pytest.mark.parametrize(
    "wheel",
    [
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\nSTATE = []\n",
        "FILE = open(__file__)\nSTATE = []\n",
        "import mmap\nSHARED = mmap.mmap(-1, 4096)\nSTATE = []\n",
        "import signal\nsignal.setitimer(signal.ITIMER_VIRTUAL, 600)\nSTATE = []\n",
        "import chassis.errors\nSTATE = []\n",
        "raise RuntimeError\n",
    ],
)
def test_a_wheel_that_forks_cannot_share_is_imported_by_each(actions: Actions, wheel: str) -> None:
    actions.wheel(wheel)
    with contextlib.suppress(PackagingError):  # of the last
        assert actions.package(_PLAIN) == actions.alone(_PLAIN)
    assert not actions.warm()


def test_a_wheel_that_maps_a_file_which_nobody_can_write_is_imported_once(actions: Actions) -> None:
    actions.wheel(
        "import ctypes, mmap\n"
        "map_file = ctypes.CDLL(None).mmap\n"
        "map_file.restype = ctypes.c_void_p\n"
        "with open(__file__) as file:\n"  # Python's own keeps the file open
        "    size, flags = ctypes.c_size_t(4096), mmap.MAP_SHARED\n"
        "    PLACE = map_file(None, size, mmap.PROT_READ, flags, file.fileno(), ctypes.c_long(0))\n"
        "STATE = open('/proc/self/maps').read().count('numbers_of')\n"
    )
    assert actions.package(_WHEEL + "print(numbers_of.STATE)\ndef process(a: bytes): return 1\n").printed == "1\n"
    assert actions.warm()


def test_nothing_goes_on_after_a_worker_that_is_killed(tmp_path: Path) -> None:
    if not landlock_version():
        pytest.skip("this kernel has no Landlock: nothing is kept")
    program = f"""
import os, pathlib, sys
sys.path[:] = {sys.path!r}
from chassis.packaging.pickling_worker_test import _PLAIN, Actions
os.chdir({str(tmp_path)!r})
actions = Actions(pathlib.Path({str(tmp_path)!r}))
actions.package(_PLAIN)
(process,) = actions.worker._kept.values()
print(process._process, process._guardian, flush=True)
sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        watched = [os.pidfd_open(int(number)) for number in worker.stdout.readline().split()]
        worker.kill()
    assert len(watched) == 2
    for descriptor in watched:
        assert select.select([descriptor], [], [], 60)[0], "a process goes on"
        os.close(descriptor)
    assert not list((tmp_path / "bazel-out").iterdir())
