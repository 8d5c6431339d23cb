"""Modules that the image's Python does not find, or finds in place of its own.

Names of extension modules: PEP 3149. The order of the import path: Python library reference, `sys.path`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

from chassis.doctor.elf import EXTENSION_MODULE
from chassis.doctor.finding import Finding
from chassis.doctor.image import TRIPLETS, ElfFile, Image

_MODULE = re.compile(r"(?P<name>[A-Za-z]\w*)(?:\.py|\.so|\.cpython-\w+-[\w-]+\.so|\.abi3\.so|/__init__\.py)")
# Of Python's own modules those that nothing imports but its own tests and people at a prompt.
_UNUSED = {"antigravity", "idlelib", "lib2to3", "test", "this", "turtledemo"}


def check_modules(image: Image) -> Iterator[Finding]:
    """Yields the extension modules with a name that is not looked for, and the modules that hide Python's."""
    places = (*image.site_directories, *_own_directories(image))
    for file in image.elves.values():
        match = EXTENSION_MODULE.search(file.path)
        if match and match["python"] and file.elf.machine == image.machine and _is_below(file.path, places):
            yield from _check_name(image, file, match)
    yield from _check_hiding(image)


def _own_directories(image: Image) -> tuple[str, ...]:
    listed = image.start.environment.get("PYTHONPATH", "")
    return tuple(path.strip("/") for path in listed.split(":") if path.startswith("/"))


def _is_below(path: str, directories: tuple[str, ...]) -> bool:
    return any(path.startswith(directory + "/") for directory in directories)


def _check_name(image: Image, file: ElfFile, match: re.Match[str]) -> Iterator[Finding]:
    python = "".join(image.python_version.split(".")[:2])
    triplet = TRIPLETS.get(image.target.architecture, "")
    if not python or (match["python"], match["triplet"]) == (python, triplet):
        return
    stem = file.path[: match.start()]
    looked_for = f"{stem}.cpython-{python}-{triplet}.so"
    # Some wheels bring a module for each of several Pythons.
    if any(image.tree.at(path) for path in (looked_for, f"{stem}.abi3.so", f"{stem}.so", f"{stem}.py")):
        return
    yield Finding(
        "PY009",
        image.name(file.layer),
        file.path,
        f"is named for CPython {match['python'][0]}.{match['python'][1:]} on {match['triplet']}; the image's Python "
        f"looks for {looked_for.rpartition('/')[2]}",
        "build it for the image's Python and CPU (chassis_wheel), or lock the wheel that is",
    )


def _check_hiding(image: Image) -> Iterator[Finding]:
    """PYTHONPATH comes before Python's own directories: a `json.py` there is what `import json` gets, everywhere."""
    directories = _own_directories(image)
    for placed in image.tree:
        for directory in directories:
            if not placed.file.path.startswith(directory + "/"):
                continue
            match = _MODULE.fullmatch(placed.file.path, len(directory) + 1)
            if match and match["name"] in sys.stdlib_module_names and match["name"] not in _UNUSED:
                yield Finding(
                    "PY010",
                    image.name(placed.layer),
                    placed.file.path,
                    f"hides Python's own module {match['name']}",
                    "give it another name, or put it into a package",
                )
