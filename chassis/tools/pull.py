"""Pulls an image's manifest and configuration, or one layer: what the repositories of `oci_pull` run.

Runs before any package is built, on the bare interpreter with urllib3's wheel on the path: it imports nothing else that
is not in the standard library or the registry client.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from chassis.errors import ChassisError
from chassis.oci.descriptor import Descriptor
from chassis.oci.pull import parse_platform, pinned_digest, pull_image
from chassis.oci.registry.client import RegistryClient
from chassis.oci.registry.credentials import CredentialStore
from chassis.oci.registry.errors import NotTlsError, UntrustedCertificateError
from chassis.oci.registry.reference import parse_reference
from chassis.oci.registry.transport import Transport
from chassis.openssl_verifier import OpenSslKey
from chassis.trust.errors import SignatureError, SigningKeyError
from chassis.trust.verification import verify_image

_REMEDIES = {
    NotTlsError: "`insecure = True` in oci_pull allows plain HTTP",
    SignatureError: "the digest has to be signed by one of `keys` in oci_pull",
    UntrustedCertificateError: "for a private authority set SSL_CERT_FILE to a file with its certificates",
}


def main(argv: list[str]) -> int:
    """Exit status 0 once all files are whole; 1 with the reason on standard error."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--image", required=True, help="host[:port]/path[:tag][@digest]")
    parser.add_argument("--platform", help="os/architecture[/variant]: which image of an index")
    parser.add_argument("--insecure", action="store_true", help="allow plain HTTP beyond loopback")
    parser.add_argument("--key", type=Path, action="append", default=[], help="public key: one has to have signed it")
    parser.add_argument("--layer", type=int, help="fetch this layer of `layers.json` into `layer`")
    parser.add_argument("--layers_json", type=Path, help="where `layers.json` is; for --layer")
    parser.add_argument("--output", type=Path, required=True, help="directory to write into")
    arguments = parser.parse_args(argv)
    try:
        _pull(arguments)
    except ChassisError as error:
        remedy = next((text for kind, text in _REMEDIES.items() if isinstance(error, kind)), "")
        print(f"error: {error}" + (f"\n  {remedy}" if remedy else ""), file=sys.stderr)
        return 1
    return 0


def _pull(arguments: argparse.Namespace) -> None:
    reference = parse_reference(arguments.image)
    store = CredentialStore(os.environ)
    client = RegistryClient(reference.repository, Transport(), store, arguments.insecure, actions="pull")
    if arguments.layer is not None:
        layers = json.loads(arguments.layers_json.read_text())
        descriptor = Descriptor.from_json(layers[arguments.layer], str(arguments.layers_json))
        client.fetch_blob(descriptor, arguments.output / "layer")
        return
    platform = parse_platform(arguments.platform) if arguments.platform else None
    digest = pinned_digest(reference, client)
    if arguments.key:
        verify_image(client, digest, [_key(path) for path in arguments.key])
    image = pull_image(client, digest, platform, arguments.output)
    (arguments.output / "manifest.json").write_bytes(image.manifest)
    (arguments.output / "config.json").write_bytes(image.config)
    (arguments.output / "layers.json").write_text(json.dumps([layer.to_json() for layer in image.layers]) + "\n")


def _key(path: Path) -> OpenSslKey:
    try:
        return OpenSslKey(path.read_bytes(), path.name)
    except OSError as error:
        raise SigningKeyError(f"{path}: cannot be read: {error.strerror}") from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
