"""A model as it leaves the Python that made it: pickle, metadata, requirements, files.

It travels as a tar archive: `model.json` first (the description below), then `model.pkl`, then `files/KEY` for each
file that the function finds with `chassis.data_path(KEY)`.

    {"format": 1, "python": "3.11", "signature": "auto", "requirements": ["numpy==2.4.6"],
     "files": {"labels.txt": 1234},             key to bytes: what the archive must hold
     "metadata": {…}}                           the fields of ModelMetadata, at least "name"
"""

from __future__ import annotations

import dataclasses
import io
import json
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from chassis.declaration.model import ModelMetadata
from chassis.declaration.pythons import DEFAULT_PYTHON
from chassis.errors import ChassisError

FORMAT = 1
DESCRIPTION = "model.json"
PICKLE = "model.pkl"
FILES = "files"

_RESERVED = frozenset(
    {"build", "build.bazel", "module.bazel", "module.bazel.lock", "repo.bazel", "workspace", "workspace.bazel"}
)
_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.+-]*)*")
_MAX_KEY = 200
_MAX_PARTS = 16


class PackedModelError(ChassisError, ValueError):
    """A model that cannot be packed."""


@dataclass(frozen=True, slots=True)
class PackedModel:
    """A model, ready to be written somewhere.

    Attributes:
      metadata: what it says about itself; `metadata.name` is its target's name.
      pickle: the predict function, or the file that has it.
      requirements: what it needs, one distribution each.
      signature: what an item is for the function (chassis/declaration/model_json.py), or `auto`.
      files: key to the file with that content.
      python: minor version that pickled it.
    """

    metadata: ModelMetadata
    pickle: bytes | Path
    requirements: tuple[str, ...]
    signature: str = "auto"
    files: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    python: str = DEFAULT_PYTHON

    def description(self) -> bytes:
        """The content of model.json."""
        document = {
            "files": {key: path.stat().st_size for key, path in self.files.items()},
            "format": FORMAT,
            "metadata": self.metadata.document(),
            "python": self.python,
            "requirements": list(self.requirements),
            "signature": self.signature,
        }
        return (json.dumps(document, indent=1, sort_keys=True) + "\n").encode()


def check_key(key: str) -> str:
    """Returns `key` if it can be the name of a model's file.

    Raises:
      PackedModelError: it is absolute, climbs, has an unusual character, or is a name that Bazel or Chassis reads.
    """
    if len(key) > _MAX_KEY or not _KEY.fullmatch(key) or ".." in PurePosixPath(key).parts:
        raise PackedModelError(
            f"file {key[:_MAX_KEY]!r}: expected a relative path of letters, digits and `_.+-`, "
            f"at most {_MAX_KEY} characters"
        )
    if len(PurePosixPath(key).parts) > _MAX_PARTS:
        raise PackedModelError(f"file {key!r}: lies in {key.count('/')} directories, expected fewer than {_MAX_PARTS}")
    if any(part.lower() in _RESERVED for part in PurePosixPath(key).parts) or key == PICKLE:
        raise PackedModelError(f"file {key!r}: the name belongs to the build, give the file another")
    return key


def write_archive(model: PackedModel, output: BinaryIO) -> None:
    """Writes the tar archive of `model`, the same bytes for the same content."""
    with tarfile.open(fileobj=output, mode="w", format=tarfile.PAX_FORMAT) as archive:
        pickle = model.pickle if isinstance(model.pickle, bytes) else model.pickle.read_bytes()
        for name, content in ((DESCRIPTION, model.description()), (PICKLE, pickle)):
            archive.addfile(_member(name, len(content)), io.BytesIO(content))
        for key, path in sorted(model.files.items()):
            with path.open("rb") as file:
                archive.addfile(_member(f"{FILES}/{check_key(key)}", path.stat().st_size), file)


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = 0o644
    return member
