"""An image as the doctor sees it: its layers' facts, how it starts, and what it is for."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property

from chassis.declaration import platforms
from chassis.doctor.elf import Elf
from chassis.doctor.facts import Distribution, LayerFacts, Start
from chassis.doctor.image_tree import ImageTree, Placed

MACHINES = {"amd64": "EM_X86_64", "arm64": "EM_AARCH64"}
"""OCI's name of an architecture to the gABI's of its machine."""

TRIPLETS = {name: one.triplet for name, one in platforms.MACHINES.items()}
"""OCI's name of an architecture to the directory that Debian calls after it."""

PYTHON_MACHINES = {name: one.machine for name, one in platforms.MACHINES.items()}
"""OCI's name of an architecture to `platform.machine()`'s."""

_PROGRAM = re.compile(r".*bin/python(3\.\d+)")
_WITHIN_PACKAGES = re.compile(r"/(site|dist)-packages/")
_SITE = re.compile(r"^(.*)/lib/python(\d+\.\d+)/(site|dist)-packages$")


@dataclass(frozen=True, slots=True)
class ImageTarget:
    """What an image is for: `accelerator` is none or cuda, `cpu` the platform's least CPU by QEMU's name ("" for the
    architecture's baseline), `features` what the model's own code needs of a CPU, such as avx2 or sve.
    """

    architecture: str
    variant: str = ""
    accelerator: str = "none"
    cpu: str = ""
    features: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ElfFile:
    """An ELF file of the image: `layer` is its layer's number."""

    layer: int
    path: str
    elf: Elf


class Image:
    """An image, with what several checks ask of it."""

    def __init__(self, target: ImageTarget, start: Start, layers: tuple[LayerFacts, ...]) -> None:
        self.target = target
        self.start = start
        self.layers = layers
        self.tree = ImageTree(layers)

    @property
    def machine(self) -> str:
        """The gABI's name of the image's machine."""
        return MACHINES.get(self.target.architecture, self.target.architecture)

    @cached_property
    def elves(self) -> dict[str, ElfFile]:
        """Every ELF file that the upper layers leave in place, by its path."""
        return {
            path: ElfFile(number, path, elf)
            for number, layer in enumerate(self.layers)
            for path, elf in layer.elves
            if self.is_in_place(number, path)
        }

    def is_in_place(self, layer: int, path: str) -> bool:
        """Whether `path` is that layer's, and no upper layer hides it."""
        placed = self.tree.at(path)
        return placed is not None and placed.layer == layer

    def elf_at(self, path: str) -> ElfFile | None:
        """The ELF file that a path leads to, links followed."""
        real = self.tree.resolve(path)
        return self.elves.get(real) if real is not None else None

    def libraries_named(self, name: str) -> list[ElfFile]:
        """The ELF files that have a library's name, as DT_SONAME or as a file."""
        return self._by_name.get(name, [])

    @cached_property
    def _by_name(self) -> dict[str, list[ElfFile]]:
        found: dict[str, list[ElfFile]] = defaultdict(list)
        for file in self.elves.values():
            for name in {file.elf.soname, file.path.rpartition("/")[2]} - {""}:
                found[name].append(file)
        return found

    @cached_property
    def site_directories(self) -> tuple[str, ...]:
        """The directories of installed packages that the image's Python imports from.

        If there are virtual environments, theirs; the base's own too if one says so.
        """
        found = {
            place: None
            for layer in self.layers
            for item in layer.distributions
            if self._imports_from(place := item.path.rpartition("/")[0])
        }
        environments = {
            path: shared
            for number, layer in enumerate(self.layers)
            for path, shared in layer.virtual_environments
            if self.is_in_place(number, f"{path}/pyvenv.cfg".lstrip("/"))
        }
        if not environments or any(environments.values()):
            return tuple(found)
        return tuple(
            path for path in found if not _is_of_base(path) or (_SITE.match(path) or [""] * 2)[1] in environments
        )

    def _imports_from(self, place: str) -> bool:
        """Whether Python looks for packages in a directory: not in one that a package keeps copies of others in, such
        as `site-packages/setuptools/_vendor`."""
        if not _WITHIN_PACKAGES.search(place):
            return True
        added = {path.strip("/") for path in self.start.environment.get("PYTHONPATH", "").split(":")}
        added |= {path.strip("/") for layer in self.layers for file in layer.path_files for path in file.directories}
        return place in added

    @cached_property
    def distributions(self) -> tuple[tuple[int, Distribution], ...]:
        """The distributions that the image's Python finds, each with its layer's number."""
        wanted = set(self.site_directories)
        return tuple(
            (number, item)
            for number, layer in enumerate(self.layers)
            for item in layer.distributions
            if item.path.rpartition("/")[0] in wanted and self._has_information(number, item)
        )

    @cached_property
    def processes(self) -> tuple[tuple[tuple[int, Distribution], ...], ...]:
        """The distributions of each kind of process, as `distributions`: the model's, and the server's.

        The latter are there if it has a place of its own (`CHASSIS_SERVER_PATH`: that directory, and what it shares).
        """
        own, *shared = [
            path.strip("/") for path in self.start.environment.get("CHASSIS_SERVER_PATH", "").split(":") if path
        ] or [""]
        if not own:
            return (self.distributions,)
        places = [(item.path.rpartition("/")[0], (layer, item)) for layer, item in self.distributions]
        model = tuple(found for place, found in places if place != own)
        return (model, tuple(found for place, found in places if place == own or place in shared))

    def _has_information(self, layer: int, item: Distribution) -> bool:
        names = ("METADATA", "PKG-INFO")
        return any(self.is_in_place(layer, f"{item.path}/{name}") for name in names)

    @cached_property
    def python_version(self) -> str:
        """The image's Python as far as it is known: `3.11.2`, else `3.11`, else empty."""
        if stated := self.start.environment.get("PYTHON_VERSION"):  # as the official Python images say it
            return stated
        # A base may have a second one, such as Debian's own beside that in /usr/local.
        started = self._started_python()
        for layer in reversed(self.layers):
            if layer.python and (not started or f"{layer.python}.".startswith(f"{started}.")):
                return layer.python
        if started:
            return started
        for path in self.site_directories:
            if match := _SITE.match(path):
                return match[2]
        return ""

    def _started_python(self) -> str:
        """The minor version of the Python that the image starts, by its program's name; empty if that has none."""
        words = self.start.entrypoint or self.start.command
        program = self.tree.resolve(words[0]) if words and "/" in words[0] else None
        match = _PROGRAM.fullmatch(program or "")
        return match[1] if match else ""

    def name(self, layer: int) -> str:
        """A layer's name for people."""
        return str(self.layers[layer].origin)

    def program(self, name: str) -> Placed | None:
        """What a program's name leads to: a path, or a file in one of PATH's directories."""
        if "/" in name:
            return self.tree.find(name)
        for directory in self.start.environment.get("PATH", "").split(":"):
            if directory and (placed := self.tree.find(f"{directory}/{name}")):
                return placed
        return None


def _is_of_base(path: str) -> bool:
    return path.startswith("usr/")
