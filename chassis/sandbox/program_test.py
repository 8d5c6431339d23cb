"""How an image's program is found and started under an emulator."""

from __future__ import annotations

from pathlib import Path

import pytest

from chassis.errors import ChassisError
from chassis.sandbox.program import Emulator, ProgramError, User, elf_command, image_user

EMULATOR = Emulator(Path("qemu"), "/.emulator", "cortex-a57")
ELF = b"\x7fELF" + bytes(60)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("usr/bin", "opt/venv/bin", "etc", "app"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "usr/bin/python3.11").write_bytes(ELF)
    (tmp_path / "usr/bin/env").write_bytes(ELF)
    (tmp_path / "bin").symlink_to("usr/bin")
    (tmp_path / "opt/venv/bin/python").symlink_to("/bin/python3.11")
    (tmp_path / "opt/venv/bin/serve").write_bytes(b"#!/opt/venv/bin/python -I\nprint()\n")
    (tmp_path / "app/script").write_bytes(b"#!/usr/bin/env python\nprint()\n")
    (tmp_path / "app/notes").write_bytes(b"hello")
    (tmp_path / "app/loop").write_bytes(b"#!/app/loop\n")
    (tmp_path / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nnonroot:x:65532:65531::/home/n:/bin/sh\n")
    (tmp_path / "etc/group").write_text("staff:x:50:\n")
    return tmp_path


PYTHON = ["/.emulator", "-cpu", "cortex-a57", "-0", "/opt/venv/bin/python", "/usr/bin/python3.11"]


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["/opt/venv/bin/python", "-m", "x"], [*PYTHON, "-m", "x"]),
        (["python", "-m", "x"], [*PYTHON, "-m", "x"]),
        (["serve", "--port"], [*PYTHON, "-I", "/opt/venv/bin/serve", "--port"]),
        (["./script"], [*PYTHON, "/app/./script"]),
        (["/app/script", "a"], [*PYTHON, "/app/script", "a"]),
    ],
)
def test_the_command_keeps_the_name_that_python_finds_its_venv_by(root: Path, argv: list, expected: list) -> None:
    assert EMULATOR.command(*elf_command(root, argv, "/none:/opt/venv/bin:/bin", "/app")) == expected


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["/app/missing"], "not in the image"),
        (["missing"], "is in none of"),
        (["/app/notes"], "neither an ELF program nor a script"),
        (["/app/loop"], "scripts that start scripts"),
    ],
)
def test_a_program_that_is_none_is_an_error(root: Path, argv: list, message: str) -> None:
    with pytest.raises(ChassisError, match=message):
        elf_command(root, argv, "/bin", "/app")


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", User(0, 0, "/root")),
        ("65532:65532", User(65532, 65532, "/home/n")),
        ("65532", User(65532, 65531, "/home/n")),
        ("nonroot", User(65532, 65531, "/home/n")),
        ("nonroot:staff", User(65532, 50, "/home/n")),
        ("1234", User(1234, 0, "/")),
    ],
)
def test_users_by_name_and_number(root: Path, user: str, expected: User) -> None:
    assert image_user(root, user) == expected


@pytest.mark.parametrize("user", ["ghost", "nonroot:ghosts"])
def test_an_unknown_user_is_an_error(root: Path, user: str) -> None:
    with pytest.raises(ProgramError, match="do not know"):
        image_user(root, user)
