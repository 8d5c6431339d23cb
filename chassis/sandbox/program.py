"""How the program of an image is started, directly or under an emulator.

By itself the kernel starts nothing of another CPU, so what it would do for a program (search PATH,
follow links, read `#!`) is done here, within the image's root.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from chassis.errors import ChassisError
from chassis.oci.file_tree import UnpackError, resolve_within

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MAX_INTERPRETERS = 4  # as Linux
_MAX_SHEBANG_BYTES = 256
_ELF = b"\x7fELF"


class ProgramError(ChassisError):
    """The program that an image starts is not in it, or cannot be executed."""


@dataclass(frozen=True, slots=True)
class Emulator:
    """A static qemu user-mode program: its file here, its path in the sandbox, and the CPU it plays (""
    for its own)."""

    file: Path
    path: str
    cpu: str

    def command(self, argv0: str, program: str, arguments: Sequence[str]) -> list[str]:
        """The command line that runs `program`, a path in the image, under the name `argv0`."""
        cpu = ["-cpu", self.cpu] if self.cpu else []
        return [self.path, *cpu, "-0", argv0, program, *arguments]


@dataclass(frozen=True, slots=True)
class User:
    """Whom the server runs as."""

    uid: int
    gid: int
    home: str


def image_user(root: Path, user: str) -> User:
    """The user of an image's configuration: `uid`, `uid:gid`, or names that its /etc/passwd and /etc/group
    know.

    Raises:
      ProgramError: a name is unknown.
    """
    name, _, group = user.partition(":")
    accounts = _table(root, "/etc/passwd", 7)
    account = next((a for a in accounts if (name or "0") in (a[0], a[2])), None)
    uid = int(name or 0) if (name or "0").isdigit() else int(account[2]) if account else -1
    gid = int(account[3]) if account else 0
    if group:
        known = next((g for g in _table(root, "/etc/group", 3) if group == g[0]), None)
        gid = int(group) if group.isdigit() else int(known[2]) if known else -1
    if uid < 0 or gid < 0:
        raise ProgramError(f"the image runs as user {user!r}, which its /etc/passwd and /etc/group do not know")
    return User(uid, gid, account[5] if account else "/")


class ElfCommand(NamedTuple):
    """A command line whose program is an ELF file: the name that this is started under, its path in the image, and
    the arguments behind."""

    argv0: str
    program: str
    arguments: Sequence[str]


def elf_command(root: Path, argv: Sequence[str], path_variable: str, working_dir: str) -> ElfCommand:
    """What the kernel makes of `argv` inside the image.

    Raises:
      ProgramError: the program is not in the image or is neither an ELF file nor a script.
    """
    argv = list(argv)
    for _ in range(_MAX_INTERPRETERS):
        name = argv[0]
        place = find_program(root, name, path_variable, working_dir)
        program = resolve_within(root, place)
        with (root / program[1:]).open("rb") as stream:
            head = stream.read(_MAX_SHEBANG_BYTES)
        if head.startswith(_ELF):
            if program.endswith("/env") and len(argv) > 1 and "=" not in argv[1] and argv[1][0] != "-":
                argv = argv[1:]  # `#!/usr/bin/env python`: env would ask the kernel to start it
                continue
            return ElfCommand(name if "/" in name else place, program, argv[1:])
        if not head.startswith(b"#!"):
            raise ProgramError(f"{program} in the image is neither an ELF program nor a script that names one")
        interpreter = head[2:].split(b"\n", 1)[0].decode(errors="surrogateescape").strip().split(None, 1)
        argv = [*interpreter, place, *argv[1:]]
    raise ProgramError(f"{argv[0]} in the image: scripts that start scripts, more than {_MAX_INTERPRETERS} deep")


def find_program(root: Path, name: str, path_variable: str, working_dir: str) -> str:
    """The path in the image that `name` has there: itself, or the first of the PATH.

    Raises:
      ProgramError: no directory of the PATH has it.
    """
    if name.startswith("/"):
        return name
    if "/" in name:
        return f"{working_dir}/{name}"
    for folder in path_variable.split(":"):
        try:
            resolve_within(root, f"{folder}/{name}")
        except UnpackError:
            continue
        return f"{folder}/{name}"
    raise ProgramError(f"the image's program {name!r} is in none of {path_variable}")


def _table(root: Path, path: str, columns: int) -> list[list[str]]:
    try:
        text = (root / resolve_within(root, path)[1:]).read_text(errors="replace")
    except (OSError, UnpackError):
        return []
    rows = [line.split(":") for line in text.splitlines()]
    return [row for row in rows if len(row) >= columns and row[2].isdigit()]
