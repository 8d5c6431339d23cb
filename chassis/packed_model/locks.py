"""Wheel locks of a model's requirements, one a platform."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from chassis.declaration.platforms import MACHINES, PLATFORMS
from chassis.declaration.pythons import DEFAULT_PYTHON, IMAGE_PYTHONS, version_tuple
from chassis.locking.staleness import made_from
from chassis.locking.target import LockTarget
from chassis.locking.uv import Uv, find_uv
from chassis.locking.wheel_lock import LockPlan, renew

_MACHINES = {platform.lock: MACHINES[platform.architecture].machine for platform in PLATFORMS.values()}
_COMMAND = "bazel run //:locks"


def write_locks(
    directory: Path,
    requirements: Sequence[str],
    locks: Sequence[str],
    inputs: str = "requirements.in",
    sdists: Sequence[str] = (),
    environment: Mapping[str, str] = os.environ,
    python: str = DEFAULT_PYTHON,
    check: Callable[[], None] = lambda: None,
    command: str = _COMMAND,
) -> None:
    """Writes `requirements/NAME.txt` for each of `locks` below `directory`, whose file `inputs` has the requirements.

    They are for images with Python `python`. Of `sdists` the sources are locked instead of a wheel. The index is the
    one that `environment` configures pip with.

    Locks share versions if they can: each takes those of the first. `check` is called several times a second, and
    may raise to end it. `command` is what the locks say to renew them with.

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
    uv = Uv(find_uv(), environment, check)
    first: str | None = None
    for name in locks:
        output = f"requirements/{name}.txt"
        glibc_minor = version_tuple(IMAGE_PYTHONS[python].glibc)[1]
        target = LockTarget(_MACHINES[name], version_tuple(python), glibc_minor)
        plan = LockPlan(output, (inputs,), target, first, tuple(sdists))
        renew(plan, directory, uv, command, made_from=made_from(plan, directory))
        first = first or output
