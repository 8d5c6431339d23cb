"""`bazel run //deploy:push_all`: publishes several images in one process.

JSON with the digest of each is printed alone on standard output, everything else on standard error.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from absl import flags

from chassis.command_line.cache_flags import BazelCaches
from chassis.command_line.registry_flags import deadline, remedies, transport_of_flags
from chassis.command_line.run import caller_path, run_main
from chassis.command_line.signing_flags import publications
from chassis.errors import ChassisError
from chassis.oci.blob_store import LateStore
from chassis.oci.layout_reader import Manifest
from chassis.oci.push import DEFAULT_JOBS, PushOptions
from chassis.oci.push_all import (
    FAILED,
    PUSHED,
    UNCHANGED,
    Connector,
    Outcome,
    PlannedPush,
    deployment_document,
    push_all,
    read_run,
    run_document,
)
from chassis.oci.push_plan import PushPlan, read_plan
from chassis.oci.push_progress import PushProgress
from chassis.oci.registry.client import RegistryClient
from chassis.oci.registry.credentials import CredentialStore
from chassis.oci.registry.mount_sources import MountSources, named_sources, remembered
from chassis.oci.registry.reference import Repository
from chassis.trust.publication import Publication, attach_all
from chassis.whole_file import write_whole

FLAGS = flags.FLAGS
flags.DEFINE_multi_string("plan", None, "What an oci_push target says.", required=True)
flags.DEFINE_multi_string("tag", [], "Tag of every image, beside those of its target.", short_name="t")
flags.DEFINE_string(
    "registry", None, "Registry, and prefix of the repositories, to push to instead: host[:port][/prefix]."
)
flags.DEFINE_string(
    "since", None, "Output of the last run: what has the same digest, tags and attachments is not looked at."
)
flags.DEFINE_string("deployment", None, "File to write repositories and their digests to, as JSON.")
flags.DEFINE_bool("dry_run", False, "Say what would move; send nothing.")
flags.DEFINE_alias("dry-run", "dry_run")
flags.DEFINE_bool("accelerator_tags", True, "For each tag of an index, one with -cuda for its images with CUDA alone.")
flags.DEFINE_bool("immutable_tags", False, "Refuse to move a tag that names another image.")
flags.DEFINE_alias("immutable-tags", "immutable_tags")
flags.DEFINE_integer("jobs", DEFAULT_JOBS, "Blobs in flight.", lower_bound=1, upper_bound=32)
flags.DEFINE_float("timeout", 3600.0, "Seconds that all pushes together may take.", lower_bound=0.001)


def main(argv: Sequence[str]) -> int:
    """Exit status 0 if every image is published, 1 if one is not; standard output says which in either case."""
    del argv
    begin = time.monotonic()
    runfiles = Path(os.environ["RUNFILES_DIR"])
    plans = [read_plan(Path(path), runfiles) for path in FLAGS.plan]
    caches = BazelCaches()
    pushes = [_planned(plan, what, caches) for plan, what in zip(plans, publications(plans), strict=True)]
    since = read_run(caller_path(FLAGS.since)) if FLAGS.since else {}
    cancellation = deadline(FLAGS.timeout)
    transport = transport_of_flags(FLAGS.jobs * 2, cancellation)
    store = CredentialStore(os.environ)

    def connect(repository: Repository, beside: RegistryClient | None) -> RegistryClient:
        with remedies():
            return RegistryClient(repository, transport, store, FLAGS.insecure, beside=beside)

    def sources(repository: Repository, names: Sequence[str]) -> MountSources:
        return MountSources(repository, remembered(repository, os.environ), named_sources(repository, names))

    options = PushOptions(FLAGS.jobs, FLAGS.dry_run, FLAGS.immutable_tags, FLAGS.accelerator_tags)
    with PushProgress(sys.stderr, FLAGS.dry_run) as progress:
        connector = Connector(connect, sources)
        outcomes = push_all(pushes, connector, options, cancellation, progress.watcher(), since)
    signal.setitimer(signal.ITIMER_REAL, 0)
    _report(outcomes, time.monotonic() - begin)
    return 1 if any(outcome.outcome == FAILED for outcome in outcomes) else 0


def _planned(plan: PushPlan, what: Publication, caches: BazelCaches) -> PlannedPush:
    repository = plan.repository
    if FLAGS.registry:
        path = repository.partition("/")[2] if repository else plan.target.partition("//")[2].partition(":")[0]
        repository = f"{FLAGS.registry.rstrip('/')}/{path}"
    if not repository:
        raise ChassisError(f"{plan.target}: no repository: write it in the oci_push target, or give --registry")
    return PlannedPush(
        target=plan.target,
        layout=plan.documents,
        repository=repository,
        tags=tuple(dict.fromkeys(plan.all_tags(FLAGS.tag))),
        stores=(*plan.stores(), LateStore(caches.stores)),
        mount_from=plan.mount_from,
        immutable_tags=plan.immutable_tags,
        attach=_attaching(what),
        attached=what.fingerprint,
        check=what.check,
    )


def _attaching(what: Publication) -> Callable[[RegistryClient, Sequence[Manifest]], object] | None:
    if not what.fingerprint:
        return None
    return lambda client, manifests: attach_all(client, manifests, what, FLAGS.dry_run)


def _report(outcomes: Sequence[Outcome], seconds: float) -> None:
    document = run_document(outcomes)
    if FLAGS.deployment and not FLAGS.dry_run:
        write_whole(caller_path(FLAGS.deployment), deployment_document(outcomes).encode())
    for outcome in outcomes:
        if outcome.outcome == FAILED:
            print(f"error: {outcome.target}: {outcome.error}", file=sys.stderr)
    counts = [f"{sum(outcome.outcome == kind for outcome in outcomes)} {kind}" for kind in (PUSHED, UNCHANGED, FAILED)]
    verb = "would be published" if FLAGS.dry_run else "published"
    print(f"{len(outcomes)} images {verb} in {seconds:.1f} s: {', '.join(counts)}", file=sys.stderr)
    print(document, end="", flush=True)


if __name__ == "__main__":
    run_main(main)
