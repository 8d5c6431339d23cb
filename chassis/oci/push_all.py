"""Publishes many images in one process: one session for each registry, each shared blob once, tags last.

A failure concerns its own image: the others are published all the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from chassis.errors import ChassisError
from chassis.oci.blob_store import BlobStore
from chassis.oci.layout_reader import LayoutReader, Manifest
from chassis.oci.push import ImagePush, PushOptions, PushReport, Watcher
from chassis.oci.registry.client import RegistryClient
from chassis.oci.registry.mount_sources import KnownBlobs, MountSources
from chassis.oci.registry.reference import Repository, parse_repository
from chassis.oci.registry.transport import Cancellation

PUSHED, UNCHANGED, FAILED = "pushed", "unchanged", "failed"


class RunFileError(ChassisError):
    """The file of an earlier run cannot be read."""


@dataclass(frozen=True, slots=True)
class PlannedPush:
    """One image: `target` names it for people, `stores` are where its layers may be besides its layout. `attach` is
    called between its content and its tags, None if there is nothing to attach; `attached` is the digest of what it
    attaches. `check` is called before anything of an image is sent that the registry does not have."""

    target: str
    layout: Path
    repository: str
    tags: tuple[str, ...]
    stores: tuple[BlobStore, ...] = ()
    mount_from: tuple[str, ...] = ()
    immutable_tags: bool = False
    attach: Callable[[RegistryClient, Sequence[Manifest]], object] | None = field(default=None, compare=False)
    attached: str = ""
    check: Callable[[], None] = field(default=lambda: None, compare=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one image: PUSHED, UNCHANGED (as the file of the last run has it) or FAILED with `error`.
    `attached` is the digest of what was attached to it."""

    target: str
    repository: str
    outcome: str
    digest: str = ""
    tags: tuple[str, ...] = ()
    error: str = ""
    report: PushReport | None = field(default=None, compare=False)
    attached: str = ""

    def to_json(self) -> dict[str, Any]:
        """The object of a run's file; what is empty is left out."""
        document: dict[str, Any] = {"target": self.target, "repository": self.repository, "outcome": self.outcome}
        if self.digest:
            document["digest"] = self.digest
        document["tags"] = list(self.tags)
        if self.attached:
            document["attached"] = self.attached
        if self.error:
            document["error"] = self.error
        return document


@dataclass(frozen=True, slots=True)
class Connector:
    """Makes clients and mount hints of repositories; `connect` takes a client of the same registry to go with, or
    None."""

    connect: Callable[[Repository, RegistryClient | None], RegistryClient]
    sources: Callable[[Repository, Sequence[str]], MountSources]


@dataclass(slots=True)
class _Registry:
    client: RegistryClient
    known: KnownBlobs = field(default_factory=KnownBlobs)


def push_all(
    pushes: Sequence[PlannedPush],
    connector: Connector,
    options: PushOptions,
    cancellation: Cancellation,
    watcher: Watcher | None = None,
    since: Mapping[tuple[str, str], Outcome] | None = None,
) -> list[Outcome]:
    """Publishes images in their order: the content of all, then the tags of those whose content arrived.

    What `since` (an earlier run, by target and repository) has with the same digest and tags, and the same attached to
    it, is not looked at: no registry is asked, no layer read.
    """
    registries: dict[str, _Registry] = {}
    outcomes: dict[int, Outcome] = {}
    sent: dict[int, ImagePush] = {}
    for number, planned in enumerate(pushes):
        try:
            earlier = (since or {}).get((planned.target, planned.repository))
            layout = LayoutReader(planned.layout)
            if earlier and _is_unchanged(earlier, layout, planned):
                outcomes[number] = replace(earlier, outcome=UNCHANGED, tags=planned.tags)
                continue
            sent[number] = _send(planned, layout, connector, registries, options, cancellation, watcher)
        except ChassisError as error:
            outcomes[number] = _failure(planned, error)
            cancellation.reset()  # all that was given up for this image has ended
    for number, image in sent.items():
        planned = pushes[number]
        try:
            report = image.tag()
        except ChassisError as error:
            outcomes[number] = _failure(planned, error)
            cancellation.reset()
        else:
            outcomes[number] = Outcome(
                planned.target,
                planned.repository,
                PUSHED,
                image.digest,
                planned.tags,
                report=report,
                attached=planned.attached,
            )
    return [outcomes[number] for number in range(len(pushes))]


def read_run(path: Path) -> dict[tuple[str, str], Outcome]:
    """The images of an earlier run that arrived, by target and repository; none if there is no file yet.

    Raises:
      RunFileError: it is not what `push_all` writes.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise RunFileError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        found = [
            Outcome(
                item["target"],
                item["repository"],
                item["outcome"],
                item.get("digest", ""),
                tuple(item["tags"]),
                attached=item.get("attached", ""),
            )
            for item in json.loads(data)["pushes"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise RunFileError(f"{path}: is not the JSON that a push of several images prints") from None
    return {(item.target, item.repository): item for item in found if item.outcome in (PUSHED, UNCHANGED)}


def run_document(outcomes: Sequence[Outcome]) -> str:
    """The JSON of a run, for people's programs and for the next run."""
    return json.dumps({"pushes": [outcome.to_json() for outcome in outcomes]}, indent=1) + "\n"


def deployment_document(outcomes: Sequence[Outcome]) -> str:
    """JSON of repository to digest, of the images that are there."""
    there = {outcome.repository: outcome.digest for outcome in outcomes if outcome.outcome != FAILED}
    return json.dumps(there, indent=1, sort_keys=True) + "\n"


def _is_unchanged(earlier: Outcome, layout: LayoutReader, planned: PlannedPush) -> bool:
    same = earlier.attached == planned.attached and set(earlier.tags) == set(planned.tags)
    return same and earlier.digest == layout.entry().digest


def _send(
    planned: PlannedPush,
    layout: LayoutReader,
    connector: Connector,
    registries: dict[str, _Registry],
    options: PushOptions,
    cancellation: Cancellation,
    watcher: Watcher | None,
) -> ImagePush:
    repository = parse_repository(planned.repository)
    registry = registries.get(repository.registry)
    client = connector.connect(repository, registry.client if registry else None)
    if registry is None:
        registry = registries[repository.registry] = _Registry(client)
    sources = connector.sources(repository, planned.mount_from)
    options = replace(options, immutable_tags=options.immutable_tags or planned.immutable_tags)
    image = ImagePush(
        layout, client, planned.tags, options, cancellation, watcher, sources, planned.stores, registry.known
    )
    image.send(check=planned.check)
    if planned.attach:
        planned.attach(client, image.manifests)
    return image


def _failure(planned: PlannedPush, error: ChassisError) -> Outcome:
    return Outcome(planned.target, planned.repository, FAILED, error=str(error), tags=planned.tags)
