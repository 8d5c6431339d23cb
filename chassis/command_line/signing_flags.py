"""The flags by which a push is told to sign, and what they make."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from chassis.command_line.run import caller_path
from chassis.errors import ChassisError
from chassis.oci.push_plan import PushPlan
from chassis.trust.publication import ImageDocuments, Publication, read_documents

if TYPE_CHECKING:
    from chassis.trust.image_signer import ImageSigner
    from chassis.trust.keys import Signer

FLAGS = flags.FLAGS
flags.DEFINE_bool("sign", None, "Sign what is pushed; with a key in the oci_push target that is the default.")
flags.DEFINE_string("key", None, "Private key: an encrypted cosign.key (COSIGN_PASSWORD), or PEM.")
flags.DEFINE_string("signer", None, "Program that signs, such as a KMS's client: docs/trust.md.")
flags.DEFINE_bool("signature_tags", None, "Sign in the older form too, under the tag sha256-….sig.")
flags.DEFINE_alias("signature-tags", "signature_tags")
flags.DEFINE_bool("keyless", None, "Sign with an identity rather than a key, by Sigstore's services: docs/trust.md.")
flags.DEFINE_string(
    "identity_token", None, "File with the identity token of --keyless; else SIGSTORE_ID_TOKEN, or CI's."
)
flags.DEFINE_alias("identity-token", "identity_token")
flags.DEFINE_string("signing_config", None, "Which services of Sigstore sign, if not the public ones: a JSON file.")
flags.DEFINE_alias("signing-config", "signing_config")
flags.DEFINE_string("trusted_root", None, "Whom to trust of Sigstore, if not the public services: a JSON file.")
flags.DEFINE_alias("trusted-root", "trusted_root")

_OF_KEYLESS = ("identity_token", "signing_config", "trusted_root")


def publications(plans: Sequence[PushPlan]) -> list[Publication]:
    """What is attached to each image: what its target says, with what the flags say. One
    identity signs all that is signed without a key.

    Raises:
      ChassisError: flags contradict each other, or are of no use to any image; a key is missing or not a key, or its
        password is wrong; no identity token is given; or a document cannot be read.
    """
    _check_flags()
    if not any(_is_keyless(plan) for plan in plans):
        for name in _OF_KEYLESS:
            if FLAGS[name].value:
                raise ChassisError(f"--{name}: belongs to --keyless; give that too, or leave it out")
    return [_publication(plan) for plan in plans]


def _publication(plan: PushPlan) -> Publication:
    documents = read_documents(
        ImageDocuments(about.cyclonedx, about.spdx, about.provenance) for about in plan.documents_about
    )
    tags = plan.signature_tags if FLAGS.signature_tags is None else FLAGS.signature_tags
    if not _is_wanted(plan):
        return Publication(documents)
    if _is_keyless(plan):
        if tags:
            raise ChassisError("--signature_tags: the older form takes a key; leave it out, or give --key")
        return Publication(documents, _keyless())
    from chassis.trust.bundle import KeySigner

    signer = _signer(plan)
    return Publication(documents, KeySigner(signer), signer if tags else None)


def _signing() -> list[str]:
    return [name for name in ("key", "signer", "keyless") if FLAGS[name].value]


def _check_flags() -> None:
    named = _signing()
    useless = [*named, *(name for name in _OF_KEYLESS if FLAGS[name].value)]
    if FLAGS.sign is False and useless:
        raise ChassisError(f"--nosign and --{useless[0]} contradict each other; leave one out")
    if len(named) > 1:
        raise ChassisError(f"--{named[0]} and --{named[1]}: only one of the two can sign; leave one out")


def _is_wanted(plan: PushPlan) -> bool:
    """Whether something is to be signed."""
    return bool(_signing() or plan.sign_key or plan.keyless) if FLAGS.sign is None else bool(FLAGS.sign)


def _is_keyless(plan: PushPlan) -> bool:
    """Whether an identity signs."""
    by_target = plan.keyless and FLAGS.keyless is None and not (FLAGS.key or FLAGS.signer)
    return _is_wanted(plan) and bool(FLAGS.keyless or by_target)


def _signer(plan: PushPlan) -> Signer:
    if FLAGS.signer:
        from chassis.trust.signer_program import program_signer

        return program_signer(FLAGS.signer)
    key = caller_path(FLAGS.key) if FLAGS.key else plan.sign_key
    if key is None and plan.keyless and FLAGS.keyless is False:
        raise ChassisError(
            f"--nokeyless: {plan.target} has nothing else to sign with: give --key cosign.key or --signer PROGRAM, or "
            "--nosign to push it unsigned"
        )
    if key is None:
        raise ChassisError("--sign: nothing to sign with: give --key cosign.key, --signer PROGRAM or --keyless")
    from chassis.trust.keys import password_of, read_signer  # takes half as long to import as all the rest

    return read_signer(key, password_of(os.environ))


def _keyless() -> ImageSigner:
    if bool(FLAGS.signing_config) != bool(FLAGS.trusted_root):
        raise ChassisError("--signing_config and --trusted_root: give both, of the same services, or neither")
    if str(FLAGS.identity_token).startswith("eyJ"):
        raise ChassisError("--identity_token: is a token, which any process here could read; give a file with it")
    return _identity_signer(*(_path(name) for name in _OF_KEYLESS))


def _path(flag: str) -> Path | None:
    value = FLAGS[flag].value
    return caller_path(value) if value else None


@cache
def _identity_signer(token_file: Path | None, signing: Path | None, root: Path | None) -> ImageSigner:
    """One for all images: its token, and what the services are, are asked for once, and so is its certificate."""
    try:
        from chassis.trust.keyless import keyless_signer
    except ModuleNotFoundError as error:
        if not str(error.name).startswith(("sigstore", "chassis.trust.keyless")):
            raise
        raise ChassisError(
            "--keyless: this program does not have the package `sigstore`\n  Push by an oci_push target with "
            "`keyless = True`"
        ) from None
    signer: ImageSigner = keyless_signer(token_file, os.environ, signing, root)
    return signer
