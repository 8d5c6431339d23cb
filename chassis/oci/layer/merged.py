"""Several wheels to one layer, for images that have too many for a layer each.

Each wheel is installed as into a layer of its own, one after the other in the order of their names; what it
brought is a part of the layer's descriptor. A file that two wheels bring with the same content and mode, such
as the `__init__.py` of a package that they share, is there once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import cast

from chassis.oci.descriptor import Origin
from chassis.oci.digest import PREFIX
from chassis.oci.layer.bytecode import BytecodeCompiler
from chassis.oci.layer.deflate_source import DeflateSource
from chassis.oci.layer.wheel import add_wheel
from chassis.oci.layer.wheel_source import WheelError
from chassis.oci.layer.writer import LayerWriter


def add_wheels(
    writer: LayerWriter,
    paths: Iterable[Path],
    venv: str,
    python_version: str,
    bytecode: BytecodeCompiler | None = None,
) -> Origin:
    """Installs wheels under the virtual environment `venv`; the order of `paths` does not matter.

    Raises:
      WheelError: a wheel is damaged, hostile or not for that Python, or two install different files at one
        path.
    """
    shared = _SharedPaths(writer)
    labels = []
    for path in sorted(paths, key=lambda path: path.name):
        shared.wheel = path.name
        origin = add_wheel(cast("LayerWriter", shared), path, venv, python_version, bytecode)
        writer.end_part(origin.name, origin.version)
        labels.append(f"{origin.name} {origin.version}")
    return Origin("wheels", ", ".join(labels))


class _SharedPaths:
    """The part of a layer writer that a wheel is installed with, for several wheels in turn."""

    def __init__(self, writer: LayerWriter) -> None:
        self._writer = writer
        self._added: dict[str, tuple[int, str]] = {}
        self.wheel = ""

    def add_bytes(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Adds a file from memory."""
        if self._is_new(path, mode):
            self._writer.add_bytes(path, data, mode)
        else:
            self._check_same(path, mode, hashlib.sha256(data).hexdigest())

    def add_deflated(self, path: str, source: DeflateSource, mode: int = 0o644) -> None:
        """Adds a file whose deflate stream is copied as it is."""
        if self._is_new(path, mode):
            self._writer.add_deflated(path, source, mode)
            return
        state = hashlib.sha256()
        for piece in source.inflate():
            state.update(piece)
        self._check_same(path, mode, state.hexdigest())

    def digests(self) -> dict[str, str]:
        """The digests of every file added so far, by path."""
        return self._writer.digests()

    def _is_new(self, path: str, mode: int) -> bool:
        return self._added.setdefault(path, (mode, self.wheel)) == (mode, self.wheel)

    def _check_same(self, path: str, mode: int, content: str) -> None:
        first_mode, first = self._added[path]
        if (mode, PREFIX + content) != (first_mode, self._writer.digests().get(path)):
            raise WheelError(
                f"{self.wheel}: installs /{path}, which {first} installs with another content or mode; "
                "leave one of the two out of the image"
            )
