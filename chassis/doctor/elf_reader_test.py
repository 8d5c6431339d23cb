"""What is read of ELF files, and that damaged ones never stop the doctor."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.doctor.elf import VersionNeed
from chassis.doctor.elf_reader import elf_of_bytes
from chassis.doctor.elf_writer import AARCH64, ARM, EXECUTABLE, RELOCATABLE, X86_64, ElfPlan, write_elf, write_elf32

_PLAN = ElfPlan(
    machine=X86_64,
    soname="libx.so.1",
    needed=("libc.so.6", "libm.so.6"),
    rpath="$ORIGIN/../lib:/opt/x",
    requires={"libc.so.6": ("GLIBC_2.17", "GLIBC_2.38?"), "libm.so.6": ("GLIBC_2.29",)},
    defines=("X_1", "X_2"),
    isa_needed=4,
)


def test_everything_that_a_loader_reads_is_found() -> None:
    elf = elf_of_bytes(write_elf(_PLAN))
    assert (elf.machine, elf.bits, elf.type, elf.soname) == ("EM_X86_64", 64, "shared", "libx.so.1")
    assert elf.needed == ("libc.so.6", "libm.so.6")
    assert (elf.rpath, elf.runpath) == (("$ORIGIN/../lib", "/opt/x"), ())
    assert elf.requires == (
        VersionNeed("libc.so.6", "GLIBC_2.17"),
        VersionNeed("libc.so.6", "GLIBC_2.38", weak=True),
        VersionNeed("libm.so.6", "GLIBC_2.29"),
    )
    assert elf.defines == ("X_1", "X_2")
    assert (elf.text_relocations, elf.executable_stack, elf.isa_needed, elf.defect) == (False, False, 4, "")


def test_program_has_its_loader() -> None:
    elf = elf_of_bytes(write_elf(ElfPlan(type=EXECUTABLE, interpreter="/lib/ld-linux-aarch64.so.1")))
    assert (elf.type, elf.interpreter) == ("executable", "/lib/ld-linux-aarch64.so.1")


@pytest.mark.parametrize(("stack", "executable"), [("rw", False), ("rwx", True), ("none", True)])
def test_stack_is_executable_where_the_header_says_so_or_nothing(stack: str, executable: bool) -> None:
    assert elf_of_bytes(write_elf(ElfPlan(stack=stack))).executable_stack is executable


def test_text_relocations_are_told_by_tag_and_by_flag() -> None:
    data = write_elf(ElfPlan(text_relocations=True))
    assert elf_of_bytes(data).text_relocations
    by_flag = data.replace(struct.pack("<QQ", 22, 0), struct.pack("<QQ", 30, 4))
    assert elf_of_bytes(by_flag).text_relocations
    other_flag = data.replace(struct.pack("<QQ", 22, 0), struct.pack("<QQ", 30, 8))
    assert not elf_of_bytes(other_flag).text_relocations


def test_object_file_has_a_machine_and_no_more() -> None:
    elf = elf_of_bytes(write_elf(ElfPlan(type=RELOCATABLE, machine=AARCH64, stack="none")))
    assert (elf.type, elf.machine, elf.executable_stack) == ("relocatable", "EM_AARCH64", False)


def test_32_bit_file_is_known_as_one() -> None:
    elf = elf_of_bytes(write_elf32(ARM))
    assert (elf.machine, elf.bits) == ("EM_ARM", 32)


def test_section_headers_that_lie_change_nothing() -> None:
    data = bytearray(write_elf(_PLAN))
    struct.pack_into("<Q", data, 40, 0xFFFFFFFFFFFF)
    struct.pack_into("<HHH", data, 58, 64, 5000, 4000)
    assert elf_of_bytes(bytes(data)) == elf_of_bytes(write_elf(_PLAN))


def test_versions_that_follow_each_other_in_a_circle_end() -> None:
    data = bytearray(write_elf(_PLAN))
    first = data.index(struct.pack("<HH", 1, 2))  # vn_version, vn_cnt of the first need
    struct.pack_into("<I", data, first + 12, 0xFFFFFFFF)
    assert elf_of_bytes(bytes(data)).defect


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, len(write_elf(_PLAN)) - 1), st.integers(0, 255)), max_size=8))
def test_damage_anywhere_is_a_defect_or_read_over(changes: list[tuple[int, int]]) -> None:
    data = bytearray(write_elf(_PLAN))
    for offset, value in changes:
        data[offset] = value
    elf_of_bytes(bytes(data))


@given(st.integers(4, len(write_elf(_PLAN)) - 1))
def test_file_cut_anywhere_is_a_defect(length: int) -> None:
    assert elf_of_bytes(write_elf(_PLAN)[:length]).defect
