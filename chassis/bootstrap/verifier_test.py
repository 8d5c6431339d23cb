"""Tests of verifier.py: what is said if nothing checks signatures, and a wheel that becomes a program."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from chassis.bootstrap import verifier, wheels
from chassis.bootstrap.progress import Progress
from chassis.debian.apt import UNVERIFIED, AptError
from chassis.errors import ChassisError


def test_a_python_without_pip_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "has_pip", lambda: False)
    said = io.StringIO()
    with pytest.raises(AptError, match=rf"has no pip to bring pysequoia with\n  install gpgv, or set {UNVERIFIED}=1"):
        verifier.bring(tmp_path, "amd64", Progress(said))
    assert "pysequoia" in said.getvalue()


def test_a_wheel_that_cannot_be_had_is_told_with_both_remedies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> Path:
        raise ChassisError("pip could not bring pysequoia 0.1.35:\n  ERROR: no such host")

    monkeypatch.setattr(wheels, "has_pip", lambda: True)
    monkeypatch.setattr(wheels, "fetch", fails)
    with pytest.raises(AptError, match=r"no such host(.|\n)*install gpgv"):
        verifier.bring(tmp_path, "amd64", Progress(io.StringIO()))


def test_every_machine_has_wheels_of_its_own_for_every_python() -> None:
    hashes = [digest for digests in wheels.PYSEQUOIA.sha256.values() for digest in digests]
    assert set(wheels.PYSEQUOIA.sha256) == {"amd64", "arm64"}
    assert len(set(hashes)) == len(hashes) == 12


def test_a_wheel_becomes_a_program_whatever_the_path(tmp_path: Path) -> None:
    """The module takes the place of pysequoia; it says where it was imported from."""
    wheel = tmp_path / "wheel.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("pysequoia/__init__.py", "raise SystemExit('imported ' + __file__)\n")
        archive.writestr("pysequoia/packet.py", "")
    place = tmp_path / 'a place\'s "own" $HOME'
    made = verifier.unpack(wheel, place)
    (tmp_path / "file").write_bytes(b"")
    done = subprocess.run(
        [made.program, "--keyring", tmp_path / "file", tmp_path / "file", tmp_path / "file"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"imported {place}/pysequoia/pysequoia/__init__.py" in done.stderr
    assert sys.executable in made.program.read_text()
