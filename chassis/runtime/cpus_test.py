"""Threads of libraries in a container with a quota, and in one without."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from chassis.runtime.cpus import VARIABLES, cpu_quota, limit_threads, threads_default
from tests.support.running_server import RunningServer, write_model

# Files below the root, and the processors that they leave.
_QUOTAS: dict[str, tuple[Mapping[str, str], float | None]] = {
    "v2": ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
    "v2 without": ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
    "v2, one above allows less": (
        {
            "proc/self/cgroup": "0::/pod/one\n",
            "sys/fs/cgroup/pod/one/cpu.max": "400000 100000\n",
            "sys/fs/cgroup/pod/cpu.max": "200000 100000\n",
        },
        2.0,
    ),
    "v2, the host's path in a container": (
        {"proc/self/cgroup": "0::/../kubepods/x\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"},
        0.5,
    ),
    "v1": (
        {
            "proc/self/cgroup": "4:cpu,cpuacct:/x\n9:memory:/x\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "300000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
        3.0,
    ),
    "v1 without": (
        {
            "proc/self/cgroup": "4:cpu,cpuacct:/\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
        None,
    ),
    "nothing": ({}, None),
}


@pytest.mark.parametrize("name", _QUOTAS)
def test_the_quota_of_the_cgroup(name: str, tmp_path: Path) -> None:
    files, expected = _QUOTAS[name]
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    assert cpu_quota(str(tmp_path)) == expected


@pytest.mark.parametrize(
    ("num_cpus", "workers", "quota", "visible", "threads"),
    [
        (1, 1, None, 64, 1),
        (8, 1, None, 64, 8),
        (8, 1, None, 4, 4),
        (8, 1, 1.0, 64, 1),
        (1, 1, 4.0, 64, 4),
        (1, 2, 4.0, 64, 2),
        (1, 3, 4.0, 64, 1),
        (1, 8, 4.0, 64, 1),
        (1, 0, 4.0, 64, 4),
        (0.5, 1, None, 64, 1),
        (1, 1, 16.0, 2, 2),
    ],
)
def test_threads(num_cpus: float, workers: int, quota: float | None, visible: int, threads: int) -> None:
    assert threads_default(num_cpus, workers, quota, visible) == threads


def test_the_environment_comes_first() -> None:
    environment = {"OMP_NUM_THREADS": "7"}
    limit_threads(environment, 2)
    assert environment == dict.fromkeys(VARIABLES, "2") | {"OMP_NUM_THREADS": "7"}


def threads(content: bytes) -> dict[str, int]:
    """What libraries that are imported with the model say that they start."""
    import numpy
    import threadpoolctl

    numpy.zeros((2, 2)) @ numpy.zeros((2, 2))
    return {pool["user_api"]: pool["num_threads"] for pool in threadpoolctl.threadpool_info()}


@pytest.mark.parametrize("workers", ["0", "1"])
def test_openblas_starts_no_more_threads_than_the_container_has_processors(workers: str, tmp_path: Path) -> None:
    given = {"CHASSIS_WORKERS": workers, "OPENBLAS_NUM_THREADS": "", "OMP_NUM_THREADS": ""}
    model = write_model(tmp_path, threads, num_cpus=1)
    with RunningServer(model, given) as server:
        found = json.loads(server.run(b"").outputs[0].output["results.json"])
        assert found and set(found.values()) == {1}, found
        assert server.wait_event("listening")["threads"] == 1
