"""Tests of chassis.runtime.limits."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from chassis.runtime.limits import (
    connections_default,
    inflight_default,
    memory_in_use,
    memory_limit,
    request_default,
)

_GIB = 1 << 30

_ROOTS = {
    "v2, in a container": ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "268435456\n"}, 268435456),
    "v2, an ancestor allows less": (
        {
            "proc/self/cgroup": "0::/pod/server\n",
            "sys/fs/cgroup/pod/server/memory.max": "max\n",
            "sys/fs/cgroup/pod/memory.max": "1000000\n",
        },
        1000000,
    ),
    "v2, the host's path": (
        {"proc/self/cgroup": "0::/../../other/path\n", "sys/fs/cgroup/memory.max": "2000000\n"},
        2000000,
    ),
    "v1": (
        {
            "proc/self/cgroup": "9:cpu:/\n4:memory,hugetlb:/docker/0123\n0::/\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "3000000\n",
        },
        3000000,
    ),
    "v1, no limit": (
        {"proc/self/cgroup": "4:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"},
        None,
    ),
    "v2, no limit": ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, None),
    "none": ({}, None),
}


def _write(root: Path, files: dict[str, str]) -> str:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return str(root)


@pytest.mark.parametrize("name", _ROOTS)
def test_the_limit_of_a_cgroup(tmp_path: Path, name: str) -> None:
    files, expected = _ROOTS[name]
    assert memory_limit(_write(tmp_path, files)) == expected


def test_what_is_used_is_without_files_that_the_kernel_may_drop(tmp_path: Path) -> None:
    v2 = {
        "proc/self/cgroup": "0::/\n",
        "sys/fs/cgroup/memory.current": "1000\n",
        "sys/fs/cgroup/memory.stat": "anon 500\ninactive_file 300\n",
    }
    assert memory_in_use(_write(tmp_path / "v2", v2)) == 700
    v1 = {
        "proc/self/cgroup": "4:memory:/\n",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": "1000\n",
        "sys/fs/cgroup/memory/memory.stat": "cache 500\ntotal_inactive_file 100\n",
    }
    assert memory_in_use(_write(tmp_path / "v1", v1)) == 900
    assert memory_in_use(_write(tmp_path / "none", {})) is None


@pytest.mark.parametrize(
    ("memory", "inflight", "body", "connections"),
    [
        (None, _GIB, 256 << 20, 4096),
        (64 * _GIB, _GIB, 256 << 20, 4096),
        (256 << 20, 128 << 20, (128 << 20) * 2 // 5, 4096),
        (16 << 20, 8 << 20, (8 << 20) * 2 // 5, 256),
    ],
)
def test_defaults_follow_from_memory(memory: int | None, inflight: int, body: int, connections: int) -> None:
    assert inflight_default(memory) == inflight
    assert request_default(inflight) == body
    assert connections_default(inflight, 1 << 20) == connections


def test_few_files_are_few_connections() -> None:
    assert connections_default(_GIB, 1024) == 480
    assert connections_default(_GIB, 70) == 16


def test_the_soft_limit_of_files_is_raised_to_the_hard_one() -> None:
    hard = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 4096)
    program = f"""
import json, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (256, {hard}))
from chassis.runtime.limits import raise_file_limit
print(json.dumps([raise_file_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE)]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout) == [hard, hard, hard]
