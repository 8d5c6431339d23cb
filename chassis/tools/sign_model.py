"""Signs the files of a model for its image, from the lists of files of its layers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from chassis.command_line.run import run_main
from chassis.oci.image_spec import read_files
from chassis.trust.keys import password_of, read_signer
from chassis.trust.model_signature import sign_model

_FILES = flags.DEFINE_multi_string("files", [], "List of files of a layer, lowest first.")
_KEY = flags.DEFINE_string(
    "key", None, "Private key: an encrypted cosign.key (COSIGN_PASSWORD), or PEM.", required=True
)
_OUTPUT = flags.DEFINE_string("output", None, "Output: the signature, a Sigstore bundle.", required=True)


def main(argv: Sequence[str]) -> None:
    """Writes the signature."""
    del argv
    # Of what is beside the key, the build knows nothing.
    signer = read_signer(Path(_KEY.value), password_of(os.environ), alone=True)
    files = [file for name in _FILES.value for file in read_files(Path(name))]
    Path(_OUTPUT.value).write_bytes(sign_model(files, signer))


if __name__ == "__main__":
    run_main(main)
