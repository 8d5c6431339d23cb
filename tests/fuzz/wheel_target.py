"""A wheel to a layer, against the package `installer` with its own reader and its own destination."""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
import warnings
from pathlib import Path

import installer
from installer.destinations import SchemeDictionaryDestination
from installer.sources import WheelFile
from isal import igzip

from chassis.errors import ChassisError
from chassis.oci.layer.outputs import LayerOutputs, write_layer
from chassis.oci.layer.wheel import add_wheel
from tests.fuzz.findings import Finding, check_same, check_surroundings, prepare
from tests.fuzz.recipes import wheel_of
from tests.hostile.samples import DIST_INFO, WHEEL_NAME

_VENV = "opt/venv"
_SITE = f"{_VENV}/lib/python3.11/site-packages"
_RECORD = f"{_SITE}/{DIST_INFO}/RECORD"


def check(data: bytes, folder: Path) -> bool:
    """Runs one input in the new directory `folder`; returns whether the wheel was taken.

    Raises:
      Finding: something happened that never must.
    """
    prepare(folder)
    wheel = folder / WHEEL_NAME
    wheel.write_bytes(wheel_of(data))
    outputs = LayerOutputs(folder / "out" / "blob", folder / "out" / "descriptor", folder / "out" / "files")
    try:
        layer = write_layer(outputs, lambda writer: add_wheel(writer, wheel, _VENV, "3.11"))
    except ChassisError as error:
        if not str(error).startswith(WHEEL_NAME):
            raise Finding(f"an error does not name the wheel: {error}") from None
        if list((folder / "out").iterdir()):
            raise Finding("a refused wheel left files behind") from None
        check_surroundings(folder, WHEEL_NAME, "out")
        return False
    check_surroundings(folder, WHEEL_NAME, "out")
    plain = igzip.decompress(outputs.blob.read_bytes())
    check_same("diff_id", layer.diff_id, f"sha256:{hashlib.sha256(plain).hexdigest()}")
    check_same("installed files", _in_layer(plain), _installed(wheel, folder / "reference"))
    return True


def _in_layer(plain: bytes) -> dict[str, tuple[bytes, bool]]:
    found = {}
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        for member in archive:
            if member.isfile():
                stream = archive.extractfile(member)
                assert stream is not None
                found[member.name] = (stream.read(), bool(member.mode & 0o111))
    del found["stargz.index.json"]
    return _comparable(found)


def _installed(wheel: Path, root: Path) -> dict[str, tuple[bytes, bool]]:
    schemes = {
        "purelib": _SITE,
        "platlib": _SITE,
        "scripts": f"{_VENV}/bin",
        "data": _VENV,
        "headers": f"{_VENV}/include/site/python3.11/demo_pkg",
    }
    destination = SchemeDictionaryDestination(
        {scheme: str(root / place) for scheme, place in schemes.items()},
        f"/{_VENV}/bin/python",
        "posix",
        overwrite_existing=True,
    )
    try:
        with WheelFile.open(wheel) as source, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            installer.install(source, destination, {"INSTALLER": b"chassis\n"})
    except Exception as error:
        raise Finding(f"a wheel was taken that `installer` refuses: {error!r}") from error
    found = {}
    for path in root.rglob("*"):
        if path.is_file():
            found[str(path.relative_to(root))] = (path.read_bytes(), bool(path.stat().st_mode & 0o111))
    shutil.rmtree(root)
    return _comparable(found)


def _comparable(found: dict[str, tuple[bytes, bool]]) -> dict[str, tuple[bytes, bool]]:
    """RECORD's rows in no order; and all that lies in the directory for scripts is executable here."""
    data, executable = found[_RECORD]
    found[_RECORD] = (b"\n".join(sorted(data.splitlines())), executable)
    return {path: (data, executable or path.startswith(f"{_VENV}/bin/")) for path, (data, executable) in found.items()}
