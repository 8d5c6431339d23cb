"""The fuzz targets on their seeds, on what they once found, and on changes of both: the same inputs each time."""

from __future__ import annotations

import base64
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuzz import package_target, tar_target, wheel_target
from tests.fuzz.recipes import seeds

_TARGETS: dict[str, Callable[[bytes, Path], bool]] = {
    "wheel": wheel_target.check,
    "deb": package_target.check,
    "tar": tar_target.check,
}
_CHANGED = 60


def _found(target: str) -> list[bytes]:
    """Inputs that once showed a fault, a line each, Base64."""
    lines = Path(__file__).with_name("found.txt").read_text().splitlines()
    return [base64.b64decode(line.split(" ")[1]) for line in lines if line.startswith(f"{target} ")]


def _changed(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        position = chance.randrange(len(changed))
        changed[position : position + chance.randint(0, 2)] = chance.randbytes(chance.randint(0, 2))
    return bytes(changed)


@pytest.mark.parametrize("target", _TARGETS)
def test_no_input_does_what_it_must_not(target: str, tmp_path: Path) -> None:
    chance = random.Random(target)
    inputs = seeds()[target] + _found(target)
    inputs += [_changed(chance.choice(inputs), chance) for _ in range(_CHANGED)]
    inputs += [b"\1" + chance.randbytes(chance.randint(1, 200)) for _ in range(_CHANGED)]
    taken = 0
    for number, data in enumerate(inputs):
        folder = tmp_path / str(number)
        taken += _TARGETS[target](data, folder)
        shutil.rmtree(folder)
    assert 0 < taken < len(inputs)
