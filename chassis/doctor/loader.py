"""Where the dynamic loader looks for libraries, and what it finds: ld.so(8) of glibc, for an image that does not run.

An object's search: its own DT_RPATH and its loaders' (unless it has DT_RUNPATH), LD_LIBRARY_PATH, its DT_RUNPATH,
/etc/ld.so.cache, the default directories. A library of another machine is passed over; one that is loaded already
answers to its DT_SONAME.
"""

from __future__ import annotations

import fnmatch
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from chassis.doctor.image import PYTHON_MACHINES, TRIPLETS, ElfFile, Image

# What the NVIDIA container runtime brings in from the host: parts of the driver, never in an image.
# https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/docker-specialized.html
_EXTERNAL = {
    "cuda": (
        "libcuda.so*",
        "libcudadebugger.so*",
        "libnvidia-*.so*",
        "libnvcuvid.so*",
        "libnvoptix.so*",
        "libvdpau_nvidia.so*",
        "libGLX_nvidia.so*",
        "libEGL_nvidia.so*",
        # Jetson's (L4T): the integrated GPU's and the multimedia libraries.
        "libnvrm_*.so*",
        "libnvbuf*.so*",
        "libnvdla_*.so*",
        "libnvsci*.so*",
        "libcudla.so*",
    ),
    "none": (),
}


@dataclass(frozen=True, slots=True)
class Found:
    """What a needed library is: a file of the image, or `external` if the host provides it."""

    file: ElfFile | None = None
    external: bool = False


class Loader:
    """The dynamic loader of an image."""

    def __init__(self, image: Image) -> None:
        self._image = image
        triplet = TRIPLETS.get(image.target.architecture, "")
        self._library_directory = f"lib/{triplet}"
        self._platform = PYTHON_MACHINES.get(image.target.architecture, "")
        self._defaults = tuple(
            directory for parent in ("lib", "usr/lib") for directory in (f"{parent}/{triplet}", f"{parent}64", parent)
        )
        self._external = _EXTERNAL.get(image.target.accelerator, ())
        self._global: dict[str, ElfFile | None] = {}
        self._direct: dict[tuple[str, str], Found | None] = {}

    @cached_property
    def _environment(self) -> tuple[str, ...]:
        listed = self._image.start.environment.get("LD_LIBRARY_PATH", "")
        return tuple(path for path in listed.replace(";", ":").split(":") if path)

    @cached_property
    def _cache(self) -> dict[str, list[str]]:
        """Library to its paths in the topmost /etc/ld.so.cache."""
        found: dict[str, list[str]] = defaultdict(list)
        for layer in reversed(self._image.layers):
            if layer.libraries is not None:
                for name, path in layer.libraries:
                    found[name].append(path)
                break
        return found

    def find(self, needing: ElfFile, name: str) -> Found | None:
        """What `needing` gets for the library `name`; None if the loader finds nothing.

        If its own search fails, those objects of the image that load it are asked: their DT_RPATH is searched for
        their libraries too, and what they have loaded already is there for them.
        """
        if found := self._find_alone(needing, name):
            return found
        for loading in self._loaders_of(needing):
            inherited = () if needing.elf.runpath else self._rpath(loading)
            if file := self._in(inherited, name, loading.path):
                return Found(file)
            for other in loading.elf.needed:
                known = self._find_alone(loading, other)
                if known and known.file and (other == name or known.file.elf.soname == name):
                    return known
        return None

    def preloaded(self, name: str) -> Found | None:
        """What LD_PRELOAD names: a path, or a library where those of the environment and of the system are."""
        file = self._usable(name) if "/" in name else self._in(self._environment, name, "") or self._everywhere(name)
        return Found(file) if file else self._of_the_host(name)

    def _of_the_host(self, name: str) -> Found | None:
        return Found(external=True) if any(fnmatch.fnmatchcase(name, each) for each in self._external) else None

    def _find_alone(self, needing: ElfFile, name: str) -> Found | None:
        key = (needing.path, name)
        if key not in self._direct:
            self._direct[key] = self._search(needing, name)
        return self._direct[key]

    def _search(self, needing: ElfFile, name: str) -> Found | None:
        if "/" in name:
            file = self._usable(self._expand(name, needing.path))
            return Found(file) if file else None
        file = (
            self._in(self._rpath(needing), name, needing.path)
            or self._in(self._environment, name, needing.path)
            or self._in(needing.elf.runpath, name, needing.path)
            or self._everywhere(name)
        )
        if file:
            return Found(file)
        return self._of_the_host(name)

    @staticmethod
    def _rpath(file: ElfFile) -> tuple[str, ...]:
        return () if file.elf.runpath else file.elf.rpath

    def _everywhere(self, name: str) -> ElfFile | None:
        if name not in self._global:
            paths = [*self._cache.get(name, ()), *(f"{directory}/{name}" for directory in self._defaults)]
            self._global[name] = next(filter(None, map(self._usable, paths)), None)
        return self._global[name]

    def _in(self, directories: tuple[str, ...], name: str, origin: str) -> ElfFile | None:
        for directory in directories:
            if not directory.startswith(("/", "$")):
                continue  # relative to wherever the process happens to be
            if file := self._usable(f"{self._expand(directory, origin)}/{name}"):
                return file
        return None

    def _expand(self, path: str, origin: str) -> str:
        """`path` with the loader's tokens replaced (ld.so(8), "Dynamic string tokens")."""
        if "$" not in path:
            return path
        directory = "/" + origin.rpartition("/")[0]
        for token, value in (
            ("ORIGIN", directory),
            ("LIB", self._library_directory),
            ("PLATFORM", self._platform),
        ):
            path = path.replace("${" + token + "}", value).replace("$" + token, value)
        return path

    def _usable(self, path: str) -> ElfFile | None:
        file = self._image.elf_at(path)
        return file if file and file.elf.machine == self._image.machine and file.elf.bits == 64 else None

    @cached_property
    def _loading(self) -> dict[str, list[ElfFile]]:
        """Path of a library to the objects that have it in their DT_NEEDED."""
        found: dict[str, list[ElfFile]] = defaultdict(list)
        for file in self._image.elves.values():
            for name in file.elf.needed:
                known = self._find_alone(file, name)
                if known and known.file:
                    found[known.file.path].append(file)
        return found

    def _loaders_of(self, file: ElfFile) -> Iterator[ElfFile]:
        """The objects that bring `file` in, near ones first."""
        seen = {file.path}
        queue = [file]
        for current in queue:
            for loading in self._loading.get(current.path, ()):
                if loading.path not in seen:
                    seen.add(loading.path)
                    queue.append(loading)
                    yield loading
