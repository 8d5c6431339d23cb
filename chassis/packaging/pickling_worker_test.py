"""Tests of chassis.packaging.pickling_worker: models one after the other give what each gives alone."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chassis.packaging.errors import PackagingError
from chassis.packaging.pickling_actions import PLAIN, WHEEL, Actions, actions_in
from chassis.packaging.sample_models import written


@pytest.fixture
def actions(tmp_path: Path) -> Iterator[Actions]:
    with actions_in(tmp_path) as made:
        yield made


_MODELS = {
    "plain": PLAIN,
    "no wheel": "import json\ndef process(a: bytes):\n    return json.loads(a)\n",
    "names": "import numbers_of\nimport xml.dom.minidom, os.path as p\nfrom xml.dom import minidom\n"
    "NAMES = ['numbers_of', 'xml.dom', 'minidom', p.__name__, numbers_of.__name__]\n"
    "def process(a: bytes):\n    return NAMES, minidom, xml.dom.minidom, numbers_of, numbers_of.__name__\n",
    "class": WHEEL + "class A:\n    K = {None, 'a', 1}\n    def f(self): return numbers_of\n"
    "def process(a: bytes):\n    return A().f(), {x for x in A.K}\n",
    "annotated": '"""A model."""\nfrom __future__ import annotations\nimport numbers_of\nimport functools\n'
    "@functools.lru_cache\ndef half(a: int) -> float: return a / 2\n"
    "def process(a: bytes) -> float: return half(len(a))\n",
}


@pytest.mark.parametrize("name", _MODELS)
def test_a_model_after_others_gives_the_bytes_that_it_gives_alone(actions: Actions, name: str) -> None:
    expected = actions.alone(_MODELS[name])
    actions.package(PLAIN, "other")
    assert actions.warm()
    assert actions.package(_MODELS[name]) == expected
    kept = actions.warm()
    assert actions.package(_MODELS[name]) == expected
    assert actions.warm() == kept


def test_data_is_there_and_what_is_printed_is_told(actions: Actions) -> None:
    source = WHEEL + (
        "from chassis import data_path\nFOUND = open(data_path('key')).read()\nprint('read', FOUND)\n"
        "def process(a: bytes): return FOUND\n"
    )
    expected = actions.alone(source, data={"key": b"value"})
    assert "read value" in expected.printed
    assert actions.package(source, data={"key": b"value"}) == expected
    assert actions.warm()


def test_a_model_with_more_than_is_copied_is_packaged_by_processes_of_its_own(actions: Actions) -> None:
    source = WHEEL + (
        "import os\nfrom chassis import data_path\nSIZE = os.path.getsize(data_path('key'))\n"
        "def process(a: bytes): return SIZE\n"
    )
    data = {"key": bytes((64 << 20) + 1)}
    assert actions.package(source, data=data) == actions.alone(source, data=data)
    assert not actions.warm()


def test_a_worker_in_a_sandbox_keeps_a_process_that_writes_nothing_there(tmp_path: Path) -> None:
    directory = tmp_path / "bazel-workers" / "worker-1-PickleModel" / "main"
    directory.mkdir(parents=True)
    with actions_in(directory) as actions:
        program = written(directory / "tool.runfiles" / "tool.py", b"the worker's own")
        attack = f"STATE = []\ntry: open({str(program)!r}, 'a').close(); STATE.append(1)\nexcept OSError: pass\n"
        actions.wheel(attack)
        for _ in range(2):
            shows = WHEEL + "print(numbers_of.STATE)\ndef process(a: bytes): return 1\n"
            assert actions.package(shows).printed == "[]\n"
            assert actions.warm()
            for path in [*directory.glob("bazel-out/*"), *directory.parent.glob("chassis*")]:  # as Bazel does
                shutil.rmtree(path)
        actions.wheel("STATE = []\n")
        assert actions.package(PLAIN) == actions.alone(PLAIN)
        actions.worker.stop()
        assert [path.name for path in (tmp_path / "bazel-workers").iterdir()] == ["worker-1-PickleModel"]


def test_nothing_is_left_of_a_worker_that_stops(actions: Actions) -> None:
    actions.package(PLAIN)
    assert actions.warm()
    assert list((actions.root / "bazel-out").iterdir())
    actions.worker.stop()
    assert not list((actions.root / "bazel-out").iterdir())
    actions.wheel("FILE = open(__file__)\nSTATE = []\n")
    actions.package(PLAIN)
    assert not actions.warm()
    assert not list((actions.root / "bazel-out").iterdir())


def test_of_what_a_model_writes_the_end_alone_is_read(actions: Actions) -> None:
    source = WHEEL + (
        "import os\nos.ftruncate(1, 1 << 40)\nprint('the end', flush=True)\ndef process(a: bytes): return 1\n"
    )
    for _ in range(2):
        assert actions.package(source).printed.endswith("the end\n")
        assert actions.warm()


def test_an_error_is_that_of_a_process_of_its_own_and_the_worker_goes_on(actions: Actions) -> None:
    broken = WHEEL + "import missing\ndef process(a: bytes): return 1\n"
    with pytest.raises(PackagingError) as alone:
        actions.alone(broken)
    with pytest.raises(PackagingError) as error:
        actions.package(broken)
    assert str(error.value) == str(alone.value)
    ends = WHEEL + "import os\nos._exit(3)\n"
    with pytest.raises(PackagingError, match="ended with status 3"):
        actions.package(ends)
    assert actions.package(PLAIN) == actions.alone(PLAIN)


def test_another_content_of_a_wheel_is_imported_anew(actions: Actions) -> None:
    source = WHEEL + "FOUND = list(numbers_of.STATE)\ndef process(a: bytes): return FOUND\n"
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
        assert actions.package(PLAIN) == actions.alone(PLAIN)
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
    assert actions.package(WHEEL + "print(numbers_of.STATE)\ndef process(a: bytes): return 1\n").printed == "1\n"
    assert actions.warm()


def test_nothing_goes_on_after_a_worker_that_is_killed(actions: Actions) -> None:
    program = f"""
import os, pathlib, sys
sys.path[:] = {sys.path!r}
from chassis.packaging.pickling_actions import PLAIN, Actions
actions = Actions(pathlib.Path.cwd())
actions.package(PLAIN)
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
    assert not list((actions.root / "bazel-out").iterdir())
