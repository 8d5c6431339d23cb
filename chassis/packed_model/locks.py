"""Wheel locks of a model's requirements, one a platform."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from chassis.locking.target import AMD64, ARM64, LockTarget
from chassis.locking.uv import Uv, find_uv
from chassis.locking.wheel_lock import LockPlan, renew

TARGETS: dict[str, LockTarget] = {
    "linux_amd64": AMD64,
    "linux_amd64_gpu": AMD64,
    "linux_arm64": ARM64,
    "linux_arm64_gpu": ARM64,
}

_COMMAND = "ChassisModel.save"


def write_locks(
    directory: Path,
    requirements: Sequence[str],
    locks: Sequence[str],
    inputs: str = "requirements.in",
    sdists: Sequence[str] = (),
    environment: Mapping[str, str] = os.environ,
) -> None:
    """Writes `requirements/NAME.txt` for each of `locks` below `directory`, whose file `inputs` has the requirements.

    Of `sdists` the sources are locked instead of a wheel. The index is the one that `environment` configures pip with.

    Locks share versions if they can: each takes those of the first.

    Raises:
      ChassisError: with uv's explanation: a requirement that does not exist, that conflicts, or that has no wheel.
    """
    place = directory / "requirements"
    place.mkdir(exist_ok=True)
    (place / "BUILD.bazel").write_text('exports_files(glob(["*.txt"]))\n')
    if not requirements:
        for name in locks:
            (place / f"{name}.txt").write_text("# The model requires nothing.\n")
        return
    uv = Uv(find_uv(), environment)
    first: str | None = None
    for name in locks:
        output = f"requirements/{name}.txt"
        renew(LockPlan(output, (inputs,), TARGETS[name], first, tuple(sdists)), directory, uv, _COMMAND)
        first = first or output
