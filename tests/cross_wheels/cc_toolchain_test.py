"""C++ through Bazel's own rules, cross-compiled: for the right CPU and glibc, and it runs."""

from __future__ import annotations

import io
import os
import re
import subprocess
import tarfile
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from chassis.cross.archive import read_members

_MACHINES = {"AMD64": "EM_X86_64", "ARM64": "EM_AARCH64"}


def _saying(machine: str) -> str:
    return f"hello thread\ncaught no name\n{machine}\n"


@pytest.mark.parametrize("architecture", sorted(_MACHINES))
def test_a_binary_is_for_its_platform_and_an_old_glibc(architecture: str) -> None:
    with Path(os.environ[f"GREET_{architecture}"]).open("rb") as file:
        elf = ELFFile(file)
        assert elf["e_machine"] == _MACHINES[architecture]
        needed = [
            tag.needed for tag in elf.get_section_by_name(".dynamic").iter_tags() if tag.entry.d_tag == "DT_NEEDED"
        ]
        names = elf.get_section_by_name(".dynstr").data().decode("latin-1")
    assert "libc.so.6" in needed
    # libc++ is linked in: an image need not have one.
    assert not [name for name in needed if "++" in name or "unwind" in name]
    versions = [int(minor) for minor in re.findall(r"GLIBC_2\.(\d+)", names)]
    assert versions
    assert max(versions) <= 28


def test_the_amd64_binary_runs_here() -> None:
    run = subprocess.run([os.environ["GREET_AMD64"]], capture_output=True, text=True, timeout=30)
    assert (run.stdout, run.returncode) == (_saying("x86_64"), 0)


def test_the_arm64_binary_runs_under_emulation_with_the_image_s_own_libc(tmp_path: Path) -> None:
    members = dict(read_members(Path(os.environ["LIBC6_ARM64"]).read_bytes(), "libc6.deb"))
    with tarfile.open(fileobj=io.BytesIO(members["data.tar.xz"])) as archive:
        archive.extractall(tmp_path)
    command = [os.environ["QEMU_AARCH64"], "-cpu", "cortex-a57", "-L", str(tmp_path), os.environ["GREET_ARM64"]]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (run.stdout, run.returncode) == (_saying("aarch64"), 0), run.stderr
