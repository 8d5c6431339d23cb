"""A program that signs, for keys that never leave a KMS or a token.

It gets the bytes on its standard input and writes the signature in base64 to its standard output; started with
`--public-key` as its last argument, it writes the public key in PEM. `cosign`'s plugins, `openssl pkeyutl` and the
clients of KMSs are easily wrapped so.
"""

from __future__ import annotations

import base64
import shlex
import subprocess

from chassis.trust.errors import SigningKeyError
from chassis.trust.keys import Signer, public_key_of

TIMEOUT_SECONDS = 60.0
_MAX_OUTPUT_BYTES = 64 << 10


def program_signer(command: str, timeout: float = TIMEOUT_SECONDS) -> Signer:
    """A signer that starts `command`, words as a shell has them, for each signature. What it signs is verified.

    Raises:
      SigningKeyError: the program cannot be started, or gives no public key.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise SigningKeyError(f"--signer={command}: {error}") from None
    if not words:
        raise SigningKeyError("--signer: names no program")
    public = public_key_of(_run([*words, "--public-key"], b"", timeout), f"--signer={command}")

    def sign(message: bytes) -> bytes:
        text = _run(words, message, timeout)
        try:
            signature = base64.b64decode(b"".join(text.split()), validate=True)
        except ValueError:
            raise SigningKeyError(f"--signer={command}: its output is not a signature in base64") from None
        if not public.verifies(signature, message):
            raise SigningKeyError(f"--signer={command}: its signature is not that of the public key that it gave")
        return signature

    return Signer(sign, public, repeatable=False)


def _run(words: list[str], given: bytes, timeout: float) -> bytes:
    name = shlex.join(words)
    try:
        done = subprocess.run(words, input=given, capture_output=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        raise SigningKeyError(f"--signer: {name}: gave no answer in {timeout:g} s") from None
    except OSError as error:
        raise SigningKeyError(f"--signer: {name}: cannot be started: {error.strerror}") from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()[-500:]
        raise SigningKeyError(f"--signer: {name}: failed with status {done.returncode}: {said}")
    if len(done.stdout) > _MAX_OUTPUT_BYTES:
        raise SigningKeyError(f"--signer: {name}: wrote {len(done.stdout)} bytes, which are not a signature")
    return done.stdout
