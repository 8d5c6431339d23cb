"""Makes a program of `gpgv.py` and of a pysequoia that is unpacked somewhere."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from chassis.debian.apt import Verifier


def write_gpgv(directory: Path, name: str, paths: Sequence[Path]) -> Verifier:
    """Writes the program `directory/gpgv`, which imports pysequoia from one of `paths`; `name` is for messages."""
    here = Path(__file__).resolve().parents[2]
    python_path = ":".join(str(path) for path in [here, *paths])
    program = directory.absolute() / "gpgv"
    directory.mkdir(parents=True, exist_ok=True)
    program.write_text(
        "#!/bin/sh\n"
        f"PYTHONPATH={shlex.quote(python_path)} PYTHONSAFEPATH=1 "
        f'exec {shlex.quote(sys.executable)} -s -B -m chassis.debian.gpgv "$@"\n'
    )
    program.chmod(0o755)
    return Verifier(name, program)
