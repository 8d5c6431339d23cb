"""The platforms that wheels are locked for, and which wheel of a release fits one best.

Tags: https://packaging.python.org/en/latest/specifications/platform-compatibility-tags/
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

from chassis.declaration.wheel_target import platform_tags
from chassis.errors import ChassisError

_UV_NEWEST_GLIBC = 40


@dataclass(frozen=True, slots=True)
class LockTarget:
    """What wheels have to run on: CPython `python` (major, minor) on Linux with glibc 2.`glibc_minor`.

    `machine` is the CPU as wheel tags spell it: x86_64 or aarch64.
    """

    machine: str
    python: tuple[int, int]
    glibc_minor: int

    @property
    def uv_platform(self) -> str:
        """The target as `uv --python-platform` spells it."""
        return f"{self.machine}-manylinux_2_{min(self.glibc_minor, _UV_NEWEST_GLIBC)}"

    @property
    def python_version(self) -> str:
        """`3.11`."""
        return ".".join(map(str, self.python))

    def tags(self) -> Iterator[Tag]:
        """Every tag that the target takes, the most specific first."""
        platforms = platform_tags(self.machine, self.glibc_minor)
        interpreter = f"cp{self.python[0]}{self.python[1]}"
        yield from cpython_tags(self.python, [interpreter], platforms)
        yield from compatible_tags(self.python, interpreter, platforms)

    def best(self, filenames: list[str]) -> str:
        """The wheel of the most specific tag among `filenames`, of equal ones the highest build tag, then
        name.

        Raises `ChassisError` if none runs on the target.
        """
        rank = {tag: number for number, tag in enumerate(self.tags())}
        fitting = []
        for filename in filenames:
            _, _, build, tags = parse_wheel_filename(filename)
            ranks = [rank[tag] for tag in tags if tag in rank]
            if ranks:
                fitting.append((-min(ranks), build, filename))
        if not fitting:
            raise ChassisError(
                f"of its wheels ({', '.join(sorted(filenames)) or 'there are none'}) none runs on "
                f"CPython {self.python_version}, {self.machine}, glibc 2.{self.glibc_minor}"
            )
        return max(fitting)[2]
