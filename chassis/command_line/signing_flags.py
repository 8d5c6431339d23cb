"""The flags by which a push is told to sign, and what they make."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from absl import flags

from chassis.command_line.run import caller_path
from chassis.errors import ChassisError
from chassis.oci.push_plan import PushPlan
from chassis.trust.publication import ImageDocuments, Publication, read_documents

if TYPE_CHECKING:
    from chassis.trust.keys import Signer

FLAGS = flags.FLAGS
flags.DEFINE_bool("sign", None, "Sign what is pushed; with a key in the oci_push target that is the default.")
flags.DEFINE_string("key", None, "Private key: an encrypted cosign.key (COSIGN_PASSWORD), or PEM.")
flags.DEFINE_string("signer", None, "Program that signs, such as a KMS's client: docs/trust.md.")
flags.DEFINE_bool("signature_tags", None, "Sign in the older form too, under the tag sha256-….sig.")
flags.DEFINE_alias("signature-tags", "signature_tags")


def publication(plan: PushPlan) -> Publication:
    """What is attached to an image: what its target says, with what the flags say.

    Raises:
      ChassisError: a key is missing or not a key, or its password is wrong; or a document cannot be read.
    """
    documents = read_documents(
        ImageDocuments(about.cyclonedx, about.spdx, about.provenance) for about in plan.documents_about
    )
    tags = plan.signature_tags if FLAGS.signature_tags is None else FLAGS.signature_tags
    return Publication(documents, _signer(plan), tags)


def _signer(plan: PushPlan) -> Signer | None:
    named = [name for name in ("key", "signer") if FLAGS[name].value]
    wanted = FLAGS.sign if FLAGS.sign is not None else bool(named or plan.sign_key)
    if not wanted:
        if named and FLAGS.sign is False:
            raise ChassisError(f"--nosign and --{named[0]} contradict each other; leave one out")
        return None
    if len(named) == 2:
        raise ChassisError("--key and --signer: only one of the two can sign; leave one out")
    if FLAGS.signer:
        from chassis.trust.signer_program import program_signer

        return program_signer(FLAGS.signer)
    key = caller_path(FLAGS.key) if FLAGS.key else plan.sign_key
    if key is None:
        raise ChassisError("--sign: nothing to sign with: give --key cosign.key or --signer PROGRAM")
    from chassis.trust.keys import password_of, read_signer  # takes half as long to import as all the rest

    return read_signer(key, password_of(os.environ))
