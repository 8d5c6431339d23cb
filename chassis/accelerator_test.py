"""Which device a predict function computes on. There is no GPU here: a driver that answers is simulated in Python."""

from __future__ import annotations

import ctypes
import logging
import pickle
import sys
import types
from collections.abc import Iterator

import pytest

from chassis import accelerator, device


class _Driver:
    """What `ctypes.CDLL` gives for a driver that lists `count` devices and starts with the status `init`."""

    def __init__(self, count: int, init: int = 0) -> None:
        self._count, self._init = count, init

    def cuInit(self, flags: int) -> int:
        assert flags == 0
        return self._init

    def cuDeviceGetCount(self, count: object) -> int:
        ctypes.cast(count, ctypes.POINTER(ctypes.c_int))[0] = self._count
        return 0


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(accelerator.ACCELERATOR_VARIABLE, raising=False)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    accelerator._gpu_answers.cache_clear()
    yield
    accelerator._gpu_answers.cache_clear()


def _gpu_image(monkeypatch: pytest.MonkeyPatch, driver: _Driver | None) -> None:
    monkeypatch.setenv(accelerator.ACCELERATOR_VARIABLE, "cuda")
    if driver:
        monkeypatch.setattr(accelerator.ctypes, "CDLL", lambda name: driver)


def test_a_gpu_image_computes_on_the_gpu_that_answers(monkeypatch, caplog):
    _gpu_image(monkeypatch, _Driver(count=1))
    assert device() == "cuda"
    assert not caplog.records


def test_another_image_computes_on_the_cpu_without_asking_the_driver(monkeypatch, caplog):
    monkeypatch.setattr(accelerator.ctypes, "CDLL", lambda name: pytest.fail("asked"))
    assert device() == "cpu"
    assert not caplog.records


@pytest.mark.parametrize(
    ("driver", "reason"),
    [
        (_Driver(count=0, init=100), "libcuda.so.1: cuInit returned 100"),
        (_Driver(count=0), "libcuda.so.1 lists no device"),
    ],
)
def test_a_gpu_image_without_a_gpu_says_so_once_and_computes_on_the_cpu(monkeypatch, caplog, driver, reason):
    _gpu_image(monkeypatch, driver)
    with caplog.at_level(logging.INFO):
        assert [device(), device()] == ["cpu", "cpu"]
    assert [record.getMessage() for record in caplog.records] == [f"no GPU answers, the CPU computes: {reason}"]


def test_a_machine_without_the_driver_is_told_how_it_comes_in(monkeypatch, caplog):
    def missing(name: str) -> object:
        raise OSError(f"{name}: cannot open shared object file")

    _gpu_image(monkeypatch, None)
    monkeypatch.setattr(accelerator.ctypes, "CDLL", missing)
    assert device() == "cpu"
    assert "libcuda.so.1: cannot open shared object file; the container runtime brings the driver in" in caplog.text


def test_pytorch_of_another_cuda_has_the_last_word(monkeypatch, caplog):
    _gpu_image(monkeypatch, _Driver(count=2))
    torch = types.SimpleNamespace(__version__="2.9.1+cpu", cuda=types.SimpleNamespace(is_available=lambda: False))
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert device() == "cpu"
    assert "the driver lists 2, but PyTorch 2.9.1+cpu cannot use any" in caplog.text


def test_a_device_that_was_pickled_on_the_cpu_is_asked_for_anew_in_the_image(monkeypatch):
    pickled = pickle.dumps(device())
    _gpu_image(monkeypatch, _Driver(count=1))
    assert pickle.loads(pickled) == "cuda"
