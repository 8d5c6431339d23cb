"""Debian packages on disk: downloaded through apt, each checked against the SHA-256 of the signed index."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from chassis.debian.apt import Apt, AptError, Package

_BATCH = 40
_TIMEOUT_S = 1800
_POLL_S = 0.2


def sha256(path: Path) -> str:
    """The SHA-256 of the file at `path`, in lower-case hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _shifted(progress: Callable[[int, int], None] | None, base: int, total: int) -> Callable[[int], None]:
    """What is told the bytes of one batch, and tells `progress` those of all."""
    return lambda here: progress(base + here, total) if progress else None


def download(
    apt: Apt, packages: Sequence[Package], directory: Path, progress: Callable[[int, int], None] | None = None
) -> list[Path]:
    """Brings `packages` into `directory` and returns their paths, in the same order.

    What is already there with the right digest is kept, so that a run that was cut short goes on where it
    was. A file with another digest is removed and fetched again once; if it is still wrong, `AptError` names
    it. `progress` is called with the bytes that are there and the bytes wanted.
    """
    directory.mkdir(parents=True, exist_ok=True)
    total = sum(package.size for package in packages)
    missing = [package for package in packages if not _is_whole(directory, package)]
    done = total - sum(package.size for package in missing)
    for start in range(0, len(missing), _BATCH):
        batch = missing[start : start + _BATCH]
        _fetch(apt, batch, directory, _shifted(progress, done, total))
        bad = [package for package in batch if not _is_whole(directory, package)]
        if bad:
            _fetch(apt, bad, directory, lambda here: None)
            for package in bad:
                if not _is_whole(directory, package):
                    raise AptError(
                        f"{package.filename} from {apt.mirror.uri} is not what Debian's index says "
                        f"(expected {package.size} bytes with SHA-256 {package.sha256})\n"
                        "  the mirror or a proxy hands out something else: try again, or set "
                        "CHASSIS_DEBIAN_MIRROR"
                    )
        done += sum(package.size for package in batch)
    if progress:
        progress(total, total)
    return [directory / package.filename for package in packages]


def _is_whole(directory: Path, package: Package) -> bool:
    path = directory / package.filename
    if not path.is_file():
        return False
    if path.stat().st_size == package.size and sha256(path) == package.sha256:
        return True
    path.unlink()
    return False


def _fetch(apt: Apt, batch: Sequence[Package], directory: Path, progress: Callable[[int], object]) -> None:
    environment = {**os.environ, "LC_ALL": "C"}
    environment.pop("APT_CONFIG", None)
    process = subprocess.Popen(
        apt.download_command(batch),
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + _TIMEOUT_S
    try:
        while True:
            try:
                output = process.communicate(timeout=_POLL_S)[0]
                break
            except subprocess.TimeoutExpired:
                progress(_bytes_here(apt, batch, directory))
                if time.monotonic() > deadline:
                    raise AptError(f"apt-get download did not end within {_TIMEOUT_S} s") from None
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    if process.returncode:
        reasons = [line for line in output.splitlines() if line.startswith(("E:", "Err:"))] or output.splitlines()
        raise AptError("the download of Debian packages failed:\n" + "\n".join(f"  {line}" for line in reasons[-6:]))


def _bytes_here(apt: Apt, batch: Sequence[Package], directory: Path) -> int:
    count = 0
    for package in batch:
        for path in (
            directory / package.filename,
            apt.directory / "cache/archives/partial" / package.filename,
        ):
            try:
                count += path.stat().st_size
                break
            except OSError:
                continue
    return count
