"""Where the files of Debian packages go in an image, and which of them are left out.

Debian's merged /usr (Debian wiki, "UsrMerge"): `/bin`, `/sbin`, `/lib` and its kin are links into `/usr`;
packages of bookworm still ship files under the old names.
"""

from __future__ import annotations

from dataclasses import dataclass

MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_DROPPED = (
    "usr/share/bug/",
    "usr/share/doc-base/",
    "usr/share/info/",
    "usr/share/linda/",
    "usr/share/lintian/",
    "usr/share/locale/",
    "usr/share/man/",
)
_DOC = "usr/share/doc/"


@dataclass(frozen=True, slots=True)
class PathFilter:
    """Which paths are installed; with `keep_docs` all are."""

    keep_docs: bool = False

    def keeps(self, path: str, is_symlink: bool) -> bool:
        """Whether `path` is installed.

        Copyright files always are, and links from one package's documentation to another's. Directories below
        documentation are made with what is kept in them.
        """
        if self.keep_docs:
            return True
        if path.startswith(_DOC):
            return path.endswith("/copyright") or (is_symlink and path.count("/") == 3)
        return not (path + "/").startswith(_DROPPED)


def merged(path: str) -> str:
    """The path with the merged /usr, `lib/x` becoming `usr/lib/x`."""
    top = path.split("/", 1)[0]
    return "usr/" + path if top in MERGED else path


def mode_of(mode: int) -> int:
    """A file's mode without set-user-id, set-group-id and sticky bits; only root may write."""
    return mode & 0o755
