"""Renews the wheel locks of `//requirements` from its `.in` files, with uv.

Versions that are pinned stay, unless `--upgrade` is given. The locks of the platforms hold the same versions
of what they share, and so do those of the tools. The index is the one that pip, or uv, is configured with.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from absl import flags

from chassis.errors import ChassisError
from chassis.locking.target import AMD64, ARM64
from chassis.locking.uv import Uv, find_uv
from chassis.locking.wheel_lock import LockPlan, renew
from chassis.tools.run import run_main

_UPGRADE = flags.DEFINE_bool("upgrade", False, "Take the newest versions that the requirements allow.")
_DIRECTORY = flags.DEFINE_string("directory", "requirements", "Where the .in files and the locks are.")
_ONLY = flags.DEFINE_multi_string("only", [], "Renew only this lock, such as linux_arm64.")
_UV = flags.DEFINE_string("uv", None, "The uv program; by default that of the Python package uv.")

_COMMAND = "./bazelw run //requirements:update"

_SERVERS = "benchmarks/servers"
_SERVER_NAMES = ("bentoml", "chassisml", "mlserver")


def plans(directory: str, workspace: Path) -> list[LockPlan]:
    """The locks of the project; one that takes versions from another comes after it.

    Those of building from source, tests and benchmarks are left out where `workspace` has no requirements for them.
    """
    model, gpu, tools = (f"{directory}/{name}.in" for name in ("model", "gpu", "tools"))
    amd64 = f"{directory}/linux_amd64.txt"
    others = [
        LockPlan(f"{directory}/build.txt", (f"{directory}/build.in",), AMD64, amd64),
        LockPlan(f"{directory}/zig.txt", (f"{directory}/zig.in",), AMD64),
        *_cross_wheels(amd64),
        *_image_classification(amd64),
        LockPlan(f"{directory}/fuzzing.txt", (f"{directory}/fuzzing.in",), AMD64, amd64),
        LockPlan(
            "tests/wheel_layers/wheels_arm64.txt",
            ("tests/wheel_layers/wheels.in",),
            ARM64,
            f"{directory}/linux_arm64.txt",
        ),
        LockPlan(
            "tests/compression/compressors_arm64.txt",
            ("tests/compression/compressors.in",),
            ARM64,
            f"{directory}/tools.txt",
        ),
        LockPlan("benchmarks/emulated_arm64.txt", ("benchmarks/emulated.in",), ARM64, f"{directory}/build.txt"),
        *(LockPlan(f"{_SERVERS}/{name}.txt", (f"{_SERVERS}/{name}.in",), AMD64) for name in _SERVER_NAMES),
    ]
    return [
        LockPlan(amd64, (model,), AMD64),
        LockPlan(f"{directory}/linux_arm64.txt", (model,), ARM64, amd64),
        LockPlan(f"{directory}/linux_amd64_gpu.txt", (gpu,), AMD64, amd64),
        LockPlan(f"{directory}/linux_arm64_gpu.txt", (gpu,), ARM64, f"{directory}/linux_amd64_gpu.txt"),
        LockPlan(f"{directory}/tools.txt", (tools,), AMD64, amd64),
        *(plan for plan in others if (workspace / plan.inputs[0]).is_file()),
    ]


def _cross_wheels(amd64: str) -> Iterator[LockPlan]:
    """Those of tests/cross_wheels: what an index has as a source only."""
    for target, name in ((AMD64, "amd64"), (ARM64, "arm64")):
        directory = "tests/cross_wheels"
        inputs = (f"{directory}/sdists.in",)
        yield LockPlan(f"{directory}/sdists_{name}.txt", inputs, target, amd64, ("annoy", "crcmod", "cytoolz"))


def _image_classification(amd64: str) -> Iterator[LockPlan]:
    """Those of examples/image_classification: PyTorch for arm64 with and without CUDA, and sample pictures."""
    directory = "examples/image_classification"
    yield LockPlan(f"{directory}/linux_arm64.txt", (f"{directory}/cpu.in",), ARM64, amd64)
    yield LockPlan(f"{directory}/linux_arm64_gpu.txt", (f"{directory}/gpu.in",), ARM64, amd64)
    yield LockPlan(f"{directory}/pictures.txt", (f"{directory}/pictures.in",), AMD64, dependencies=False)


def main(argv: Sequence[str]) -> int:
    """Writes the locks and prints a line for each."""
    del argv
    workspace = Path(os.environ.get("BUILD_WORKSPACE_DIRECTORY", ".")).absolute()
    uv = Uv(Path(_UV.value) if _UV.value else find_uv(), os.environ)
    wanted = [
        plan for plan in plans(_DIRECTORY.value, workspace) if not _ONLY.value or Path(plan.output).stem in _ONLY.value
    ]
    if not wanted:
        known = ", ".join(Path(plan.output).stem for plan in plans(_DIRECTORY.value, workspace))
        raise ChassisError(f"--only names no lock of {_DIRECTORY.value}: there are {known}")
    for plan in wanted:
        locked = renew(plan, workspace, uv, _COMMAND, _UPGRADE.value)
        megabytes = sum(item.wheel.size for item in locked) / 1e6
        print(f"{plan.output}: {len(locked)} wheels, {megabytes:.1f} MB")
    return 0


if __name__ == "__main__":
    run_main(main)
