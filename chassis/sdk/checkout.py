"""Where Chassis itself is: the directory with its rules, which Bazel needs to build a model."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "CHASSIS_WORKSPACE"


def find_checkout() -> Path | None:
    """The directory that `CHASSIS_WORKSPACE` names, or the checkout that this module is imported from; None else."""
    named = os.environ.get(VARIABLE)
    candidates = [Path(named)] if named else [Path(__file__).resolve().parents[2]]
    return next((path.absolute() for path in candidates if _is_checkout(path)), None)


def _is_checkout(path: Path) -> bool:
    return (path / "MODULE.bazel").is_file() and (path / "rules" / "defs.bzl").is_file() and (path / "bazelw").is_file()
