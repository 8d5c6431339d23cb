"""Pushes an artifact, such as an SBOM, that refers to an image:
`bazel run @chassis//chassis/tools:attach -- --image R@sha256:… --artifact_type T --file TYPE=PATH`.

The artifact's digest is printed alone on standard output.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from absl import flags

from chassis.command_line.registry_flags import remedies, transport_of_flags
from chassis.command_line.run import caller_path, run_main
from chassis.errors import ChassisError
from chassis.oci.referrer import ArtifactFile, attach
from chassis.oci.registry.client import RegistryClient
from chassis.oci.registry.credentials import CredentialStore
from chassis.oci.registry.reference import parse_reference

FLAGS = flags.FLAGS
flags.DEFINE_string("image", None, "The image or index, host[:port]/path@sha256:….", required=True)
flags.DEFINE_string("artifact_type", None, "Media type of the artifact, such as application/spdx+json.", required=True)
flags.DEFINE_multi_string("file", [], "MEDIA_TYPE=PATH: a file of the artifact.")
flags.DEFINE_multi_string("annotation", [], "KEY=VALUE: an annotation of the artifact.")


def main(argv: Sequence[str]) -> int:
    """Exit status 0 once the artifact is there and listed."""
    del argv
    with remedies():
        _attach()
    return 0


def _attach() -> None:
    reference = parse_reference(FLAGS.image)
    client = RegistryClient(reference.repository, transport_of_flags(), CredentialStore(os.environ), FLAGS.insecure)
    if not reference.digest:
        named = client.manifest_digest(reference.tag or "latest")
        remedy = f"write @{named}, which it names now" if named else "the registry does not have it"
        raise ChassisError(f"image {FLAGS.image!r}: an artifact refers to a digest; {remedy}")
    files = [ArtifactFile(caller_path(path), media_type) for media_type, path in _pairs("file")]
    attached = attach(client, reference.digest, FLAGS.artifact_type, files, dict(_pairs("annotation")))
    listed = f"listed under the tag {attached.tag}" if attached.tag else "listed by the registry"
    print(
        f"{reference.repository}@{attached.descriptor.digest} refers to {reference.digest}, {listed}", file=sys.stderr
    )
    print(attached.descriptor.digest)


def _pairs(flag: str) -> list[tuple[str, str]]:
    pairs = []
    for text in FLAGS[flag].value:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise ChassisError(f"--{flag}={text}: KEY=VALUE is expected")
        pairs.append((key, value))
    return pairs


if __name__ == "__main__":
    run_main(main)
