"""Every CPU that a platform can name: the pinned emulator plays it, and the doctor knows what it can do."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from chassis.doctor.cpu import features_of

_NAMES = {
    (architecture, name): played
    for architecture, names in json.loads(os.environ["CPUS"]).items()
    for name, played in names.items()
}


@pytest.mark.parametrize(("architecture", "name"), _NAMES)
def test_the_doctor_knows_the_cpu(architecture: str, name: str) -> None:
    assert features_of(architecture, name) is not None


@pytest.mark.parametrize(("architecture", "name"), _NAMES)
def test_the_emulator_plays_the_cpu_and_has_nothing_to_warn_of(architecture: str, name: str) -> None:
    assert _start(architecture, _NAMES[architecture, name]) == ""


def test_the_emulator_says_so_where_it_cannot_play_a_cpu() -> None:
    assert "unable to find CPU model" in _start("arm64", "cortex-a78ae")


def _start(architecture: str, cpu: str) -> str:
    """What the emulator says of the CPU: it makes one, then sees that this file is not a program, and ends silently."""
    command = [os.environ[f"QEMU_{architecture.upper()}"], "-cpu", cpu, __file__]
    run = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert run.returncode
    return run.stderr
