"""A signed model: OpenSSF's own program verifies what the build signs, the image's server loads only what was signed,
and the server's check takes what OpenSSF's program signs."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import model_signing
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from chassis.errors import ChassisError
from chassis.image_test.image_check import unpacked
from chassis.image_test.server import Launch, SandboxedServer
from chassis.oci.descriptor import LayerFile
from chassis.oci.file_tree import remove_tree
from chassis.oci.rootfs import RootFileSystem
from chassis.runtime.core.signed_model import SignedModelError, check_signed
from chassis.sandbox.ladder import Need, Tools, climb
from chassis.trust.errors import SigningKeyError, TrustError
from chassis.trust.keys import Signer, read_signer
from chassis.trust.model_signature import sign_model

PEM = serialization.Encoding.PEM
SAID = re.compile("model loaded|could not be loaded")
PUBLIC = PEM, serialization.PublicFormat.SubjectPublicKeyInfo


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RootFileSystem]:
    root = tmp_path_factory.mktemp("image") / "root"
    yield unpacked(Path(os.environ["SIGNED_LAYOUT"]), root, None)
    remove_tree(root)


def loading(image: RootFileSystem, folder: Path, key: str) -> str:
    """What the image's server says of its model, started with a key: that it was loaded, or why it could not be."""
    tools = Tools(Path(os.environ["CHASSIS_TEST_BWRAP"]), Path(os.environ["CHASSIS_TEST_PROOT"]))
    launch = Launch(image, climb(tools, Need.NOTHING))
    environment = {"CHASSIS_MODEL_KEY": key, "PSC_MODEL_PORT": "0", "HTTP_PORT": "0"}
    with SandboxedServer(launch, environment, folder / "log") as server:
        while not ({"model loaded", "could not be loaded"} & set(SAID.findall(server.log()))):
            assert server.wait(0.1) is None, server.log()
        return server.log()


def manifest(variable: str) -> dict:
    layout = Path(os.environ[variable])
    digest = json.loads((layout / "index.json").read_bytes())["manifests"][0]["digest"]
    return json.loads((layout / "blobs" / digest.replace(":", "/")).read_bytes())


def test_a_signature_is_one_layer_more_and_nothing_else() -> None:
    signed, plain = manifest("SIGNED_LAYOUT")["layers"], manifest("MODEL_LAYOUT")["layers"]
    assert signed[:-1] == plain
    assert len(signed) == len(plain) + 1


def test_openssf_verifies_what_the_build_signs(image: RootFileSystem) -> None:
    verifier = model_signing.verifying.Config().use_elliptic_key_verifier(public_key=Path(os.environ["MODEL_KEY"]))
    verifier.verify(image.path / "app", image.path / "app" / "model.sig")


def test_the_server_loads_only_what_was_signed(image: RootFileSystem, tmp_path: Path) -> None:
    key = Path(os.environ["MODEL_KEY"]).read_text()
    for name in "12":
        (tmp_path / name).mkdir()
    assert "model loaded" in loading(image, tmp_path, key)
    weights = image.path / "app" / "data" / "weights.npz"
    good = weights.read_bytes()
    weights.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    try:
        assert "/app/data/weights.npz: was changed since it was signed" in loading(image, tmp_path / "1", key)
    finally:
        weights.write_bytes(good)
    other = ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(*PUBLIC).decode()
    assert "/app/model.sig: is not signed by the key in CHASSIS_MODEL_KEY" in loading(image, tmp_path / "2", other)


@pytest.fixture(params=[ec.SECP256R1, ec.SECP384R1, ec.SECP521R1])
def keys(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path]:
    return write_keys(tmp_path, ec.generate_private_key(request.param()))


def write_keys(folder: Path, key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> tuple[Path, Path]:
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(PEM, *form))
    (folder / "key.pub").write_bytes(key.public_key().public_bytes(*PUBLIC))
    return folder / "key.pem", folder / "key.pub"


def write_app(folder: Path) -> Path:
    app = folder / "app"
    for name in ("model/model.pkl", "model/model.json", "data/a/b.bin", "code/m.py"):
        (app / name).parent.mkdir(parents=True, exist_ok=True)
        (app / name).write_text(name)
    return app


def sign(app: Path, keys: tuple[Path, Path]) -> None:
    """Signs with OpenSSF's program, as a user would by hand."""
    signer = model_signing.signing.Config().use_elliptic_key_signer(private_key=keys[0])
    ignored = model_signing.hashing.Config().set_ignored_paths(paths=[app / "code", app / "model.sig"])
    signer.set_hashing_config(ignored).sign(app, app / "model.sig")


def test_what_openssf_signs_is_verified(keys: tuple[Path, Path], tmp_path: Path) -> None:
    app = write_app(tmp_path)
    sign(app, keys)
    assert check_signed(f"{app}/model", str(keys[1])) == 3
    assert check_signed(f"{app}/model/", keys[1].read_text()) == 3


def test_what_is_changed_is_named(tmp_path: Path) -> None:
    keys = write_keys(tmp_path, ec.generate_private_key(ec.SECP256R1()))
    app = write_app(tmp_path)
    sign(app, keys)

    def refused() -> str:
        with pytest.raises(SignedModelError) as caught:
            check_signed(f"{app}/model", str(keys[1]))
        return str(caught.value).removeprefix(f"{app}/")

    (app / "data" / "new").write_text("x")
    assert refused() == "data/new: was not signed, and would be read as part of the model"
    (app / "data" / "new").unlink()
    (app / "data" / "new").symlink_to("a/b.bin")
    assert refused() == "data/new: is a link, and only files were signed"
    (app / "data" / "new").unlink()
    (app / "data" / "a" / "b.bin").unlink()
    assert refused() == "data/a/b.bin: was signed, and is not there"
    (app / "data" / "a" / "b.bin").write_text("data/a/b.bin")
    (app / "code" / "m.py").write_text("not signed")
    assert check_signed(f"{app}/model", str(keys[1])) == 3
    bundle = (app / "model.sig").read_bytes()
    for damaged, message in (
        (bundle[:100], "model.sig: is not a Sigstore bundle, or cut short"),
        (b"[" * 100_000, "model.sig: is not a Sigstore bundle, or cut short"),
        (_other_payload(bundle), "model.sig: is not signed by the key in CHASSIS_MODEL_KEY, or was changed since"),
    ):
        (app / "model.sig").write_bytes(damaged)
        assert refused().startswith(message)
    (app / "model.sig").unlink()
    assert "model.sig is not there: build the image with `model_key`" in refused()


def _other_payload(bundle: bytes) -> bytes:
    document = json.loads(bundle)
    payload = json.loads(base64.b64decode(document["dsseEnvelope"]["payload"]))
    payload["predicate"]["resources"][0]["digest"] = "0" * 64
    document["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(payload).encode()).decode()
    return json.dumps(document).encode()


def test_a_signature_of_something_else_and_keys_that_are_none(tmp_path: Path) -> None:
    keys = write_keys(tmp_path, ec.generate_private_key(ec.SECP256R1()))
    app = write_app(tmp_path)
    (app / "model" / "model.pkl").unlink()
    sign(app, keys)
    (app / "model" / "model.pkl").write_text("model/model.pkl")
    with pytest.raises(SignedModelError, match=r"signs another model: model/model\.pkl is not among its files"):
        check_signed(f"{app}/model", str(keys[1]))
    (tmp_path / "text").write_text("hello")
    for key, message in (("text", "is not a public key in PEM"), ("gone", "cannot be read: No such file")):
        with pytest.raises(ChassisError, match=message):
            check_signed(f"{app}/model", str(tmp_path / key))


def test_the_build_refuses_what_it_cannot_sign(tmp_path: Path) -> None:
    model = LayerFile("app/model/model.pkl", "file", 0o644, 1, "sha256:" + "0" * 64)
    link = LayerFile("app/data/l", "symlink", 0o777, link="x")
    good = signer(tmp_path, ec.generate_private_key(ec.SECP256R1()))
    assert sign_model([model], good) == sign_model([model], good)
    with pytest.raises(TrustError, match="/app/data/l: is a link"):
        sign_model([model, link], good)
    with pytest.raises(TrustError, match=r"no layer has /app/model/model\.pkl"):
        sign_model([], good)
    with pytest.raises(SigningKeyError, match="models are signed with ECDSA"):
        sign_model([model], signer(tmp_path, ed25519.Ed25519PrivateKey.generate()))


def signer(folder: Path, key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> Signer:
    return read_signer(write_keys(folder, key)[0], None)
