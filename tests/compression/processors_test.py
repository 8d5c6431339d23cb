"""The compressors give the same bytes on both machines, on processors with and without each kind of instruction."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.compression.machines import AMD64, ARM64, Machine, emulated, this_machine, unpack_arm64

_SECONDS = 300

# What ISA-L makes at level 3 depends on the processor; this project does not compress with it.
_CONTROL = """
import hashlib
from isal import isal_zlib
from tests.compression.vectors import vectors
streams = [isal_zlib.compress(content, 3, -15) for name, content in vectors() if name.startswith("source")]
print(hashlib.sha256(b"".join(streams)).hexdigest())
"""


@pytest.fixture(scope="module")
def recorded() -> dict[str, str]:
    return json.loads(Path(__file__).with_name("digests.json").read_text())


@pytest.fixture(scope="module")
def arm64_packages(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return unpack_arm64(tmp_path_factory.mktemp("site-packages"))


def _check(machine: Machine, noise: int, recorded: dict[str, str]) -> None:
    found = json.loads(machine.run(["-m", "tests.compression.digests"], noise, _SECONDS))
    others = sorted(name for name in recorded.keys() | found.keys() if found.get(name) != recorded.get(name))
    assert not others, f"other bytes than digests.json has; digests.py says how to record them: {others}"


@pytest.mark.parametrize("noise", [0, 85])
def test_this_processor(recorded: dict[str, str], noise: int) -> None:
    _check(this_machine(), noise, recorded)


@pytest.mark.parametrize("cpu", AMD64)
def test_processors_of_amd64(recorded: dict[str, str], cpu: str) -> None:
    _check(emulated("amd64", cpu), AMD64.index(cpu) + 2, recorded)


@pytest.mark.parametrize("cpu", ARM64)
def test_processors_of_arm64(recorded: dict[str, str], arm64_packages: list[str], cpu: str) -> None:
    _check(emulated("arm64", cpu, arm64_packages), ARM64.index(cpu) + 17, recorded)


def test_the_emulator_plays_processors_that_a_library_tells_apart() -> None:
    assert len({emulated("amd64", cpu).run(["-c", _CONTROL], 0, _SECONDS) for cpu in AMD64[:2]}) == 2
