"""Compiles Python sources to modules that need none: what a tool imports when it is to start at once.

Runs on the bare interpreter, before anything else is built. Formats: PEP 3147, section "Case 4: legacy pyc files and
source-less imports", and PEP 552.
"""

from __future__ import annotations

import argparse
import py_compile
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path


def files_of(path: str, source: Path) -> Iterator[tuple[str, Path]]:
    """The files to bring to `path`: the source itself, or what a directory holds."""
    if not source.is_dir():
        yield path, source
    else:
        for file in sorted(source.rglob("*")):
            if file.is_file():
                yield f"{path}/{file.relative_to(source).as_posix()}", file


def without_idle_backends(files: list[tuple[str, Path]]) -> list[tuple[str, Path]]:
    """All but extension modules that only cffi loads, if cffi is not there: zstandard's second backend is 12 MB."""
    if any(file.name.startswith("_cffi_backend.") for _, file in files):
        return files
    return [(path, file) for path, file in files if not (file.suffix == ".so" and file.name.startswith("_cffi."))]


def main(arguments: list[str]) -> int:
    """Writes `PATH` for each `PATH=SOURCE`, modules as `.pyc`; a module that does not compile stays a source."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], fromfile_prefix_chars="@")
    parser.add_argument("--output", type=Path, required=True, help="directory to write into")
    parser.add_argument("modules", nargs="+", metavar="PATH=SOURCE", help="a module or a directory of them")
    options = parser.parse_args(arguments)
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    named = [module.partition("=") for module in options.modules]
    files = [each for name, _, source in named for each in files_of(name, Path(source))]
    for path, file in without_idle_backends(files):
        target = options.output / path
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            if file.suffix != ".py":
                raise ValueError
            py_compile.compile(str(file), f"{target}c", dfile=path, doraise=True, invalidation_mode=mode)
        except (py_compile.PyCompileError, ValueError):
            shutil.copyfile(file, target)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
