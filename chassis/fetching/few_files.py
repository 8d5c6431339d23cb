"""Makes an unpacked Python a hundred files in place of 1,300: its standard library one archive, each library one name.

An action that runs Python has the whole of it as its input. A remote engine lays out every file for every action, and a
look into a cache hashes the list of them. Python itself looks for its library in `lib/python311.zip` before
`lib/python3.11`. Only bytecode goes in, stored and not compressed, so that it starts as fast as from a directory.
Extension modules stay files, since the loader opens them.

    python -S -P few_files.py ROOT HOME    # HOME, such as usr, has lib/python3.11, already compiled
"""

from __future__ import annotations

import shutil
import sys
import zipfile
from pathlib import Path

_EXTENSIONS = "lib-dynload"
_BYTECODE_SUFFIX = f".{sys.implementation.cache_tag}.pyc"


def zip_library(library: Path) -> None:
    """Packs a standard library, such as `usr/lib/python3.11`, into `python311.zip` beside it.

    `lib-dynload` alone stays. The same bytes for the same files, whatever their times and modes.
    """
    entries = {
        name: path
        for path in library.rglob("*")
        if path.is_file() and path.relative_to(library).parts[0] != _EXTENSIONS and (name := _name(library, path))
    }
    target = library.parent / (library.name.replace(".", "") + ".zip")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, path in sorted(entries.items()):
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes())
    for path in library.iterdir():
        if path.is_dir() and path.name != _EXTENSIONS:
            shutil.rmtree(path)
        elif not path.is_dir():
            path.unlink()


def _name(library: Path, path: Path) -> str:
    """The name of a file in the archive; nothing for a source whose bytecode is there."""
    relative = path.relative_to(library)
    if path.parent.name == "__pycache__":
        stem = path.name.removesuffix(_BYTECODE_SUFFIX)
        return "" if stem == path.name else (relative.parent.parent / f"{stem}.pyc").as_posix()
    compiled = path.parent / "__pycache__" / (path.stem + _BYTECODE_SUFFIX)
    return "" if path.suffix == ".py" and compiled.is_file() else relative.as_posix()


def name_libraries_once(root: Path) -> None:
    """Gives each shared library the name that programs ask for, in place of a link, which is the same bytes again."""
    links = [path for path in root.rglob("*.so*") if path.is_symlink() and path.readlink().name == str(path.readlink())]
    targets = {link: link.resolve() for link in links}
    for link, target in targets.items():
        link.unlink()
        shutil.copyfile(target, link)
    for target in set(targets.values()):
        target.unlink()


if __name__ == "__main__":
    for standard_library in Path(sys.argv[1], sys.argv[2], "lib").glob("python3.*"):
        zip_library(standard_library)
    name_libraries_once(Path(sys.argv[1]))
