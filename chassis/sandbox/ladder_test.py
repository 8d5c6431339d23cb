"""The ladder on this machine: which rung is taken, and what is said if none will do."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from chassis.sandbox import binfmt, ladder
from chassis.sandbox.errors import SandboxError
from chassis.sandbox.ladder import Need, Rung, Tools, climb


def _tools() -> Tools:
    return Tools(Path(os.environ["BWRAP"]), Path(os.environ["PROOT"]))


@pytest.fixture
def refusing(tmp_path: Path) -> Path:
    """A bubblewrap of a kernel that gives no namespaces."""
    program = tmp_path / "bwrap"
    program.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    program.chmod(0o755)
    return program


def test_without_namespaces_proot_takes_over_and_one_line_says_why(refusing: Path) -> None:
    found = climb(Tools(refusing, _tools().proot))
    assert found.rung is Rung.PROOT
    assert found.line() == (
        f"sandbox: PRoot {'with' if found.landlock else 'without'} Landlock"
        f"{'' if found.landlock else ': this kernel has none'} (bubblewrap: No permissions to create new namespace)"
    )


def test_without_proot_root_has_chroot_and_others_an_error_with_remedies(refusing: Path) -> None:
    tools = Tools(refusing, None)
    try:
        found = climb(tools)
    except SandboxError as error:
        assert "bubblewrap: No permissions" in str(error) and "PRoot: there is none" in str(error)
        assert "--cap-add=SYS_PTRACE" in str(error) and "in a container" in str(error)
    else:
        assert found.rung is Rung.CHROOT and os.geteuid() == 0


def test_no_rung_is_an_error_that_names_each(refusing: Path) -> None:
    with pytest.raises(SandboxError, match=r"bubblewrap: No permissions.*\n.*PRoot: there is none\n.*in a container"):
        climb(Tools(refusing, None), rungs=[Rung.BUBBLEWRAP, Rung.PROOT])


def test_a_rung_that_is_too_weak_is_passed_over_or_fails_with_the_reason(
    refusing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ladder, "landlock_version", lambda: 0)
    monkeypatch.setattr(ladder, "network_is_shut", lambda: False)
    tools = Tools(refusing, _tools().proot)
    assert climb(tools).rung is Rung.PROOT
    with pytest.raises(SandboxError, match="PRoot: files of the machine stay open and the network stays open"):
        climb(tools, Need.FILES | Need.NETWORK, [Rung.BUBBLEWRAP, Rung.PROOT])


def test_a_program_of_another_cpu_that_starts_others_gets_what_can_start_them(monkeypatch: pytest.MonkeyPatch) -> None:
    first = climb(_tools()).rung
    assert climb(_tools(), Need.CHILDREN).rung is first
    monkeypatch.setattr(binfmt, "reason_against", lambda _: "")
    assert climb(_tools(), Need.CHILDREN, emulated=True).rung is first
    monkeypatch.setattr(binfmt, "reason_against", lambda _: "unshare: Operation not permitted")
    assert climb(_tools(), Need.CHILDREN, emulated=True).rung is Rung.PROOT


def test_proot_needs_no_directory_that_everybody_has(tmp_path: Path) -> None:
    found = climb(_tools(), rungs=[Rung.PROOT])
    assert found.proot
    environment = found.proot.environment(tmp_path)
    assert Path(environment["PROOT_LOADER"]).parent == tmp_path
    command = [*found.proot.command, "-v", "-1", "-r", "/", "-b", f"{tmp_path}:/tmp", "/bin/ls", "/tmp"]
    assert subprocess.run(command, capture_output=True, text=True, env=environment, check=True).stdout == "loader\n"


def test_tunables_of_a_programs_own_come_over_those_that_proot_needs(tmp_path: Path) -> None:
    found = climb(_tools(), rungs=[Rung.PROOT])
    assert found.proot
    own = "glibc.malloc.trim_threshold=4096"
    tunables = found.proot.environment(tmp_path, {"GLIBC_TUNABLES": own})["GLIBC_TUNABLES"]
    assert tunables.endswith(f":{own}")  # glibc takes the last
    assert tunables.startswith("glibc.malloc.top_pad=")
