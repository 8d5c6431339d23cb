"""PRoot: another root, and other paths, for a program that it traces. https://proot-me.github.io"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chassis.declaration.platforms import MACHINES
from chassis.sandbox.errors import SandboxError

_LOADERS = tuple(
    f"{library}/{machine.triplet}/{Path(machine.loader).name}"
    for machine in MACHINES.values()
    for library in ("lib", "usr/lib")
)

_TUNABLES = "GLIBC_TUNABLES"

# PRoot keeps the end of each program's heap (brk), and takes that of a child that posix_spawn made for its parent's
# from then on: a parent that moves it again has memory that is not its own. So glibc asks once, for more than most
# programs need, and gives nothing back. None of it is used before something is written there. To set top_pad
# keeps mmap_threshold at 128 KiB: what is larger has memory of its own. With a higher one it would fill the heap, too.
_HEAP = f"glibc.malloc.top_pad={256 << 20}:glibc.malloc.trim_threshold={1 << 30}"


@dataclass(frozen=True, slots=True)
class Proot:
    """How PRoot is started, its own program, and which files of the machine it runs with."""

    command: tuple[str, ...]
    program: Path
    files: tuple[Path, ...]

    def environment(self, scratch: Path, program: Mapping[str, str] | None = None) -> dict[str, str]:
        """The variables that it takes, with what they name put into `scratch`, where programs can run, and those that
        a program of this machine's CPU is to have besides its own, which are `program`.

        PRoot starts every program by a small one that it carries in itself. By itself it puts that into /tmp, which may
        be full, closed or mounted with noexec.
        """
        # Of two of one name glibc takes the last: the program's own.
        variables = {_TUNABLES: ":".join(filter(None, [_HEAP, (program or {}).get(_TUNABLES)]))}
        loader = _loader(self.program.read_bytes())
        if loader is not None:
            path = scratch / "loader"
            path.write_bytes(loader)
            path.chmod(0o755)
            variables["PROOT_LOADER"] = str(path)
        return variables


def find_proot(program: Path) -> Proot:
    """PRoot by its program: one of the machine's, or the launcher of `debian_root`, which has its packages beside it.

    The launcher itself, a shell script, could not run if the machine's files are closed.

    Raises:
      SandboxError: there is no such program.
    """
    if not program.exists():
        raise SandboxError(f"{program}: there is no such program")
    root = program.resolve().parent / "root"
    loader = next((root / name for name in _LOADERS if (root / name).exists()), None)
    if loader is None:
        machine = tuple(map(Path, ("/lib", "/lib64", "/usr/lib", "/etc/ld.so.cache")))
        return Proot((str(program.absolute()),), program.resolve(), (*machine, program.resolve()))
    libraries = ":".join(str(root / library / loader.parent.name) for library in ("lib", "usr/lib"))
    inner = root / "usr/bin/proot"
    return Proot((str(loader), "--library-path", libraries, str(inner)), inner, (root,))


def _loader(program: bytes) -> bytes | None:
    """The 64-bit ELF file in an ELF file."""
    place = 1
    while (place := program.find(b"\x7fELF\x02\x01\x01", place)) > 0:
        # e_shoff, e_shentsize and e_shnum: the section headers are the end of the file.
        (offset,), (size, count) = (
            struct.unpack_from("<Q", program, place + 40),
            struct.unpack_from("<HH", program, place + 58),
        )
        end = place + offset + size * count
        if place < end <= len(program):
            return program[place:end]
        place += 1
    return None
