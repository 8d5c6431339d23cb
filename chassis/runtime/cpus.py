"""How many threads libraries that compute may start: what the container's processors allow, not what the machine has.

A container of one CPU on a machine of 64 sees 64. Libraries start as many threads, which the kernel's quota then stops
for most of each period: products of matrices take a hundred times as long. The quota is cgroup v2's `cpu.max` or v1's
`cpu.cfs_quota_us`, of the process' own cgroup or one above it, whichever allows least.
https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files
"""

from __future__ import annotations

import os
from collections.abc import Iterator, MutableMapping

from chassis.runtime.cgroup import cgroup_directories, read_text

VARIABLES = (
    "OMP_NUM_THREADS",  # OpenMP: PyTorch, scikit-learn, LightGBM, XGBoost
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMEXPR_MAX_THREADS",
    "NUMBA_NUM_THREADS",
    "RAYON_NUM_THREADS",  # tokenizers and other libraries in Rust
    "POLARS_MAX_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)
"""What libraries read when they are imported."""


def cpu_quota(root: str = "/") -> float | None:
    """The processors that this process' cgroup, or one above it, may use, such as 1.5; None without a quota."""
    return min(_quotas(root), default=None)


def threads_default(num_cpus: float, workers: int, quota: float | None, visible: int) -> int:
    """The threads of one process of the model.

    It is the quota, at most the `visible` processors, divided by `workers` and rounded down. Without a quota,
    what the model declares it needs (`num_cpus`) takes its place.
    """
    available = min(visible, num_cpus if quota is None else quota)
    return max(1, int(available / max(1, workers)))


def limit_threads(environment: MutableMapping[str, str], threads: int) -> None:
    """Sets each of `VARIABLES` that is not set, or empty; to be called before anything that computes is imported."""
    for name in VARIABLES:
        environment[name] = environment.get(name) or str(threads)


def visible_cpus() -> int:
    """The processors that this process may run on."""
    return len(os.sched_getaffinity(0))


def _quotas(root: str) -> Iterator[float]:
    for directory in cgroup_directories(root, "cpu"):
        limit, _, period = (read_text(f"{directory}/cpu.max") or "").strip().partition(" ")
        if limit.isdigit() and period.isdigit() and int(period):
            yield int(limit) / int(period)
        limit = (read_text(f"{directory}/cpu.cfs_quota_us") or "").strip()
        period = (read_text(f"{directory}/cpu.cfs_period_us") or "").strip()
        if limit.isdigit() and int(limit) and period.isdigit() and int(period):
            yield int(limit) / int(period)
