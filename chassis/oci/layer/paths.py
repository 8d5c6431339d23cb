"""Which paths and link targets a layer may hold."""

from __future__ import annotations

import posixpath

from chassis.errors import ChassisError

MAX_PATH_BYTES = 4095
MAX_NAME_BYTES = 255
WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
"""How names begin that delete what layers below have, and the name that empties a directory (OCI image specification,
layer.md, section "Whiteouts").
"""
_FORBIDDEN = dict.fromkeys([*range(0x20), 0x7F])


class LayerPathError(ChassisError):
    """A path or a link's target cannot be installed safely."""


def check_path(path: str) -> str:
    """Returns `path` if it is relative to the root, in normal form, and names a file on Linux.

    Raises:
      LayerPathError: it is empty or absolute, has an empty, `.` or `..` component, one that begins with `.wh.`, a
        control character, no UTF-8 form, or is longer than Linux takes (4,095 bytes, 255 a component).
    """
    if not path:
        raise LayerPathError("a file has an empty name")
    if path[0] == "/":
        raise LayerPathError(f"{path!r} is absolute; names in an archive must be relative")
    names = path.split("/")
    if ".." in names:
        raise LayerPathError(f"{path!r} climbs out of its directory with `..`")
    if "" in names or "." in names:
        raise LayerPathError(f"{path!r} has an empty or `.` component")
    if WHITEOUT in path and any(name.startswith(WHITEOUT) for name in names):
        raise LayerPathError(f"{path!r}: a name that begins with `.wh.` would delete files of the layers below")
    _check_text(path, "name")
    if not path.isascii() or len(path) > MAX_NAME_BYTES:
        try:
            sizes = [len(name.encode()) for name in names]
        except UnicodeEncodeError:
            raise LayerPathError(f"{path!r} is not valid UTF-8") from None
        if max(sizes) > MAX_NAME_BYTES or sum(sizes) + len(sizes) > MAX_PATH_BYTES:
            raise LayerPathError(f"{path[:80]!r}… is longer than Linux takes (4,095 bytes, 255 a component)")
    return path


def check_link(path: str, target: str) -> str:
    """Returns the symbolic link's `target` if it stays within the image's root.

    Absolute targets are relative to that root and may name what another layer brings.

    Raises:
      LayerPathError: it is empty, holds control characters, or climbs above the root.
    """
    if not target:
        raise LayerPathError(f"symbolic link {path!r} has an empty target")
    _check_text(target, "target")
    depth = 0 if target.startswith("/") else path.count("/")
    for name in target.split("/"):
        depth += -1 if name == ".." else name not in ("", ".")
        if depth < 0:
            raise LayerPathError(f"symbolic link {path!r} points out of the image: {target!r}")
    try:
        length = len(target.encode())
    except UnicodeEncodeError:
        raise LayerPathError(f"symbolic link {path!r} has a target that is not valid UTF-8") from None
    if length > MAX_PATH_BYTES:
        raise LayerPathError(f"symbolic link {path!r} has a target of over {MAX_PATH_BYTES} bytes")
    return target


def resolve_link(path: str, target: str) -> str:
    """The path from the root that a symbolic link at `path` names, lexically."""
    joined = target if target.startswith("/") else posixpath.join("/", posixpath.dirname(path), target)
    return posixpath.normpath(joined).lstrip("/")


def _check_text(text: str, what: str) -> None:
    if not text.isprintable() and text.translate(_FORBIDDEN) != text:
        raise LayerPathError(f"{what} {text!r} holds a NUL, newline or other control character")
