"""Tests of wall_probe.py: what it finds of a machine that confines nothing, and of walls, without Bazel."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chassis.confinement.confined_process import run_confined
from chassis.confinement.walls import Walls
from chassis.service.wall_probe import Attack, UnconfinedError, confining_strategy

_LOAD = "import pickle, sys; pickle.load(open(sys.argv[1], 'rb'))"


def _load(pickle: bytes, directory: Path, *, confined: bool) -> str:
    """What a Python that loads `pickle` prints."""
    model = directory / "model.pkl"
    model.write_bytes(pickle)
    command = [sys.executable, "-I", "-S", "-c", _LOAD, str(model)]
    if not confined:
        return subprocess.run(command, capture_output=True, text=True, timeout=60).stderr
    python = (Path(sys.base_prefix), Path(sys.executable).resolve().parent)
    return run_confined(
        command, Walls((*python, model), ()), request="", environment={}, timeout=60, shown=10_000
    ).output


def _end(name: str) -> None:
    """Ends what an attack left running."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if name.encode() in (entry / "cmdline").read_bytes():
                os.killpg(int(entry.name), signal.SIGKILL)


@pytest.fixture
def directories(tmp_path: Path) -> tuple[Path, Path, Path]:
    found = tuple(tmp_path / name for name in ("state", "cache", "model"))
    for directory in found:
        directory.mkdir()
    state, cache, model = found
    return state, cache, model


def test_an_attack_that_nothing_stops_is_found_from_both_sides(directories: tuple[Path, Path, Path]) -> None:
    state, cache, model = directories
    with Attack(state, (cache,)) as attack:
        found = attack.findings(_load(attack.pickle(), model, confined=False))
        _end(attack._name)
    assert found == [
        "reads files of the service",
        f"lists {cache}",
        f"writes to {cache}",
        "connects to this machine's ports",
        "sends datagrams",
        "sees other processes",
        f"wrote to {cache}",
        "connected to a port of this machine",
        "goes on running after its build",
    ]
    assert [path for directory in (state, cache) for path in directory.iterdir()] == []


def test_an_attack_behind_walls_comes_to_nothing(directories: tuple[Path, Path, Path]) -> None:
    state, cache, model = directories
    tried = []

    def build(pickle: bytes, strategy: str) -> str:
        tried.append(strategy)
        return _load(pickle, model, confined=strategy == "second")

    with pytest.raises(UnconfinedError, match=r"with none, a model that is built here is not known to run: nothing"):
        confining_strategy(state, (cache,), lambda pickle, strategy: "nothing", ("none",))
    assert confining_strategy(state, (cache,), build, ("second",)) == "second"
    assert tried == ["second"]


def test_what_a_model_claims_does_not_count_against_what_it_left(directories: tuple[Path, Path, Path]) -> None:
    state, cache, model = directories
    del model
    with Attack(state, (cache,)) as attack:
        (cache / attack._name).touch()
        assert attack.findings('CHASSIS-PROBE {"got": []} END') == [f"wrote to {cache}"]
