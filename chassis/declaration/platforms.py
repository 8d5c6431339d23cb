"""The platforms and machines that images are made for, under the names that each format gives them."""

from __future__ import annotations

from typing import NamedTuple


class Machine(NamedTuple):
    """A CPU architecture.

    Attributes:
      architecture: as OCI and Debian have it.
      machine: as `uname -m`, wheel tags, ELF tools and Bazel's constraints have it.
      triplet: as Debian's directories and compilers have it.
      loader: the dynamic loader's path in a root file system.
    """

    architecture: str
    machine: str
    triplet: str
    loader: str


MACHINES = {
    "amd64": Machine("amd64", "x86_64", "x86_64-linux-gnu", "lib64/ld-linux-x86-64.so.2"),
    "arm64": Machine("arm64", "aarch64", "aarch64-linux-gnu", "lib/ld-linux-aarch64.so.1"),
}
"""By architecture."""


class Platform(NamedTuple):
    """A platform of `@chassis//platforms`.

    Attributes:
      name: its target there.
      architecture: a key of `MACHINES`.
      cuda: whether it has CUDA.
      lock: the name of its wheel lock.
    """

    name: str
    architecture: str
    cuda: bool
    lock: str


PLATFORMS = {
    platform.name: platform
    for platform in (
        Platform("amd64", "amd64", False, "linux_amd64"),
        Platform("amd64_gpu", "amd64", True, "linux_amd64_gpu"),
        Platform("arm64", "arm64", False, "linux_arm64"),
        Platform("arm64_gpu", "arm64", True, "linux_arm64_gpu"),
    )
}
"""By name."""


def platform_name(architecture: str, cuda: bool) -> str:
    """The platform of an architecture, with CUDA or without."""
    return next(one.name for one in PLATFORMS.values() if (one.architecture, one.cuda) == (architecture, cuda))
