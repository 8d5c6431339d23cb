"""Whether the machine gives namespaces, against what unshare(1) gets."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from chassis.bootstrap.namespaces import why_no_namespaces


def test_it_says_what_unshare_says() -> None:
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("there is no unshare(1) to compare with")
    run = subprocess.run([unshare, "--user", "--mount", "--net", "true"], capture_output=True)
    assert bool(why_no_namespaces()) == bool(run.returncode)


def test_it_leaves_this_process_where_it_is() -> None:
    before = _namespaces()
    why_no_namespaces()
    assert _namespaces() == before


def _namespaces() -> str:
    return subprocess.run(
        ["readlink", "/proc/self/ns/user", "/proc/self/ns/mnt"], capture_output=True, text=True
    ).stdout
