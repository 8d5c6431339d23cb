"""cosign, oras and registries for tests of signatures, with nothing of this machine's configuration."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.publishing.push_tool import run_tool
from tests.publishing.registry_server import program
from tests.publishing.sample_images import sample_image

PASSWORD = "of a test"
_LIMIT_SECONDS = 60

_SIGNER = """
import base64, pathlib, sys
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
if sys.argv[1:] == ["--public-key"]:
    print(pathlib.Path({public!r}).read_text())
else:
    key = serialization.load_pem_private_key(pathlib.Path({key!r}).read_bytes(), None)
    print(base64.b64encode(key.sign(sys.stdin.buffer.read(), ec.ECDSA(hashes.SHA256()))).decode())
"""


def run_program(variable: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Runs cosign or oras in `folder`."""
    return subprocess.run(
        [program(variable), *arguments],
        cwd=folder,
        env={"PATH": os.environ.get("PATH", ""), "HOME": str(folder), "COSIGN_PASSWORD": PASSWORD},
        capture_output=True,
        text=True,
        timeout=_LIMIT_SECONDS,
        check=False,
    )


def cosign(folder: Path, *arguments: str) -> str:
    """What cosign writes; it has to succeed."""
    done = run_program("CHASSIS_TEST_COSIGN", folder, *arguments)
    assert done.returncode == 0, f"cosign {' '.join(arguments)}: {done.stderr}"
    return done.stdout


def keys(folder: Path) -> tuple[Path, Path]:
    """A pair that cosign makes: the encrypted private key, and the public one."""
    cosign(folder, "generate-key-pair")
    return folder / "cosign.key", folder / "cosign.pub"


def push(address: str, image: Path, name: str, *flags: str, **environment: str) -> subprocess.CompletedProcess:
    """`bazel run //:push -- …` of a layout."""
    repository = f"--repository={address}/{name}"
    return run_tool("push", f"--image={image}", repository, *flags, **{"COSIGN_PASSWORD": PASSWORD, **environment})


def pushed(address: str, folder: Path, name: str, seed: int, *flags: str) -> str:
    """Pushes a small image under the tag v1, which has to succeed; returns its digest."""
    image, digest = sample_image(folder / f"image-{name.replace('/', '-')}-{seed}", 100, seed=seed)
    done = push(address, image, name, "--tag=v1", *flags)
    assert done.returncode == 0, done.stderr
    return digest


def signer_program(folder: Path, public: Path) -> str:
    """The command of a program that signs with a key of its own, another signature each time; writes `public`."""
    key = ec.generate_private_key(ec.SECP256R1())
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "plain.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    public.write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, spki))
    script = folder / "signer.py"
    script.write_text(_SIGNER.format(key=str(folder / "plain.pem"), public=str(public)))
    return f"{sys.executable} {script}"


def verify(reference: str, key: Path, *flags: str) -> subprocess.CompletedProcess:
    """Runs the tool `verify` on an image with a key."""
    return run_tool("verify", f"--image={reference}", f"--key={key}", *flags)
