"""Publishes an OCI image layout: what the registry lacks is sent, manifests follow their blobs, tags come
last."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from chassis.oci.descriptor import Descriptor
from chassis.oci.index import accelerator_indexes
from chassis.oci.layout_reader import LayoutReader, Manifest
from chassis.oci.registry.client import RegistryClient
from chassis.oci.registry.errors import CancelledError, RegistryError
from chassis.oci.registry.mount_sources import MountSources
from chassis.oci.registry.reference import check_tag
from chassis.oci.registry.transport import Cancellation
from chassis.oci.registry.upload import MOUNTED, SKIPPED, UPLOADED, Progress

_T = TypeVar("_T")
DEFAULT_JOBS = 6
"""Blobs in flight. A registry hashes each on one processor: with some to spare, all are busy to the end."""

_JOIN_SECONDS = 5.0


class TagExistsError(RegistryError):
    """A tag that must not move names another image already."""


@dataclass(frozen=True, slots=True)
class BlobReport:
    """What became of one blob: `outcome` is uploaded, mounted or skipped (the registry had it)."""

    descriptor: Descriptor
    outcome: str


@dataclass(frozen=True, slots=True)
class PushReport:
    """What a push did, or, as a dry run, would do; `tags` are those that were set or moved, `kept` those that named
    the image before."""

    digest: str
    blobs: tuple[BlobReport, ...]
    manifests: int
    tags: tuple[str, ...]
    kept: tuple[str, ...] = ()

    def count(self, outcome: str) -> tuple[int, int]:
        """How many blobs had an outcome, and their bytes."""
        sizes = [blob.descriptor.size for blob in self.blobs if blob.outcome == outcome]
        return len(sizes), sum(sizes)


@dataclass(frozen=True, slots=True)
class PushOptions:
    """How to push. `jobs` is the number of blobs in flight; with `immutable_tags` an existing tag of another
    image is an error before anything is sent; with `accelerator_tags` each tag of an index has a companion for each
    accelerator in it, such as `v1-cuda` beside `v1`."""

    jobs: int = DEFAULT_JOBS
    dry_run: bool = False
    immutable_tags: bool = False
    accelerator_tags: bool = True


@dataclass(frozen=True, slots=True)
class Watcher:
    """Told of a push's steps: `blob` when one is settled, `progress` the bytes of one on their way."""

    blob: Callable[[BlobReport], None] = lambda report: None
    progress: Callable[[Descriptor], Progress] = lambda descriptor: lambda count: None
    started: Callable[[Sequence[Descriptor]], None] = field(default=lambda missing: None)


def push(
    layout: LayoutReader,
    client: RegistryClient,
    tags: Sequence[str],
    options: PushOptions,
    cancellation: Cancellation,
    watcher: Watcher | None = None,
    sources: MountSources | None = None,
) -> PushReport:
    """Publishes the layout's one image or index under its digest and `tags`, in this order: blobs in
    parallel, manifests by digest (an index after its images), tags. A failure at any point moves no tag. Blobs that
    `sources` knows of in another repository are mounted.

    Raises:
      ChassisError: the layout is incomplete, the registry refuses something or cannot be reached.
    """
    watcher = watcher or Watcher()
    sources = sources or MountSources(client.repository, None)
    tags = tuple(dict.fromkeys(check_tag(tag) for tag in tags))
    manifests = _unique(layout.walk(layout.entry()))
    digest = manifests[-1].descriptor.digest
    named = _named(manifests[-1], tags, options.accelerator_tags)
    manifests += [manifest for manifest in named.values() if manifest not in manifests]
    current = dict(_parallel(client.manifest_digest, [digest, *named], options.jobs, cancellation))
    moved = {tag: manifest for tag, manifest in named.items() if current[tag] != manifest.descriptor.digest}
    if options.immutable_tags:
        for tag, manifest in moved.items():
            _refuse_move(client, manifest.descriptor.digest, tag, current[tag])
    if current[digest]:  # a registry takes a manifest only with all that it refers to
        blobs = tuple(BlobReport(blob, SKIPPED) for blob in _blobs(manifests))
        pending: list[Manifest] = []
    else:
        blobs = _push_blobs(layout, client, _blobs(manifests), options, cancellation, watcher, sources)
        pending = manifests
    if not options.dry_run:
        for manifest in pending:
            cancellation.check()
            client.push_manifest(manifest)
        for tag, manifest in moved.items():
            cancellation.check()
            client.push_manifest(manifest, tag)
    kept = tuple(tag for tag in named if tag not in moved)
    return PushReport(digest, blobs, len(pending), tuple(moved), kept)


def _named(top: Manifest, tags: Sequence[str], accelerators: bool) -> dict[str, Manifest]:
    """What each tag is to name: the image or index itself, and an index of those images alone that are for one
    accelerator, since no client chooses by that."""
    named = dict.fromkeys(tags, top)
    for accelerator, index in accelerator_indexes(top).items() if accelerators else ():
        for tag in tags:
            named.setdefault(check_tag(f"{tag}-{accelerator}"), index)
    return named


def _unique(manifests: Iterable[Manifest]) -> list[Manifest]:
    return list({manifest.descriptor.digest: manifest for manifest in manifests}.values())


def _blobs(manifests: Sequence[Manifest]) -> list[Descriptor]:
    """Every blob once, largest first, so that the longest uploads begin first."""
    unique = {blob.digest: blob for manifest in manifests for blob in manifest.blobs}
    return sorted(unique.values(), key=lambda blob: -blob.size)


def _refuse_move(client: RegistryClient, digest: str, tag: str, existing: str) -> None:
    if existing:
        raise TagExistsError(
            f"{client.repository}:{tag} names {existing} already, and tags are not to be moved "
            f"(this image is {digest})\n"
            "  choose another tag"
        )


def _push_blobs(
    layout: LayoutReader,
    client: RegistryClient,
    blobs: Sequence[Descriptor],
    options: PushOptions,
    cancellation: Cancellation,
    watcher: Watcher,
    sources: MountSources,
) -> tuple[BlobReport, ...]:
    files = {blob.digest: layout.blob_path(blob) for blob in blobs}  # all are there before the first byte goes
    present = dict(_parallel(client.has_blob, blobs, options.jobs * 2, cancellation, key=lambda blob: blob.digest))
    missing = [blob for blob in blobs if not present[blob.digest]]
    mounted_from = {blob.digest: sources.find(blob.digest) for blob in missing}
    watcher.started(missing)

    def settle(blob: Descriptor) -> BlobReport:
        outcome = UPLOADED
        if not options.dry_run:
            file = files[blob.digest]
            outcome = client.push_blob(blob, file, watcher.progress(blob), mounted_from[blob.digest])
        report = BlobReport(blob, outcome)
        watcher.blob(report)
        return report

    skipped = [BlobReport(blob, SKIPPED) for blob in blobs if present[blob.digest]]
    for report in skipped:
        watcher.blob(report)
    sent = [report for _, report in _parallel(settle, missing, options.jobs, cancellation)]
    if not options.dry_run:
        sources.add(blob.digest for blob in blobs)
    return tuple(skipped + sent)


def _parallel(
    work: Callable[..., _T],
    items: Sequence[Any],
    jobs: int,
    cancellation: Cancellation,
    key: Callable[[Any], object] = lambda item: item,
) -> list[tuple[object, _T]]:
    """Does `work` on every item in up to `jobs` threads; the first failure cancels the rest and is raised.

    The threads are daemons: an interrupt ends the program without waiting for a connection to time out.
    """
    waiting: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
    for index, item in enumerate(items):
        waiting.put((index, item))
    results: list[Any] = [None] * len(items)
    failures: list[BaseException] = []
    finished: queue.SimpleQueue[None] = queue.SimpleQueue()

    def run() -> None:
        try:
            while True:
                index, item = waiting.get_nowait()
                cancellation.check()
                results[index] = (key(item), work(item))
        except queue.Empty:
            pass
        except BaseException as error:
            failures.append(error)
            cancellation.set()
        finally:
            finished.put(None)

    threads = [
        threading.Thread(target=run, name=f"push-{number}", daemon=True) for number in range(min(jobs, len(items)))
    ]
    for thread in threads:
        thread.start()
    try:
        for _ in threads:
            finished.get()
    except BaseException:  # an interrupt: let what is under way stop at its next block
        cancellation.set()
        for thread in threads:
            thread.join(_JOIN_SECONDS / len(threads))
        raise
    if failures:
        raise next((error for error in failures if not isinstance(error, CancelledError)), failures[0])
    return results


__all__ = [
    "DEFAULT_JOBS",
    "MOUNTED",
    "SKIPPED",
    "UPLOADED",
    "BlobReport",
    "PushOptions",
    "PushReport",
    "TagExistsError",
    "Watcher",
    "push",
]
