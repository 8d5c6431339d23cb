"""A model that computes in threads, in a container of one CPU on a machine that shows many.

The quota is the kernel's own, of a control group that is made for it, which needs root. A library that sees 16 cores
starts 16 threads: here it is told to.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from benchmarks.load.measured import Measured, ask_grpc, median
from benchmarks.servers import peers
from benchmarks.servers.peers import Place
from benchmarks.serving_parts.targets import Targets

_GROUP = "chassis_benchmark"
_PERIOD = 100_000
_VISIBLE = "16"


def measure_quota(place: Place, targets: Targets, rounds: int, seconds: float, message: Path) -> None:
    """Threads as the server sets them, by hand, and as many as there are cores."""
    with contextlib.ExitStack() as stack:
        try:
            group = stack.enter_context(_quota_of_one())
        except OSError as error:
            print(f"\na quota of one CPU: not measured, no control group can be made here ({error.strerror})")
            return
        given = {"this server's": {}, "one, by hand": _threads("1"), "as many as cores": _threads(_VISIBLE)}
        servers = {}
        for name, variables in given.items():
            own = peers.own(place, "products", within=group, **variables)
            stack.enter_context(own.server)
            servers[name] = own
        found: dict[str, list[Measured]] = {}
        for _ in range(rounds):
            for name, own in servers.items():
                found.setdefault(name, []).append(ask_grpc(own.server, own.grpc_port, 1, seconds, message))
    print("\nproducts of matrices with a quota of one CPU, one caller")
    print(f"  {'threads':18} {'requests/s':>10} {'p99, ms':>10} {'processor ms a request':>24}")
    table = {name: median(several) for name, several in found.items()}
    for name, one in table.items():
        print(f"  {name:18} {one.rate:>10,.1f} {one.p99 * 1e3:>10.1f} {one.cost * 1e3:>24.1f}")
    own_rate, by_hand = table["this server's"].rate, table["one, by hand"].rate
    targets.at_least("rate with a quota of one CPU, of threads by hand", own_rate / by_hand, 0.95)


def _threads(count: str) -> dict[str, str]:
    return {"OPENBLAS_NUM_THREADS": count, "OMP_NUM_THREADS": count}


@contextlib.contextmanager
def _quota_of_one() -> Iterator[Path]:
    """A control group of one CPU (v2, or v1's `cpu`); its file of processes."""
    base = Path("/sys/fs/cgroup")
    unified = (base / "cgroup.controllers").exists()
    group = (base if unified else base / "cpu") / f"{_GROUP}_{os.getpid()}"
    group.mkdir()
    try:
        if unified:
            (group / "cpu.max").write_text(f"{_PERIOD} {_PERIOD}")
        else:
            (group / "cpu.cfs_period_us").write_text(str(_PERIOD))
            (group / "cpu.cfs_quota_us").write_text(str(_PERIOD))
        yield group / "cgroup.procs"
    finally:
        with contextlib.suppress(OSError):
            group.rmdir()
