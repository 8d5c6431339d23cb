"""What wheels and their markers see of an image: CPython on a glibc Linux.

Starlark has the tables in rules/private/declaration/declared.bzl, and a test compares what it makes of them.
"""

from __future__ import annotations

MARKERS = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_python_implementation": "CPython",
    "platform_release": "",
    "platform_system": "Linux",
    "platform_version": "",
    "sys_platform": "linux",
}
"""The variables of markers that are the same in every image (PyPA, "Dependency specifiers")."""

OLDEST_GLIBC = {"x86_64": 5, "aarch64": 17}
"""The oldest glibc 2.x that wheels of a machine are made for (PEP 600)."""

OLDER_TAGS = {5: "manylinux1", 12: "manylinux2010", 17: "manylinux2014"}
"""By glibc 2.x, the older name of its platform tag (PEP 600)."""


def marker_environment(machine: str, python: str) -> dict[str, str]:
    """The variables of markers as an image has them.

    Args:
      machine: the CPU as `uname -m` has it.
      python: the whole version of the image's Python, such as 3.11.2.
    """
    return MARKERS | {
        "implementation_version": python,
        "platform_machine": machine,
        "python_full_version": python,
        "python_version": ".".join(python.split(".")[:2]),
    }


def platform_tags(machine: str, glibc_minor: int) -> list[str]:
    """The platform tags of wheels that run on glibc 2.`glibc_minor`, the most specific first."""
    tags = []
    for minor in range(glibc_minor, OLDEST_GLIBC[machine] - 1, -1):
        tags.append(f"manylinux_2_{minor}_{machine}")
        if minor in OLDER_TAGS:
            tags.append(f"{OLDER_TAGS[minor]}_{machine}")
    return [*tags, f"linux_{machine}"]
