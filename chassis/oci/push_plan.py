"""The plan of a push, as `oci_push` writes it: what goes where, and where its layers may be."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chassis.errors import ChassisError
from chassis.oci.blob_store import BlobStore, FileStore, LayoutStore
from chassis.oci.descriptor import Descriptor, read_json
from chassis.oci.layout_reader import LayoutReader
from chassis.oci.registry.reference import check_tag
from chassis.oci.tag_list import read_tags, stamp
from chassis.oci.workspace_status import read_status


class PushPlanError(ChassisError):
    """A plan cannot be read."""


@dataclass(frozen=True, slots=True)
class PlannedLayer:
    """A layer of the build: its descriptor, which is there, and its file below Bazel's execution root, which may be."""

    descriptor: Path
    file: str


@dataclass(frozen=True, slots=True)
class DocumentsAbout:
    """The documents about one image; None for those that are not to be attached."""

    cyclonedx: Path | None = None
    spdx: Path | None = None
    provenance: Path | None = None


@dataclass(frozen=True, slots=True)
class PushPlan:
    """What `oci_push` says. Paths are absolute; `documents` is a layout without layers, `layouts` those of bases, and
    `target` the label. `documents_about` are to be attached, `sign_key` is a private key to sign with, or None;
    with `keyless` an identity signs."""

    target: str
    documents: Path
    layers: tuple[PlannedLayer, ...]
    layouts: tuple[Path, ...]
    repository: str
    tags: tuple[str, ...]
    tag_files: tuple[Path, ...]
    stamped_tags: tuple[str, ...]
    status_files: tuple[Path, ...]
    mount_from: tuple[str, ...]
    immutable_tags: bool
    documents_about: tuple[DocumentsAbout, ...] = ()
    sign_key: Path | None = None
    signature_tags: bool = False
    keyless: bool = False

    def all_tags(self, more: Sequence[str] = ()) -> list[str]:
        """Every tag, those of files and of the workspace's status too.

        Raises:
          ChassisError: a file cannot be read, or a tag is malformed.
        """
        tags = [*self.tags, *more]
        for file in self.tag_files:
            tags += read_tags(file)
        if self.stamped_tags:
            status = read_status(list(self.status_files))
            tags += [stamp(template, status) for template in self.stamped_tags]
        return [check_tag(tag) for tag in tags]

    def stores(self) -> list[BlobStore]:
        """Where layers may be on this machine: the layouts of bases, and the outputs of the build."""
        found: list[BlobStore] = [LayoutStore(LayoutReader(path)) for path in self.layouts]
        root = execution_root(self.documents)
        if root is not None:
            files = {}
            for layer in self.layers:
                where = str(layer.descriptor)
                files[Descriptor.from_json(read_json(layer.descriptor), where).digest] = root / layer.file
            found.append(FileStore(files))
        return found


def plan_of_layout(layout: Path) -> PushPlan:
    """The plan of a whole layout, with nothing said of where it goes."""
    return PushPlan("", layout, (), (), "", (), (), (), (), (), False)


def read_plan(path: Path, runfiles: Path) -> PushPlan:
    """Reads a plan, whose paths are below `runfiles`.

    Raises:
      PushPlanError: it is not a plan.
    """
    fields = read_json(path)
    try:
        return PushPlan(
            target=_text(fields, "target"),
            documents=runfiles / _text(fields, "documents"),
            layers=tuple(
                PlannedLayer(runfiles / _text(layer, "descriptor"), _text(layer, "file")) for layer in fields["layers"]
            ),
            layouts=tuple(runfiles / name for name in fields["layouts"]),
            repository=_text(fields, "repository"),
            tags=tuple(fields["tags"]),
            tag_files=tuple(runfiles / name for name in fields["tag_files"]),
            stamped_tags=tuple(fields["stamped_tags"]),
            status_files=tuple(runfiles / name for name in fields["status_files"]),
            mount_from=tuple(fields["mount_from"]),
            immutable_tags=bool(fields["immutable_tags"]),
            documents_about=tuple(
                DocumentsAbout(**{kind: runfiles / name for kind, name in about.items()})
                for about in fields.get("documents_about", ())
            ),
            sign_key=runfiles / fields["sign_key"] if fields.get("sign_key") else None,
            signature_tags=bool(fields.get("signature_tags")),
            keyless=bool(fields.get("keyless")),
        )
    except (KeyError, TypeError) as error:
        raise PushPlanError(f"{path}: is not the plan of a push: {error!r}") from None


def execution_root(documents: Path) -> Path | None:
    """Bazel's execution root, seen from an output that a runfiles tree links to; None if it is elsewhere."""
    real = os.path.realpath(documents)
    root, marker, _ = real.rpartition("/bazel-out/")
    return Path(root) if marker else None


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields[name]
    if not isinstance(value, str):
        raise TypeError(f"`{name}` is not a string")
    return value
