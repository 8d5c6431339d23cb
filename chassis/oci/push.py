"""Publishes an OCI image layout: what the registry lacks is sent, manifests follow their blobs, tags come
last."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from chassis.oci.blob_store import BlobStore, LayoutStore, locate
from chassis.oci.descriptor import Descriptor
from chassis.oci.index import accelerator_indexes
from chassis.oci.layout_reader import LayoutReader, Manifest
from chassis.oci.registry.blob_source import BlobSource
from chassis.oci.registry.client import RegistryClient
from chassis.oci.registry.errors import CancelledError, RegistryError
from chassis.oci.registry.mount_sources import KnownBlobs, MountSources
from chassis.oci.registry.reference import Repository, check_tag
from chassis.oci.registry.transport import Cancellation
from chassis.oci.registry.upload import MOUNTED, SKIPPED, UPLOADED, Progress

_T = TypeVar("_T")
DEFAULT_JOBS = 6
"""Blobs in flight. A registry hashes each on one processor: with some to spare, all are busy to the end."""

_JOIN_SECONDS = 5.0
_SHOWN_BLOBS = 3


class TagExistsError(RegistryError):
    """A tag that must not move names another image already."""


class MissingBlobError(RegistryError):
    """Blobs that the registry lacks are in none of the places that were looked at."""

    @classmethod
    def of(cls, repository: Repository, blobs: Sequence[Descriptor]) -> MissingBlobError:
        """The error of these blobs."""
        names = "".join(f"\n  {blob.digest} ({blob.size} bytes)" for blob in blobs[:_SHOWN_BLOBS])
        more = f"\n  and {len(blobs) - _SHOWN_BLOBS} more" if len(blobs) > _SHOWN_BLOBS else ""
        what = "a blob" if len(blobs) == 1 else f"{len(blobs)} blobs"
        return cls(f"{repository}: lacks {what} of the image, and no place here has it:{names}{more}")

    def with_remedy(self, remedy: str) -> MissingBlobError:
        """The same error with what can be done."""
        return MissingBlobError(f"{self}\n  {remedy}")


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
    stores: Sequence[BlobStore] = (),
) -> PushReport:
    """Publishes the layout's one image or index under its digest and `tags`, in this order: blobs in
    parallel, manifests by digest (an index after its images), tags. A failure at any point moves no tag. Blobs that
    `sources` knows of in another repository are mounted; those that the registry lacks and that are not in the layout
    are taken from the first of `stores` that has them.

    Raises:
      MissingBlobError: no place has a blob that the registry lacks; nothing was sent then.
      ChassisError: what else went wrong; no tag was moved that the message does not name.
    """
    image = ImagePush(layout, client, tags, options, cancellation, watcher, sources, stores)
    image.send()
    return image.tag()


class ImagePush:
    """The push of one image or index in its two steps, so that of many images the tags come after all content."""

    def __init__(
        self,
        layout: LayoutReader,
        client: RegistryClient,
        tags: Sequence[str],
        options: PushOptions,
        cancellation: Cancellation,
        watcher: Watcher | None = None,
        sources: MountSources | None = None,
        stores: Sequence[BlobStore] = (),
        known: KnownBlobs | None = None,
    ) -> None:
        """See `push`; `known` is what other pushes of this process learned of the registry's blobs."""
        self.client = client
        self._options = options
        self._cancellation = cancellation
        self._watcher = watcher or Watcher()
        self._sources = sources or MountSources(client.repository, None)
        self._stores = [LayoutStore(layout), *stores]
        self._known = known or KnownBlobs()
        tags = tuple(dict.fromkeys(check_tag(tag) for tag in tags))
        self._manifests = _unique(layout.walk(layout.entry()))
        self.digest = self._manifests[-1].descriptor.digest
        self._named = _named(self._manifests[-1], tags, options.accelerator_tags)
        self._manifests += [manifest for manifest in self._named.values() if manifest not in self._manifests]
        self._moved: dict[str, Manifest] = {}
        self._sent: tuple[BlobReport, ...] = ()
        self._pending: list[Manifest] = []

    def send(self, *, check: Callable[[], None] = lambda: None) -> None:
        """Brings blobs and manifests to the registry; no tag is touched. `check` is called before anything is sent, if
        the registry does not have the image."""
        options, client = self._options, self.client
        current = dict(_parallel(client.manifest_digest, [self.digest, *self._named], options.jobs, self._cancellation))
        self._moved = {tag: it for tag, it in self._named.items() if current[tag] != it.descriptor.digest}
        if options.immutable_tags:
            for tag, manifest in self._moved.items():
                _refuse_move(client, manifest.descriptor.digest, tag, current[tag])
        blobs = _blobs(self._manifests)
        if current[self.digest]:  # a registry takes a manifest only with all that it refers to
            self._sent = tuple(BlobReport(blob, SKIPPED) for blob in blobs)
            self._known.add(client.repository.path, blobs)
            return
        check()
        self._pending = self._manifests
        self._sent = self._push_blobs(blobs)
        if not options.dry_run:
            self._known.add(client.repository.path, blobs)
            self._sources.add(blob.digest for blob in blobs)
            for manifest in self._pending:
                self._cancellation.check()
                client.push_manifest(manifest)

    @property
    def manifests(self) -> list[Manifest]:
        """Every manifest and index of the push, what an index refers to before it; companions of tags come last."""
        return list(self._manifests)

    def tag(self) -> PushReport:
        """Sets the tags, once all is sent."""
        if not self._options.dry_run:
            for tag, manifest in self._moved.items():
                self._cancellation.check()
                self.client.push_manifest(manifest, tag)
        kept = tuple(tag for tag in self._named if tag not in self._moved)
        return PushReport(self.digest, self._sent, len(self._pending), tuple(self._moved), kept)

    def _push_blobs(self, blobs: Sequence[Descriptor]) -> tuple[BlobReport, ...]:
        client, options, watcher, path = self.client, self._options, self._watcher, self.client.repository.path
        mounted_from = {blob.digest: self._known.elsewhere(blob.digest, path) for blob in blobs}
        asked = [blob for blob in blobs if not (self._known.has(blob.digest, path) or mounted_from[blob.digest])]
        held = dict(
            _parallel(client.has_blob, asked, options.jobs * 2, self._cancellation, key=lambda blob: blob.digest)
        )
        missing = [blob for blob in blobs if mounted_from[blob.digest] or held.get(blob.digest) is False]
        for blob in missing:
            mounted_from[blob.digest] = mounted_from[blob.digest] or self._sources.find(blob.digest)
        found = self._locate([blob for blob in missing if not mounted_from[blob.digest]])
        watcher.started(missing)

        def settle(blob: Descriptor) -> BlobReport:
            def source() -> BlobSource:
                return found.get(blob.digest) or self._locate([blob])[blob.digest]

            outcome = UPLOADED
            if not options.dry_run:
                outcome = client.push_blob(blob, source, watcher.progress(blob), mounted_from[blob.digest])
            report = BlobReport(blob, outcome)
            watcher.blob(report)
            return report

        gone = {blob.digest for blob in missing}
        skipped = [BlobReport(blob, SKIPPED) for blob in blobs if blob.digest not in gone]
        for report in skipped:
            watcher.blob(report)
        sent = [report for _, report in _parallel(settle, missing, options.jobs, self._cancellation)]
        return tuple(skipped + sent)

    def _locate(self, blobs: Sequence[Descriptor]) -> dict[str, BlobSource]:
        found = locate(blobs, self._stores)
        lacking = [blob for blob in blobs if blob.digest not in found]
        if lacking:
            raise MissingBlobError.of(self.client.repository, lacking)
        return found


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
    "ImagePush",
    "MissingBlobError",
    "PushOptions",
    "PushReport",
    "TagExistsError",
    "Watcher",
    "push",
]
