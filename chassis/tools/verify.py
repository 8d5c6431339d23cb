"""`bazel run @chassis//:verify -- IMAGE --key cosign.pub`: whether a published image is signed, and what is said of it.

With `--rebuild` the image is made again from the commit and flags that its provenance names, and compared. The digest
of an image that is good is printed alone on standard output.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from absl import flags

from chassis.command_line.registry_flags import deadline, remedies, transport_of_flags
from chassis.command_line.run import caller_path, run_main
from chassis.errors import ChassisError
from chassis.oci.artifacts import Artifact, SubjectReferrers, fetch_bytes
from chassis.oci.descriptor import Descriptor
from chassis.oci.json_document import read_object
from chassis.oci.layout_reader import INDEX_TYPES, LayoutReader
from chassis.oci.registry.client import RegistryClient
from chassis.oci.registry.credentials import CredentialStore
from chassis.oci.registry.reference import parse_reference
from chassis.trust.bundle import sign_statement
from chassis.trust.comparison import ImageRecord, differences
from chassis.trust.errors import RebuildError
from chassis.trust.keys import PublicKey, Signer, password_of, read_public_key, read_signer
from chassis.trust.publication import BUNDLE_TYPE, bundle_annotations
from chassis.trust.rebuild import Rebuilder, Recipe, provenance_of, rebuild_statement, recipe_of
from chassis.trust.statement import CYCLONEDX, PROVENANCE, REBUILD, SPDX
from chassis.trust.verification import Verified, verify_image
from chassis.trust.verifying_key import VerifyingIdentity

_KINDS = {"cyclonedx": CYCLONEDX, "provenance": PROVENANCE, "rebuild": REBUILD, "spdx": SPDX}
_REBUILD_SECONDS = 4 * 3600.0

FLAGS = flags.FLAGS
flags.DEFINE_string("image", None, "The image, host[:port]/path:tag or @sha256:….", short_name="i")
flags.DEFINE_multi_string("key", [], "Public key in PEM; of several, one has to have signed.")
flags.DEFINE_string(
    "certificate_identity", None, "Who has to have signed without a key, as the certificate names them."
)
flags.DEFINE_alias("certificate-identity", "certificate_identity")
flags.DEFINE_string("certificate_oidc_issuer", None, "The URL of who knows that identity.")
flags.DEFINE_alias("certificate-oidc-issuer", "certificate_oidc_issuer")
flags.DEFINE_string(
    "trusted_root", None, "Whose certificates count, if not those of Sigstore's public services: a JSON file."
)
flags.DEFINE_alias("trusted-root", "trusted_root")
flags.DEFINE_multi_enum("require", [], sorted(_KINDS), "A signed statement that has to be there.")
flags.DEFINE_string("layout", None, "OCI layout that the image has to be the same as, as an oci_verify target has it.")
flags.DEFINE_float("timeout", 300.0, "Seconds that it may take; with --rebuild four hours.", lower_bound=0.001)
flags.DEFINE_bool("rebuild", False, "Make the image again from its provenance, in this repository, and compare.")
flags.DEFINE_string("attest", None, "Private key: sign that the image was made again, and attach that to it.")
flags.DEFINE_string("bazel", None, "Bazel for --rebuild; the workspace's bazelw, else bazel.")
flags.DEFINE_multi_string("bazel_flag", [], "A flag more for the build of --rebuild, such as --disk_cache=….")


def main(argv: Sequence[str]) -> int:
    """Exit status 0 if the image is signed by a key; everything else is an error with its reason."""
    del argv
    if not FLAGS.image:
        raise ChassisError("no image: name one, such as registry.example/digits:0.0.1")
    if not FLAGS.key and not FLAGS.certificate_identity:
        raise ChassisError(
            "no key: give the public one of who signs, --key cosign.pub, or an identity, --certificate_identity"
        )
    if FLAGS.attest and not FLAGS.rebuild:
        raise ChassisError("--attest: says that an image was made again; give --rebuild too")
    identities = _identities()
    who = Trusted([read_public_key(caller_path(name)) for name in FLAGS.key], identities)
    signer = read_signer(caller_path(FLAGS.attest), password_of(os.environ)) if FLAGS.attest else None
    if signer:
        signer.check()  # before a build of minutes
    reference = parse_reference(FLAGS.image)
    seconds = _REBUILD_SECONDS if FLAGS.rebuild and not FLAGS["timeout"].present else FLAGS.timeout
    transport = transport_of_flags(4, deadline(seconds, "verifying", ""))
    actions = "pull,push" if signer else "pull"
    with remedies():
        client = RegistryClient(
            reference.repository, transport, CredentialStore(os.environ), FLAGS.insecure, actions=actions
        )
        digest = reference.digest or client.manifest_digest(reference.tag or "latest")
        if not digest:
            raise ChassisError(f"{FLAGS.image}: the registry does not have it")
        if not FLAGS.rebuild:
            _check_same(digest)
        verified = who.verify(client, digest, [_KINDS[name] for name in FLAGS.require])
        print(_summary(verified, str(reference.repository), who), file=sys.stderr)
        if FLAGS.rebuild:
            for image in _images(client, digest):
                _make_again(client, image, who, signer)
    print(digest, flush=True)
    return 0


@dataclass(frozen=True, slots=True)
class Trusted:
    """Who has to have signed: one of the keys, or of the identities."""

    keys: Sequence[PublicKey]
    identities: Sequence[VerifyingIdentity]

    def verify(self, client: RegistryClient, digest: str, needed: Sequence[str] = ()) -> Verified:
        """See `verify_image`."""
        return verify_image(client, digest, self.keys, needed, identities=self.identities)


def _identities() -> list[VerifyingIdentity]:
    given = {name: FLAGS[name].value for name in ("certificate_identity", "certificate_oidc_issuer", "trusted_root")}
    if not any(given.values()):
        return []
    for name in ("certificate_identity", "certificate_oidc_issuer"):
        if not given[name]:
            raise ChassisError(f"--{name}: is missing: an identity is a name and the issuer that knows it; give both")
    from chassis.trust.keyless import Identity, read_trusted_root  # as slow to import as all the rest

    root = read_trusted_root(caller_path(FLAGS.trusted_root) if FLAGS.trusted_root else None)
    return [Identity(FLAGS.certificate_identity, FLAGS.certificate_oidc_issuer, root)]


def _check_same(digest: str) -> None:
    if FLAGS.layout:
        built = LayoutReader(Path(FLAGS.layout)).entry().digest
        if built != digest:
            raise ChassisError(f"{FLAGS.image}: is {digest}, but this build makes {built}")


def _summary(verified: Verified, repository: str, trusted: Trusted) -> str:
    names = [*FLAGS.key, *(identity.where for identity in trusted.identities)]
    who = names[0] if len(names) == 1 else f"one of {', '.join(names)}"
    lines = [f"{repository}@{verified.digest} is signed by {who}"]
    lines += [f"  as {form}" for form in verified.forms]
    lines += [f"  says {kind}" for kind in sorted({one.predicate_type for one in verified.statements})]
    lines += [f"  left out: {reason}" for reason in verified.refused]
    return "\n".join(lines)


def _images(client: RegistryClient, digest: str) -> list[Descriptor]:
    """The image itself, or the images of an index."""
    media_type, data = client.manifest(digest)
    if media_type not in INDEX_TYPES:
        return [Descriptor(media_type, digest, len(data))]
    where = f"{client.repository}@{digest}"
    listed = read_object(data, where, RebuildError).get("manifests") or []
    return [Descriptor.from_json(entry, where) for entry in listed]


def _make_again(client: RegistryClient, image: Descriptor, who: Trusted, signer: Signer | None) -> None:
    """Makes one image again, and attaches that it is the same if there is a signer.

    Raises:
      RebuildError: it cannot be made, or is another; the message names each input that differs.
    """
    where = f"{client.repository}@{image.digest}"
    provenance = provenance_of(who.verify(client, image.digest).statements, where)
    recipe = recipe_of(provenance, where)
    workspace = os.environ.get("BUILD_WORKSPACE_DIRECTORY")
    if not workspace:
        raise RebuildError("--rebuild: start it by `bazel run`, in the repository that the image was built from")
    print(f"{where}: building {recipe.target} of commit {recipe.commit}", file=sys.stderr)
    _, manifest = client.manifest(image.digest)
    config = Descriptor.from_json(read_object(manifest, where, RebuildError).get("config"), f"{where}: config")
    published = ImageRecord(manifest, fetch_bytes(client, config), provenance.predicate)
    bazel = caller_path(FLAGS.bazel).absolute() if FLAGS.bazel else None
    built = Rebuilder(Path(workspace), bazel, tuple(FLAGS.bazel_flag)).build(recipe, where)
    found = differences(published, built)
    if found:
        lines = "".join(f"\n  {line}" for line in found)
        raise RebuildError(f"{where}: commit {recipe.commit} makes another image; what differs:{lines}")
    print(f"{where}: made again from commit {recipe.commit}, the same to the byte", file=sys.stderr)
    if signer:
        _attest(client, image, recipe, signer)


def _attest(client: RegistryClient, image: Descriptor, recipe: Recipe, signer: Signer) -> None:
    bundle = sign_statement(rebuild_statement(image.digest, recipe, FLAGS.bazel_flag), signer)
    artifact = Artifact(BUNDLE_TYPE, "rebuild.sigstore.json", bundle, bundle_annotations(REBUILD))
    (report,) = SubjectReferrers(client, image).attach([artifact])
    print(f"{image.digest}: {report.outcome}: {report.name}", file=sys.stderr)


def with_image_flag(arguments: Sequence[str]) -> list[str]:
    """The command line with its one bare word, the image, as a flag."""
    program, *rest = arguments
    if rest and not rest[0].startswith("-"):
        rest[0] = f"--image={rest[0]}"
    return [program, *rest]


if __name__ == "__main__":
    sys.argv = with_image_flag(sys.argv)
    run_main(main)
