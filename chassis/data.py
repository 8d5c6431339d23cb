"""The files that a model declares as `data`, found under one name on the build machine and in the image."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from chassis.errors import ChassisError

IMAGE_DATA = Path("/app/data")
"""Where an image keeps a model's data."""

_LISTED_KEYS = 20


class DataNotFoundError(ChassisError, FileNotFoundError):
    """A key that no file or directory of the model's `data` answers to."""


class DataPath(type(Path())):  # type: ignore[misc]
    """A path below the data directory that is pickled as its key, so that it holds in the image too.

    A predict function may therefore keep `WEIGHTS = chassis.data_path("weights.npz")` at the top of its module.
    """

    def __reduce__(self) -> tuple[object, ...]:
        root = _root()
        if self.is_relative_to(root) and self != root:
            return data_path, (self.relative_to(root).as_posix(),)
        return Path, self.parts


def data_path(key: str) -> Path:
    """Returns the path of the data file or directory `key`, such as `weights.npz` or `ml/labels/names.txt`.

    The directory is `CHASSIS_DATA` if that is set (tests, the build), else `/app/data`.

    Raises:
      DataNotFoundError: nothing has that key; the message lists the keys there are.
      ValueError: the key is empty, absolute or climbs out of the data directory.
    """
    name = os.fspath(key)
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts:
        raise ValueError(f"data_path: {name!r} is not a key: give a relative path below the model's data, without `..`")
    root = _root()
    path = DataPath(root, *parts)
    if not path.exists():
        raise DataNotFoundError(
            f"data_path: the model has no data {name!r} in {root}\n"
            f"  keys there are: {_describe_keys(root)}\n"
            f"  add it to `data` of the chassis_model; a ChassisModel has it by add_file(…, key={name!r})"
        )
    return path


def _root() -> Path:
    return Path(os.environ.get("CHASSIS_DATA") or IMAGE_DATA)


def _describe_keys(root: Path) -> str:
    keys = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir())
    if not keys:
        return "none"
    more = f" and {len(keys) - _LISTED_KEYS} more" if len(keys) > _LISTED_KEYS else ""
    return ", ".join(keys[:_LISTED_KEYS]) + more
