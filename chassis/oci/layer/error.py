"""What every module of layers raises if what it was given cannot become one."""

from __future__ import annotations

from chassis.errors import ChassisError


class LayerError(ChassisError):
    """A layer cannot be written as asked."""


def parent_error(path: str, parent: str, kind: str) -> LayerError:
    """What is wrong with a `path` whose `parent` is of another kind, as tar listings name kinds, than a directory."""
    return LayerError(
        f"{path!r} lies under {parent!r}, which is not a directory but a {'file' if kind == 'reg' else kind}"
    )
