"""Python's root, an input of all that a tool of this project does, has nothing of the machine that unpacked it."""

from __future__ import annotations

import marshal
import os
import stat
import zipfile
from pathlib import Path

_ROOT = Path(os.environ["PYTHON_ROOT"]).resolve()
_UNCHECKED_HASH = 1  # PEP 552: neither a time nor a hash that Python compares.


def _files() -> list[Path]:
    return [path for path in sorted(_ROOT.rglob("*")) if path.is_file() and not path.is_symlink()]


def test_bytecode_has_no_time_and_no_path_of_the_machine() -> None:
    machine = os.fsencode(_ROOT.parent)
    with zipfile.ZipFile(next(_ROOT.glob("usr/lib/python3*.zip"))) as library:
        compiled = [entry for entry in library.infolist() if entry.filename.endswith(".pyc")]
        assert len(compiled) > 500
        for entry in compiled:
            content = library.read(entry)
            assert int.from_bytes(content[4:8], "little") == _UNCHECKED_HASH, entry.filename
            assert machine not in content, entry.filename
            # A pickle can have the name: that of a function which contextlib made for a model, say.
            assert marshal.loads(content[16:]).co_filename == entry.filename.removesuffix("c"), entry.filename


def test_it_is_few_files_which_a_remote_engine_lays_out_for_every_action() -> None:
    assert len(_files()) < 130
    assert not list(_ROOT.rglob("*.py"))


def test_modes_are_plain() -> None:
    assert {stat.S_IMODE(path.stat().st_mode) for path in _files()} == {0o644, 0o755}


def test_links_stay_inside() -> None:
    for link in filter(Path.is_symlink, _ROOT.rglob("*")):
        assert not link.readlink().is_absolute(), link
        assert link.resolve().is_relative_to(_ROOT), link
