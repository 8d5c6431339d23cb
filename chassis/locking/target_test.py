"""Tests of target.py."""

from __future__ import annotations

import pytest

from chassis.errors import ChassisError
from chassis.locking.target import AMD64, ARM64, LockTarget

# Wheels of one release, the target, and the one to take.
_BEST = [
    (["p-1-py3-none-any.whl", "p-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"], AMD64, 1),
    (["p-1-cp311-cp311-manylinux_2_17_aarch64.whl", "p-1-cp311-cp311-manylinux_2_28_aarch64.whl"], ARM64, 1),
    (["p-1-cp311-cp311-manylinux_2_28_aarch64.whl", "p-1-cp311-cp311-manylinux_2_39_aarch64.whl"], ARM64, 0),
    (["p-1-cp39-abi3-manylinux2014_aarch64.whl", "p-1-cp311-cp311-manylinux2014_aarch64.whl"], ARM64, 1),
    (["p-1-cp39-abi3-manylinux2014_aarch64.whl", "p-1-cp312-cp312-manylinux2014_aarch64.whl"], ARM64, 0),
    (["p-1-cp310-abi3-manylinux2014_x86_64.whl", "p-1-cp39-abi3-manylinux2014_x86_64.whl"], AMD64, 0),
    (["p-1-py2.py3-none-any.whl", "p-1-py3-none-manylinux1_x86_64.whl"], AMD64, 1),
    (["p-1-1-py3-none-any.whl", "p-1-2-py3-none-any.whl", "p-1-py3-none-any.whl"], AMD64, 1),
    (["p-1-cp311-cp311-musllinux_1_2_x86_64.whl", "p-1-cp311-none-any.whl"], AMD64, 1),
    (["p-1-cp311-cp311-manylinux2010_x86_64.whl", "p-1-cp311-cp311-win_amd64.whl"], AMD64, 0),
]

_NONE = [
    (["p-1-cp311-cp311-manylinux2014_x86_64.whl"], ARM64),
    (["p-1-cp312-cp312-manylinux2014_x86_64.whl"], AMD64),
    (["p-1-cp311-cp311-manylinux_2_37_x86_64.whl"], AMD64),
    (["p-1-cp311-cp311-macosx_11_0_arm64.whl", "p-1-cp311-cp311-musllinux_1_2_aarch64.whl"], ARM64),
    ([], AMD64),
]


def test_the_most_specific_wheel_that_runs_is_taken() -> None:
    for filenames, target, expected in _BEST:
        assert target.best(filenames) == filenames[expected]
        assert target.best(filenames[::-1]) == filenames[expected]


def test_no_wheel_is_taken_that_does_not_run() -> None:
    for filenames, target in _NONE:
        with pytest.raises(ChassisError, match=f"CPython 3.11, {target.machine}, glibc 2.36"):
            target.best(filenames)


def test_a_target_is_spelled_as_uv_spells_it() -> None:
    assert ARM64.uv_platform == "aarch64-manylinux_2_36"
    assert LockTarget("x86_64", (3, 12), 28).uv_platform == "x86_64-manylinux_2_28"
    assert AMD64.python_version == "3.11"
