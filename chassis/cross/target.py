"""What a wheel is built for: a CPU and a glibc, under the names that compilers, wheels and Python give them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from chassis.declaration.platforms import MACHINES
from chassis.declaration.pythons import DEFAULT_PYTHON, version_tuple
from chassis.errors import ChassisError


@dataclass(frozen=True, slots=True)
class CrossTarget:
    """CPython `python` (major, minor) on Linux of the OCI architecture, with glibc 2.`glibc_minor` or newer."""

    architecture: str
    glibc_minor: int
    python: tuple[int, int] = version_tuple(DEFAULT_PYTHON)

    @property
    def machine(self) -> str:
        """The CPU as `uname -m` and wheel tags have it: x86_64 or aarch64."""
        return MACHINES[self.architecture].machine

    @property
    def triple(self) -> str:
        """As compilers and Debian's directories have it: aarch64-linux-gnu."""
        return MACHINES[self.architecture].triplet

    @property
    def zig_triple(self) -> str:
        """As zig has it, with the glibc: aarch64-linux-gnu.2.28."""
        return f"{self.triple}.2.{self.glibc_minor}"

    @property
    def platform_tag(self) -> str:
        """The wheel platform of what is built here (PEP 600): manylinux_2_28_aarch64."""
        return f"manylinux_2_{self.glibc_minor}_{self.machine}"

    @property
    def extension_suffix(self) -> str:
        """What extension modules end in: .cpython-311-aarch64-linux-gnu.so."""
        return f".cpython-{self.python[0]}{self.python[1]}-{self.triple}.so"

    @property
    def python_version(self) -> str:
        """`3.11`."""
        return f"{self.python[0]}.{self.python[1]}"


def cross_target(architecture: str, glibc: str, python: str = DEFAULT_PYTHON) -> CrossTarget:
    """The target of an architecture as OCI names it, a glibc such as `2.28` and a Python such as `3.11`.

    Raises:
      ChassisError: there is no such target.
    """
    if architecture not in MACHINES:
        raise ChassisError(f"{architecture!r} is not an architecture to build for; there are {', '.join(MACHINES)}")
    minor = re.fullmatch(r"2\.(\d+)", glibc)
    version = re.fullmatch(r"3\.(\d+)", python)
    if not minor or not version:
        raise ChassisError(f"glibc {glibc!r} and Python {python!r}: expected the form 2.28 and 3.11")
    return CrossTarget(architecture, int(minor[1]), (3, int(version[1])))
