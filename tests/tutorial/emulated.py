"""How an arm64 image is tried here: under emulation, as the CPU of a Jetson Nano."""

from __future__ import annotations

import os
from pathlib import Path

from chassis.image_test.case_file import read_cases
from chassis.image_test.image_check import Plan
from chassis.sandbox.ladder import Tools


def plan(layout: Path, case: Path, seconds: float = 300.0) -> Plan:
    """The plan of the cases in a file, with that time for the server's start, and for each case."""
    return Plan(
        layout=layout,
        tools=Tools(Path(os.environ["BWRAP"]), Path(os.environ["PROOT"])),
        cases=read_cases(case),
        emulator=Path(os.environ["QEMU"]),
        emulator_cpu="cortex-a57",
        startup_seconds=seconds,
        case_seconds=seconds,
    )
