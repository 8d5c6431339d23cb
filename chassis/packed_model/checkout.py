"""Where Chassis itself is: the directory with its rules, which Bazel needs to build a model."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "CHASSIS_WORKSPACE"

_OWN = Path(__file__).resolve().parents[2]


def find_checkout() -> Path | None:
    """The directory that `CHASSIS_WORKSPACE` names, that of `bazel run`, or the one that this is imported from."""
    named = os.environ.get(VARIABLE)
    run_by_bazel = os.environ.get("BUILD_WORKSPACE_DIRECTORY")
    candidates = [Path(named)] if named else [*([Path(run_by_bazel)] if run_by_bazel else []), _OWN]
    return next((path.absolute() for path in candidates if _is_checkout(path)), None)


def _is_checkout(path: Path) -> bool:
    return (path / "MODULE.bazel").is_file() and (path / "rules" / "defs.bzl").is_file() and (path / "bazelw").is_file()
