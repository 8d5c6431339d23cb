"""Which repository of a registry has a blob, remembered from push to push, so that another repository there mounts it
instead of getting it again.

A hint and no more: a registry that does not have it, or does not let it be mounted, is sent the blob.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from chassis.oci.descriptor import Descriptor
from chassis.oci.registry.reference import Repository
from chassis.user_cache import user_cache
from chassis.whole_file import whole_file

_LINE = re.compile(r"(sha256:[0-9a-f]{64}) ([a-z0-9][a-z0-9._/-]{0,254})")
_MAX_BYTES = 4 << 20  # some 40,000 blobs


class MountSources:
    """The blobs of one registry; the file is read when it is first asked."""

    def __init__(self, repository: Repository, file: Path | None, sources: Iterable[str] = ()) -> None:
        """`sources` are repositories of the registry that may have any blob, the first of them asked for what the file
        does not know; without a `file` nothing is remembered."""
        self._path = repository.path
        self._file = file
        self._fallback = next((source for source in sources if source != repository.path), "")
        self._known: dict[str, str] | None = None

    def find(self, digest: str) -> str:
        """A repository other than the one that is pushed to, "" if none is known."""
        source = self._read().get(digest, "")
        return source if source and source != self._path else self._fallback

    def add(self, digests: Iterable[str]) -> None:
        """Remembers that the repository has these blobs now; a file that cannot be written does not fail the push."""
        known = self._read()
        new = [digest for digest in digests if digest not in known]
        if not new or self._file is None:
            return
        known |= dict.fromkeys(new, self._path)
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if self._file.exists() and self._file.stat().st_size > _MAX_BYTES:
                self._rewrite(known)
                return
            lines = "".join(f"{digest} {self._path}\n" for digest in new)
            with self._file.open("ab", buffering=0) as stream:  # one write: others may append at the same time
                stream.write(lines.encode())

    def _rewrite(self, known: dict[str, str]) -> None:
        newest = list(known.items())[len(known) // 2 :]
        text = "".join(f"{digest} {path}\n" for digest, path in newest)
        with whole_file(self._file) as stream:  # type: ignore[arg-type]
            stream.write(text.encode("ascii"))

    def _read(self) -> dict[str, str]:
        if self._known is None:
            text = ""
            if self._file is not None:
                with contextlib.suppress(OSError, ValueError):
                    text = self._file.read_text(encoding="ascii")
            lines = (match for line in text.splitlines() if (match := _LINE.fullmatch(line)))
            self._known = {match[1]: match[2] for match in lines}
        return self._known


class KnownBlobs:
    """Which repositories of one registry have a blob, as this process saw it; unlike `MountSources` no guess."""

    def __init__(self) -> None:
        self._paths: dict[str, dict[str, None]] = {}

    def add(self, path: str, blobs: Iterable[Descriptor]) -> None:
        """Takes in that a repository has these blobs."""
        for blob in blobs:
            self._paths.setdefault(blob.digest, {})[path] = None

    def has(self, digest: str, path: str) -> bool:
        """Whether the repository has the blob."""
        return path in self._paths.get(digest, {})

    def elsewhere(self, digest: str, path: str) -> str:
        """A repository that has the blob, "" if none is known or this one has it itself."""
        paths = self._paths.get(digest, {})
        return "" if path in paths else next(iter(paths), "")


def named_sources(repository: Repository, names: Iterable[str]) -> list[str]:
    """The paths of those repositories that are in the registry of `repository`; a name may leave the registry out."""
    sources = []
    for name in names:
        first, slash, rest = name.partition("/")
        has_registry = bool(slash) and (first == "localhost" or "." in first or ":" in first)
        if not has_registry:
            sources.append(name)
        elif first == repository.registry:
            sources.append(rest)
    return sources


def remembered(repository: Repository, environment: Mapping[str, str]) -> Path | None:
    """The file for a registry in the user's cache; None if the environment names no cache."""
    base = user_cache(environment)
    return base and base / "pushed" / re.sub(r"[^A-Za-z0-9.-]", "_", repository.registry)
