"""SLSA provenance v1 of an image: what was asked of the build, and all that went in, by digest (slsa.dev/spec/v1.0).

It has no times and no name of a machine: the same commit gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from chassis.oci import digest as digests
from chassis.oci.layout_reader import LayoutReader
from chassis.trust.errors import RecordError
from chassis.trust.image_inventory import ImageSpec
from chassis.trust.inventory import package_url
from chassis.trust.statement import BUILD_TYPE, PROVENANCE, Statement

BUILDER = "https://chassis.dev/builder/bazel/v1"
COMMIT_KEYS = ("STABLE_GIT_COMMIT", "STABLE_BUILD_SCM_REVISION", "BUILD_SCM_REVISION")
"""Keys of the workspace's status that name a commit; the first that is there counts."""

SOURCE_KEYS = ("STABLE_GIT_URL", "STABLE_REPO_URL", "REPO_URL")
"""Keys that say where the repository is."""


def provenance_statement(spec: ImageSpec, status: Mapping[str, str]) -> Statement:
    """The statement; `status` is the workspace's, empty if the build is not stamped.

    Raises:
      ChassisError: a source cannot be read.
    """
    manifest, config = LayoutReader(spec.documents).image()
    parameters = {"target": spec.name, **spec.parameters}
    predicate: dict[str, Any] = {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": parameters,
            "internalParameters": {"imageVariant": config.variant} if config.variant else {},
            "resolvedDependencies": [
                *_commit(status),
                *_packages(spec),
                *_layers(spec, manifest.blobs[1:]),
                *_sources(spec),
            ],
        },
        "runDetails": {"builder": {"id": BUILDER}, "byproducts": _contents(spec)},
    }
    return Statement(spec.model, manifest.descriptor.digest, PROVENANCE, predicate)


def _commit(status: Mapping[str, str]) -> list[dict[str, Any]]:
    commit = next((status[key] for key in COMMIT_KEYS if status.get(key)), "")
    if not commit:
        return []
    where = next((status[key] for key in SOURCE_KEYS if status.get(key)), "")
    return [{"uri": f"git+{where}" if where else "git", "digest": {"gitCommit": commit}, "name": "commit"}]


def _packages(spec: ImageSpec) -> list[dict[str, Any]]:
    found = []
    for record in spec.records:
        entry: dict[str, Any] = {"uri": package_url(record), "name": record.kind}
        if record.sha256:
            entry["digest"] = {"sha256": record.sha256}
        if record.lock:
            entry["annotations"] = {"lock": record.lock}
        found.append(entry)
    return sorted(found, key=lambda entry: str(entry["uri"]))


def _layers(spec: ImageSpec, layers: tuple[Any, ...]) -> list[dict[str, Any]]:
    """The layers that this build did not make: those of the base."""
    own = {known.layer.descriptor.digest for known in spec.layers}
    return [
        {"uri": f"layer:{layer.digest}", "name": "base", "digest": {"sha256": layer.digest.rpartition(":")[2]}}
        for layer in layers
        if layer.digest not in own
    ]


def _contents(spec: ImageSpec) -> list[dict[str, Any]]:
    """What each layer of the build holds, by one digest, whatever the layer is compressed with: an eStargz layer has a
    table of its compressed members, and so another diff_id by another compressor. Owners and capabilities do not count.
    """
    found = []
    for known in spec.layers:
        files = [[one.path, one.type, one.mode, one.size, one.digest, one.link] for one in known.facts.files]
        content = hashlib.sha256(json.dumps(sorted(files), separators=(",", ":")).encode()).hexdigest()
        digest = known.layer.descriptor.digest
        found.append(
            {
                "uri": f"layer:{digest}",
                "name": "layer",
                "digest": {"sha256": digest.rpartition(":")[2]},
                "annotations": {"content": f"sha256:{content}"},
            }
        )
    return found


def _sources(spec: ImageSpec) -> list[dict[str, Any]]:
    found = []
    for label, path in sorted(spec.sources.items()):
        try:
            digest, _ = digests.of_file(path)
        except OSError as error:
            raise RecordError(f"{path}: cannot be read: {error.strerror}") from None
        found.append({"uri": f"file:{label}", "name": "source", "digest": {"sha256": digest.rpartition(":")[2]}})
    return found
