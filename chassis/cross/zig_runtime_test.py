"""Tests of zig_runtime.py on what zig prints; the real zig builds the runtimes of tests/cross_wheels."""

from __future__ import annotations

import pytest

from chassis.cross.target import cross_target
from chassis.cross.zig_runtime import read_commands
from chassis.errors import ChassisError

_SAID = """\
clang version 22.1.8
 (in-process)
 "zig/zig" -cc1 -triple aarch64-unknown-linux-gnu -isystem zig/lib/include -x c other.c
ld.lld --shared -o libm.so.6 m.o
 "zig" -cc1 -isystem zig/lib/libcxx/include -isystem zig/lib/include -D NDEBUG -D __GLIBC_MINOR__=28 /t/program.cc
ld.lld -pie -o /t/program /t/crt1.o /t/libc++.a
"""


def test_the_commands_of_the_program_are_read_and_not_those_of_a_library() -> None:
    commands = read_commands(_SAID)
    assert commands.includes == ("zig/lib/libcxx/include", "zig/lib/include")
    assert commands.defines == ("__GLIBC_MINOR__=28",)
    assert commands.link[-2:] == ("/t/crt1.o", "/t/libc++.a")


def test_a_zig_that_prints_something_else_is_an_error() -> None:
    with pytest.raises(ChassisError, match="did not print the commands"):
        read_commands("clang version 22.1.8\n")


def test_a_target_has_its_names() -> None:
    target = cross_target("arm64", "2.28")
    assert target.zig_triple == "aarch64-linux-gnu.2.28"
    assert target.platform_tag == "manylinux_2_28_aarch64"
    assert target.extension_suffix == ".cpython-311-aarch64-linux-gnu.so"


@pytest.mark.parametrize(("architecture", "glibc"), [("riscv64", "2.28"), ("arm64", "3.1"), ("arm64", "latest")])
def test_a_target_that_is_none_is_refused(architecture: str, glibc: str) -> None:
    with pytest.raises(ChassisError, match=r"riscv64|3\.1|latest"):
        cross_target(architecture, glibc)
