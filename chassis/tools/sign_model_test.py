"""The tool that signs a model's files, with what the build declares of a key: its one file."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from nacl.secret import SecretBox


def _cosign_key(key: ec.EllipticCurvePrivateKey, password: bytes) -> str:
    """What `cosign generate-key-pair` writes, with a cheap scrypt."""
    salt, nonce = b"s" * 32, b"n" * 24
    sealed = Scrypt(salt=salt, length=32, n=2, r=8, p=1).derive(password)
    secret = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    text = {
        name: base64.b64encode(data).decode()
        for name, data in (
            ("salt", salt),
            ("nonce", nonce),
            ("text", SecretBox(sealed).encrypt(secret, nonce).ciphertext),
        )
    }
    fields = {
        "kdf": {"name": "scrypt", "params": {"N": 2, "r": 8, "p": 1}, "salt": text["salt"]},
        "cipher": {"name": "nacl/secretbox", "nonce": text["nonce"]},
        "ciphertext": text["text"],
    }
    label = "ENCRYPTED SIGSTORE PRIVATE KEY"
    return f"-----BEGIN {label}-----\n{base64.b64encode(json.dumps(fields).encode()).decode()}\n-----END {label}-----\n"


def test_no_file_beside_the_key_is_read(tmp_path: Path) -> None:
    """The action has the key alone as input. What lies beside it in the workspace is another matter."""
    listed = {"path": "app/model/model.pkl", "type": "file", "mode": 0o644, "size": 1, "digest": "sha256:" + "0" * 64}
    (tmp_path / "files").write_text(json.dumps([listed]))
    (tmp_path / "cosign.key").write_text(_cosign_key(ec.generate_private_key(ec.SECP256R1()), b"pw"))
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    made = []
    for public in (None, other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)):
        if public:
            (tmp_path / "cosign.pub").write_bytes(public)
        path = os.pathsep.join(str(Path(place).absolute()) for place in sys.path if place)
        ran = subprocess.run(
            [
                sys.executable,
                "-m",
                "chassis.tools.sign_model",
                "--files=files",
                "--key=cosign.key",
                "--output=model.sig",
            ],
            cwd=tmp_path,
            env={"PYTHONPATH": path, "PATH": os.environ.get("PATH", ""), "COSIGN_PASSWORD": "pw"},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert ran.returncode == 0, ran.stderr
        made.append((tmp_path / "model.sig").read_bytes())
    assert made[0] == made[1]
