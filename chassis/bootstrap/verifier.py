"""Brings a program that checks OpenPGP signatures to a machine that has none: pysequoia, by hash, as a `gpgv`."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

from chassis.bootstrap import wheels
from chassis.bootstrap.progress import Progress
from chassis.debian.apt import UNVERIFIED, AptError, Verifier
from chassis.debian.gpgv_program import write_gpgv
from chassis.errors import ChassisError

_REMEDY = f"install gpgv, or set {UNVERIFIED}=1 to trust the mirror and all that is between"


def bring(directory: Path, architecture: str, progress: Progress) -> Verifier:
    """Downloads pysequoia with this Python's pip into `directory`, and writes a program beside it that is called as
    `gpgv` is.

    Raises:
      AptError: this Python has no pip, or there is no wheel for it; the message says what to install.
    """
    pin = wheels.PYSEQUOIA
    progress.say(f"no gpgv here: downloading {pin.name}, to check the signature of Debian's index")
    if not wheels.has_pip():  # Debian's own is behind the signature that is to be checked
        raise AptError(f"no gpgv or sqv here, and {sys.executable} has no pip to bring {pin.name} with\n  {_REMEDY}")
    try:
        wheel = wheels.fetch(pin, architecture, directory, None)
    except ChassisError as error:
        raise AptError(f"no gpgv or sqv here to check Debian's signature, and {error}\n  {_REMEDY}") from None
    return unpack(wheel, directory)


def unpack(wheel: Path, directory: Path) -> Verifier:
    """Unpacks pysequoia's wheel below `directory`; the verifier that it makes."""
    modules = directory.absolute() / "pysequoia"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(modules)
    return write_gpgv(directory, f"pysequoia {wheels.PYSEQUOIA.version}", [modules])
