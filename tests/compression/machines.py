"""The Pythons that the compressors are tried with: this machine's, and both machines' under their emulators.

Their paths come from the environment: `PYTHON_AMD64`, `PYTHON_ARM64`, `QEMU_AMD64`, `QEMU_ARM64`, and the wheels of
arm64, `ARM64_DEFLATE`, `ARM64_ISAL`, `ARM64_ZSTANDARD`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from chassis.declaration.pythons import TOOLS_PYTHON

_WORKSPACE = Path(__file__).parents[2]
_PACKAGES = ("deflate", "isal", "zstandard")
_PLACES = {
    "amd64": ("x86_64-linux-gnu", "ld-linux-x86-64.so.2"),
    "arm64": ("aarch64-linux-gnu", "ld-linux-aarch64.so.1"),
}

AMD64 = (
    "max",
    "max,-avx2,-bmi2",
    "max,-avx2,-bmi2,-bmi1,-fma,-avx,-f16c",
    "max,-avx2,-bmi2,-bmi1,-fma,-avx,-f16c,-pclmulqdq",
    "max,-avx2,-bmi2,-bmi1,-fma,-avx,-f16c,-pclmulqdq,-sse4.2,-sse4.1,-popcnt",
    "qemu64,-ssse3,-pni",
)
"""Each lacks what the one before it has, down to what every amd64 has."""

ARM64 = ("max", "max,sve=off", "cortex-a57")


@dataclass(frozen=True, slots=True)
class Machine:
    """How a Python is started, and the environment that it needs."""

    command: tuple[str, ...]
    environment: dict[str, str]

    def run(self, arguments: list[str], noise: int, timeout: float) -> str:
        """What the program prints; the heap's memory is filled with the byte `noise`, inverted, unless that is 0.

        Raises:
          RuntimeError: it ends with another status than 0.
        """
        done = subprocess.run(
            [*self.command, *arguments],
            env=self.environment | {"MALLOC_PERTURB_": str(noise), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(self.command[:3])} …: ended with status {done.returncode}:\n{done.stderr}")
        return done.stdout


def this_machine() -> Machine:
    """The Python that runs, on the processor that there is."""
    environment = {name: os.environ[name] for name in ("PYTHONHOME", "LD_LIBRARY_PATH") if name in os.environ}
    return Machine((sys.executable, "-S", "-P"), environment | {"PYTHONPATH": _path(_installed())})


def emulated(architecture: str, cpu: str, packages: list[str] | None = None) -> Machine:
    """That machine's Python with the directories `packages` of wheels, by default those that are imported here."""
    root = Path(os.environ[f"PYTHON_{architecture.upper()}"])
    triple, loader = _PLACES[architecture]
    libraries = f"{root}/lib/{triple}:{root}/usr/lib/{triple}"
    python = (
        f"{root}/lib/{triple}/{loader}",
        "--library-path",
        libraries,
        f"{root}/usr/bin/python{TOOLS_PYTHON}",
        "-S",
        "-P",
    )
    environment = {"PYTHONHOME": f"{root}/usr", "PYTHONPATH": _path(packages or _installed())}
    return Machine((os.environ[f"QEMU_{architecture.upper()}"], "-cpu", cpu, *python), environment)


def unpack_arm64(place: Path) -> list[str]:
    """Unpacks the wheels of arm64, for `emulated`."""
    for package in _PACKAGES:
        with zipfile.ZipFile(os.environ[f"ARM64_{package.upper()}"]) as wheel:
            wheel.extractall(place)
    return [str(place)]


def _installed() -> list[str]:
    """Where the packages lie, and nothing else: an emulated Python would look for each module in all of it."""
    return [entry for entry in sys.path if any(Path(entry, name).is_dir() for name in _PACKAGES)]


def _path(packages: list[str]) -> str:
    return os.pathsep.join([str(_WORKSPACE), *packages])
