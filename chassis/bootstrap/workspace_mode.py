"""Which of Bazel's two module systems a workspace chose in its `.bazelrc`, for settings that are read after it.

Bazel's own files: https://bazel.build/run/bazelrc. Lines of a `--config` choose nothing by themselves, and the last
word counts.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_COMMANDS = ("common", "always", "build")
_OFF = ("0", "false", "no")
_MAX_DEPTH = 20


class Mode(NamedTuple):
    """What `.bazelrc` says of `--enable_bzlmod` and `--enable_workspace`, None for nothing; `files` were read."""

    bzlmod: bool | None
    workspace: bool | None
    files: tuple[Path, ...]

    @property
    def is_workspace(self) -> bool:
        """Whether the workspace goes without bzlmod."""
        return self.bzlmod is False


def read_mode(workspace: Path) -> Mode:
    """Reads `.bazelrc` of `workspace` and what it imports; a file that is missing says nothing."""
    found: dict[str, bool] = {}
    files: list[Path] = []
    for words in _lines(workspace / ".bazelrc", workspace, files, 0):
        for word in words:
            name, _, value = word.removeprefix("--").partition("=")
            for flag in ("enable_bzlmod", "enable_workspace"):
                if name in (flag, f"no{flag}"):
                    found[flag] = name == flag and value not in _OFF
    return Mode(found.get("enable_bzlmod"), found.get("enable_workspace"), tuple(files))


def _lines(path: Path, workspace: Path, files: list[Path], depth: int) -> Iterator[list[str]]:
    """The options of each line that counts without a `--config`, imports in their place."""
    files.append(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return
    for line in text.replace("\\\n", " ").splitlines():
        try:
            command, *words = shlex.split(line, comments=True) or [""]
        except ValueError:
            continue
        if command in ("import", "try-import") and words and depth < _MAX_DEPTH:
            yield from _lines(Path(words[0].replace("%workspace%", str(workspace))), workspace, files, depth + 1)
        elif command in _COMMANDS:
            yield words
