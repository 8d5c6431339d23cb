"""Static libraries rewritten so that they hold nothing of where they were made.

The format is that of GNU ar: https://man7.org/linux/man-pages/man5/ar.5.html (System V variant).
"""

from __future__ import annotations

from collections.abc import Iterator

from chassis.errors import ChassisError

_MAGIC = b"!<arch>\n"
_HEADER = 60


def read_members(data: bytes, name: str) -> Iterator[tuple[str, bytes]]:
    """(file name without directories, content) of each member of the archive `data`; `name` is for errors.

    Raises:
      ChassisError: it is not an archive, or one that is cut short.
    """
    if not data.startswith(_MAGIC):
        raise ChassisError(f"{name}: is not an ar archive")
    long_names = b""
    offset = len(_MAGIC)
    while offset < len(data):
        header = data[offset : offset + _HEADER]
        if len(header) < _HEADER or header[58:60] != b"`\n":
            raise ChassisError(f"{name}: has a damaged member header at byte {offset}")
        label = header[:16].rstrip()
        size = int(header[48:58])
        content = data[offset + _HEADER : offset + _HEADER + size]
        if len(content) < size:
            raise ChassisError(f"{name}: ends within the member at byte {offset}")
        offset += _HEADER + size + size % 2
        if label == b"//":
            long_names = content
        elif label not in (b"/", b"/SYM64/"):
            if label.startswith(b"/"):
                start = int(label[1:])
                label = long_names[start : long_names.index(b"/\n", start)]
            yield label.decode().rstrip("/").rpartition("/")[2], content


def write_archive(members: Iterator[tuple[str, bytes]]) -> bytes:
    """A deterministic archive of `members`, without a symbol index: lld needs none."""
    members = list(members)
    names = b""
    body = b""
    for name, content in members:
        label = name.encode() + b"/"
        if len(label) > 16:
            label = b"/%d" % len(names)
            names += name.encode() + b"/\n"
        body += _member(label, content)
    return _MAGIC + (_member(b"//", names) if names else b"") + body


def _member(label: bytes, content: bytes) -> bytes:
    header = b"%-16s%-12d%-6d%-6d%-8o%-10d`\n" % (label, 0, 0, 0, 0o644, len(content))
    return header + content + b"\n" * (len(content) % 2)
