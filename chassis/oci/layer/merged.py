"""Several wheels to one layer, for images that have too many for a layer each.

Each wheel is installed as into a layer of its own, in the order of their names; what it brought is a part of the
layer's descriptor. A file that two wheels bring, such as the `__init__.py` of a package that they share, is there
once. If their contents differ, the later wheel's counts, as it would in layers of their own, with the bytecode that
belongs to it; the doctor sees by the earlier one's RECORD that it is hidden. A layer is written in one go, so the
wheels are written from the last to the first: what is there already hides what comes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import cast

from chassis.oci.descriptor import Origin
from chassis.oci.digest import PREFIX
from chassis.oci.layer.bytecode import BytecodeCompiler
from chassis.oci.layer.deflate_source import DeflateSource
from chassis.oci.layer.wheel import add_wheel
from chassis.oci.layer.writer import LayerWriter


def add_wheels(
    writer: LayerWriter,
    paths: Iterable[Path],
    venv: str,
    python_version: str,
    bytecode: BytecodeCompiler | None = None,
    exclude: Sequence[str] = (),
) -> Origin:
    """Installs wheels under the virtual environment `venv`; the order of `paths` does not matter. `exclude` is as of
    `add_wheel`.

    Raises:
      WheelError: a wheel is damaged, hostile or not for that Python, or is given twice.
    """
    shared = _SharedPaths(writer)
    labels = []
    for path in sorted(paths, key=lambda path: path.name, reverse=True):
        shared.begin(path.name)
        origin = add_wheel(cast("LayerWriter", shared), path, venv, python_version, bytecode, exclude)
        writer.end_part(origin.name, origin.version)
        labels.append(f"{origin.name} {origin.version}")
    return Origin("wheels", ", ".join(reversed(labels)))


class _SharedPaths:
    """The part of a layer writer that a wheel is installed with, for several wheels in turn."""

    def __init__(self, writer: LayerWriter) -> None:
        self._writer = writer
        self._added: dict[str, str] = {}
        self._hidden: dict[str, str] = {}
        self._wheel = ""

    def begin(self, wheel: str) -> None:
        """Says which wheel is installed from now on."""
        self._wheel = wheel
        self._hidden.clear()

    def add_bytes(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Adds a file from memory."""
        if self._is_new(path):
            self._writer.add_bytes(path, data, mode)
        else:
            self._hidden[path] = PREFIX + hashlib.sha256(data).hexdigest()

    def add_deflated(self, path: str, source: DeflateSource, mode: int = 0o644) -> None:
        """Adds a file whose deflate stream is copied as it is."""
        if self._is_new(path):
            self._writer.add_deflated(path, source, mode)
            return
        state = hashlib.sha256()
        for piece in source.inflate():
            state.update(piece)
        self._hidden[path] = PREFIX + state.hexdigest()

    def digests(self) -> dict[str, str]:
        """The digests of every file added so far, by path, as the wheel that is installed now has them."""
        return self._writer.digests() | self._hidden

    def _is_new(self, path: str) -> bool:
        return self._added.setdefault(path, self._wheel) == self._wheel
