"""`bazel run //model:push -- --repository R --tag T`: publishes an OCI image layout to a registry.

The digest is printed alone on standard output, everything else on standard error.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from absl import flags

from chassis.command_line.cache_flags import BazelCaches, bringing
from chassis.command_line.registry_flags import deadline, remedies, transport_of_flags
from chassis.command_line.run import run_main
from chassis.command_line.signing_flags import publications
from chassis.errors import ChassisError
from chassis.oci.artifacts import SKIPPED as ARTIFACT_SKIPPED
from chassis.oci.artifacts import ArtifactReport
from chassis.oci.blob_store import LateStore
from chassis.oci.layout_reader import LayoutReader
from chassis.oci.push import DEFAULT_JOBS, MOUNTED, SKIPPED, UPLOADED, ImagePush, PushOptions, PushReport
from chassis.oci.push_plan import PushPlan, plan_of_layout, read_plan
from chassis.oci.push_progress import PushProgress, size_text
from chassis.oci.registry.client import RegistryClient
from chassis.oci.registry.credentials import CredentialStore
from chassis.oci.registry.mount_sources import MountSources, named_sources, remembered
from chassis.oci.registry.reference import parse_reference
from chassis.trust.publication import attach_all

FLAGS = flags.FLAGS
flags.DEFINE_string("image", None, "OCI image layout directory to publish.")
flags.DEFINE_string("plan", None, "What an oci_push target says; --image is then not needed.")
flags.DEFINE_string(
    "repository",
    None,
    "Registry and repository, host[:port]/path; the last one given counts.",
    short_name="r",
)
flags.DEFINE_multi_string("tag", [], "Tag; repeated, each adds to the others.", short_name="t")
flags.DEFINE_multi_string("tag_file", [], "File of tags, one a line.")
flags.DEFINE_multi_string("stamped_tag", [], "Tag with {KEY}s of the workspace's status.")
flags.DEFINE_multi_string("status_file", [], "File of the workspace's status.")
flags.DEFINE_bool("accelerator_tags", True, "For each tag of an index, one with -cuda for its images with CUDA alone.")
flags.DEFINE_bool("dry_run", False, "Say what would move, and how many bytes; send nothing.")
flags.DEFINE_alias("dry-run", "dry_run")
flags.DEFINE_bool("immutable_tags", False, "Refuse to move a tag that names another image.")
flags.DEFINE_alias("immutable-tags", "immutable_tags")
flags.DEFINE_multi_string("mount_from", [], "Repository whose blobs may be mounted if it is in the same registry.")
flags.DEFINE_integer("jobs", DEFAULT_JOBS, "Blobs in flight.", lower_bound=1, upper_bound=32)
flags.DEFINE_float("timeout", 3600.0, "Seconds that the whole push may take.", lower_bound=0.001)


def main(argv: Sequence[str]) -> int:
    """Exit status 0 once every tag is set; the digest is then on standard output."""
    del argv
    plan = _plan()
    repository = FLAGS.repository or plan.repository
    if not repository:
        raise ChassisError("no repository: give one with --repository host[:port]/path, or in the oci_push target")
    reference = parse_reference(repository)
    if reference.digest:
        raise ChassisError(f"repository {repository!r}: leave the digest out; it is the image's own")
    tags = plan.all_tags([*([reference.tag] if reference.tag else []), *FLAGS.tag])
    cancellation = deadline(FLAGS.timeout)
    begin = time.monotonic()
    layout = LayoutReader(plan.documents)
    stores = [*plan.stores(), LateStore(BazelCaches().stores)]
    (what,) = publications([plan])
    immutable = FLAGS.immutable_tags or plan.immutable_tags
    options = PushOptions(FLAGS.jobs, FLAGS.dry_run, immutable, FLAGS.accelerator_tags)
    sources = MountSources(
        reference.repository,
        remembered(reference.repository, os.environ),
        named_sources(reference.repository, [*plan.mount_from, *FLAGS.mount_from]),
    )
    transport = transport_of_flags(FLAGS.jobs * 2, cancellation)
    with remedies(), bringing(plan.target), PushProgress(sys.stderr, FLAGS.dry_run) as progress:
        client = RegistryClient(reference.repository, transport, CredentialStore(os.environ), FLAGS.insecure)
        image = ImagePush(layout, client, tags, options, cancellation, progress.watcher(), sources, stores)
        image.send(check=what.check)
        attached = attach_all(client, image.manifests, what, FLAGS.dry_run)
        report = image.tag()
    signal.setitimer(signal.ITIMER_REAL, 0)
    print(_summary(report, attached, str(reference.repository), time.monotonic() - begin), file=sys.stderr)
    print(report.digest, flush=True)
    return 0


def _plan() -> PushPlan:
    """The target's plan with what the flags add; without a target what they say alone."""
    if FLAGS.plan:
        plan = read_plan(Path(FLAGS.plan), Path(os.environ["RUNFILES_DIR"]))
    elif FLAGS.image:
        plan = plan_of_layout(Path(FLAGS.image))
    else:
        raise ChassisError("no image: give an OCI image layout directory with --image")
    return replace(
        plan,
        tag_files=(*plan.tag_files, *(Path(file) for file in FLAGS.tag_file)),
        stamped_tags=(*plan.stamped_tags, *FLAGS.stamped_tag),
        status_files=(*plan.status_files, *(Path(file) for file in FLAGS.status_file)),
    )


def _summary(report: PushReport, attached: Sequence[ArtifactReport], repository: str, seconds: float) -> str:
    counts = []
    for outcome in (UPLOADED, MOUNTED, SKIPPED):
        number, size = report.count(outcome)
        counts.append(f"{number} {outcome} ({size_text(size)})")
    verb = "would be pushed" if FLAGS.dry_run else "pushed"
    lines = [f"{repository}@{report.digest} {verb} in {seconds:.1f} s: blobs: {', '.join(counts)}"]
    lines += _attached(attached)
    lines += [f"tag {tag} {'would be set' if FLAGS.dry_run else 'set'}" for tag in report.tags]
    lines += [f"tag {tag} was there already" for tag in report.kept]
    return "\n".join(lines)


def _attached(reports: Sequence[ArtifactReport]) -> list[str]:
    """A line for each image or index, and for what became of what is attached to it."""
    names: dict[tuple[str, str], list[str]] = {}
    signers: dict[tuple[str, str], str] = {}
    for report in reports:
        done = "there already" if report.outcome == ARTIFACT_SKIPPED else "attached"
        done = "would be attached" if FLAGS.dry_run and done == "attached" else done
        names.setdefault((report.subject, done), []).append(report.name)
        if report.signed_by:
            signers[report.subject, done] = f" (signed by {report.signed_by})"
    return [f"{key[0]}: {key[1]}: {', '.join(listed)}{signers.get(key, '')}" for key, listed in names.items()]


if __name__ == "__main__":
    run_main(main)
