"""The sources of a model, imported under their workspace names from wherever the build keeps them.

A pickle holds the file name of every function in it; a source is therefore compiled under its path in the workspace,
never under the path that it is read from.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import ModuleType

from chassis.packaging.errors import EntryPointError


def module_name(short_path: str) -> str:
    """Returns the dotted name of the module in `short_path`: `ml.digits.model` for `ml/digits/model.py`."""
    parts = PurePosixPath(short_path).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def entry_name(what: str, module: str, package_dir: str, sources: Mapping[str, object]) -> str:
    """Returns the workspace name of the entry module, or of that of `load`.

    Args:
      what: which of the two, for messages.
      module: as in the entry point, relative to the package or to the workspace.
      package_dir: the package's directory in the workspace.
      sources: path in the workspace to the file to read.

    Raises:
      EntryPointError: no source is that module.
    """
    names = {module_name(path): path for path in sources}
    package = ".".join(PurePosixPath(package_dir).parts)
    for candidate in (f"{package}.{module}" if package else module, module):
        if candidate in names:
            return candidate
    raise EntryPointError(
        f"{what}: no source is the module {module!r}\n"
        f"  `srcs` of the chassis_model: {', '.join(sorted(sources)) or 'none'}"
    )


class SourceFinder(importlib.abc.MetaPathFinder):
    """Finds a model's sources by their workspace names, and by those in their package if nothing else has them."""

    def __init__(self, sources: Mapping[str, str], package_dir: str) -> None:
        """Takes path in the workspace to the file to read, and the package's directory in the workspace."""
        self._paths = {module_name(path): (path, file) for path, file in sources.items()}
        self._package = ".".join(PurePosixPath(package_dir).parts)

    def install(self) -> None:
        """Makes the sources importable: before everything else by their full names, after it by their short ones."""
        sys.meta_path.insert(0, self)
        sys.meta_path.append(_ShortNames(self._package, self._paths))

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """A source's spec; a namespace package for what lies above one and is nowhere else."""
        found = self._paths.get(fullname)
        if found:
            short_path, file = found
            # Not spec_from_file_location, which would make the path absolute.
            return importlib.machinery.ModuleSpec(
                fullname,
                _SourceLoader(short_path, Path(file)),
                origin=short_path,
                is_package=PurePosixPath(short_path).name == "__init__.py",
            )
        if any(name.startswith(fullname + ".") for name in self._paths):
            spec = importlib.machinery.PathFinder.find_spec(fullname, path)
            if spec is None:
                spec = importlib.machinery.ModuleSpec(fullname, None, is_package=True)
            return spec
        return None

    def names(self) -> list[str]:
        """The full names of the sources."""
        return sorted(self._paths)

    def short_name(self, name: str) -> str:
        """The name of a source in its package, its full one if it has none."""
        return name.removeprefix(self._package + ".") if self._package else name

    def packages(self) -> frozenset[str]:
        """The packages above the sources that are not sources themselves."""
        parts = [name.split(".") for name in self._paths]
        return frozenset(".".join(name[:end]) for name in parts for end in range(1, len(name))) - self._paths.keys()

    def loaded(self) -> list[ModuleType]:
        """The source modules that are imported."""
        return [sys.modules[name] for name in sorted(self._paths) if name in sys.modules]


class _ShortNames(importlib.abc.MetaPathFinder):
    """`import preprocess` for a source beside the entry module, as the same module as `ml.digits.preprocess`."""

    def __init__(self, package: str, names: Mapping[str, object]) -> None:
        self._package = package
        self._names = names

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        full = f"{self._package}.{fullname}"
        if not self._package or full not in self._names:
            return None
        return importlib.machinery.ModuleSpec(fullname, _AliasLoader(full))


class _AliasLoader(importlib.abc.Loader):
    def __init__(self, full: str) -> None:
        self._full = full
        self._spec: importlib.machinery.ModuleSpec | None = None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        module = importlib.import_module(self._full)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec


class _SourceLoader(importlib.abc.SourceLoader):
    """Reads a source from where the build keeps it, and calls it by its path in the workspace."""

    def __init__(self, short_path: str, file: Path) -> None:
        self._short_path = short_path
        self._file = file

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = self._short_path
        super().exec_module(module)

    def get_filename(self, fullname: str) -> str:
        return self._short_path

    def get_data(self, path: str) -> bytes:
        if path != self._short_path:
            raise OSError(f"{path} is not read: sources are compiled anew")
        return self._file.read_bytes()
