"""A model that starts a program for each of its inputs."""

from __future__ import annotations

import json
import subprocess
import sys

_PROGRAM = "import json, platform, sys; print(json.dumps([platform.machine(), sum(json.load(sys.stdin))]))"


def predict(numbers: bytes) -> list[object]:
    """The machine that the program sees, and the sum of the numbers, JSON."""
    return json.loads(
        subprocess.run([sys.executable, "-c", _PROGRAM], input=numbers, capture_output=True, check=True).stdout
    )
