"""One source gives one pickle, whichever Python made it."""

from __future__ import annotations

import os
import pickletools
from pathlib import Path


def _pickle(variable: str) -> bytes:
    return Path(os.environ[variable]).read_bytes()


def test_the_emulated_python_of_the_target_makes_the_bytes_that_the_build_machine_makes():
    content = _pickle("PICKLED_ON_EXEC")
    assert b"Scorer" in content
    assert _pickle("PICKLED_ON_ARM64") == content
    assert _pickle("PICKLED_ON_AMD64") == content


def test_the_device_is_pickled_as_a_question():
    names = [
        argument for _, argument, _ in pickletools.genops(_pickle("PICKLED_ON_ARM64")) if isinstance(argument, str)
    ]
    assert "chassis.accelerator" in names
