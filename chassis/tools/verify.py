"""`bazel run @chassis//:verify -- IMAGE --key cosign.pub`: whether a published image is signed, and what is said of it.

The digest of an image that is good is printed alone on standard output.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from chassis.command_line.registry_flags import deadline, remedies, transport_of_flags
from chassis.command_line.run import caller_path, run_main
from chassis.errors import ChassisError
from chassis.oci.layout_reader import LayoutReader
from chassis.oci.registry.client import RegistryClient
from chassis.oci.registry.credentials import CredentialStore
from chassis.oci.registry.reference import parse_reference
from chassis.trust.keys import read_public_key
from chassis.trust.statement import CYCLONEDX, PROVENANCE, SPDX
from chassis.trust.verification import Verified, verify_image

_KINDS = {"cyclonedx": CYCLONEDX, "provenance": PROVENANCE, "spdx": SPDX}

FLAGS = flags.FLAGS
flags.DEFINE_string("image", None, "The image, host[:port]/path:tag or @sha256:….", short_name="i")
flags.DEFINE_multi_string("key", [], "Public key in PEM; of several, one has to have signed.")
flags.DEFINE_multi_enum("require", [], sorted(_KINDS), "A signed statement that has to be there.")
flags.DEFINE_string("layout", None, "OCI layout that the image has to be the same as, as an oci_verify target has it.")
flags.DEFINE_float("timeout", 300.0, "Seconds that it may take.", lower_bound=0.001)


def main(argv: Sequence[str]) -> int:
    """Exit status 0 if the image is signed by a key; everything else is an error with its reason."""
    del argv
    if not FLAGS.image:
        raise ChassisError("no image: name one, such as registry.example/digits:0.0.1")
    if not FLAGS.key:
        raise ChassisError("no key: give the public one of who signs, --key cosign.pub")
    keys = [read_public_key(caller_path(name)) for name in FLAGS.key]
    reference = parse_reference(FLAGS.image)
    cancellation = deadline(FLAGS.timeout, "verifying", "")
    transport = transport_of_flags(4, cancellation)
    with remedies():
        client = RegistryClient(
            reference.repository, transport, CredentialStore(os.environ), FLAGS.insecure, actions="pull"
        )
        digest = reference.digest or client.manifest_digest(reference.tag or "latest")
        if not digest:
            raise ChassisError(f"{FLAGS.image}: the registry does not have it")
        _check_same(digest)
        verified = verify_image(client, digest, keys, [_KINDS[name] for name in FLAGS.require])
    print(_summary(verified, str(reference.repository)), file=sys.stderr)
    print(digest, flush=True)
    return 0


def _check_same(digest: str) -> None:
    if FLAGS.layout:
        built = LayoutReader(Path(FLAGS.layout)).entry().digest
        if built != digest:
            raise ChassisError(f"{FLAGS.image}: is {digest}, but this build makes {built}")


def _summary(verified: Verified, repository: str) -> str:
    lines = [f"{repository}@{verified.digest} is signed by {', '.join(FLAGS.key)}"]
    lines += [f"  as {form}" for form in verified.forms]
    lines += [f"  says {kind}" for kind in sorted({one.predicate_type for one in verified.statements})]
    lines += [f"  left out: {reason}" for reason in verified.refused]
    return "\n".join(lines)


def with_image_flag(arguments: Sequence[str]) -> list[str]:
    """The command line with its one bare word, the image, as a flag."""
    program, *rest = arguments
    if rest and not rest[0].startswith("-"):
        rest[0] = f"--image={rest[0]}"
    return [program, *rest]


if __name__ == "__main__":
    sys.argv = with_image_flag(sys.argv)
    run_main(main)
