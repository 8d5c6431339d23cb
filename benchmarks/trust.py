"""What bills of materials, provenance and signatures add to a push.

The image of //model goes to docker-registry on loopback, into a repository of its own each time and once more: as it
is, with its documents, and with those signed, by a key without a password and by one that cosign made, with one. Rounds
alternate; the figures are medians over `--runs`, of the time on the wall and of the processors' time of the push, which
other programs of the machine disturb less.

    ./bazelw run //benchmarks:trust -- --runs 7
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from absl import flags
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from chassis.command_line.run import run_main
from tests.publishing.registry_server import RegistryServer
from tests.trust.signing_tools import PASSWORD, keys

_RUNS = flags.DEFINE_integer("runs", 7, "Rounds, in each of which every push is made.", lower_bound=1)
_LIMIT_S = 600
_Seconds = tuple[float, float]


def main(argv: Sequence[str]) -> None:
    """Measures and prints the rows."""
    del argv
    with tempfile.TemporaryDirectory() as folder, RegistryServer(Path(folder)) as registry:
        key = Path(folder) / "key.pem"
        form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        private = ec.generate_private_key(ec.SECP256R1())
        key.write_bytes(private.private_bytes(serialization.Encoding.PEM, *form))
        print(
            f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}, {_RUNS.value} rounds; seconds, of processors in ()"
        )
        kinds = {
            "plain": ("PUSH_PLAIN", ()),
            "documents": ("PUSH_ALL_OF_IT", ()),
            "documents, signed": ("PUSH_ALL_OF_IT", ("--sign", f"--key={key}")),
            "documents, signed with a password": ("PUSH_ALL_OF_IT", ("--sign", f"--key={keys(Path(folder))[0]}")),
        }
        taken: dict[str, list[tuple[_Seconds, _Seconds]]] = {kind: [] for kind in kinds}
        for number in range(_RUNS.value):
            for place, (kind, (target, more)) in enumerate(kinds.items()):
                repository = f"{registry.address}/round{number}/kind{place}"
                taken[kind].append((_push(target, repository, more), _push(target, repository, more)))
    for kind, rounds in taken.items():
        cells = []
        for which, name in enumerate(("first", "unchanged")):
            own, base = ([pushes[which] for pushes in of] for of in (rounds, taken["plain"]))
            wall, processor = (statistics.median(one[clock] for one in own) for clock in (0, 1))
            more = [
                statistics.median(one[clock] - plain[clock] for one, plain in zip(own, base, strict=True))
                for clock in (0, 1)
            ]
            cells.append(f"{name} {wall:.2f} ({processor:.2f}), added {more[0]:+.2f} ({more[1]:+.2f})")
        print(f"{kind}: {'; '.join(cells)}")
    print(f"load {os.getloadavg()[0]:.1f} at the end")


def _push(target: str, repository: str, more: Sequence[str]) -> _Seconds:
    """Pushes, and says how long that took: on the wall, and of processors."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [os.environ[target], f"--repository={repository}", "--tag=v1", *more]
    environment = {**os.environ, "COSIGN_PASSWORD": PASSWORD}
    subprocess.run(command, check=True, capture_output=True, timeout=_LIMIT_S, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processors = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, processors


if __name__ == "__main__":
    run_main(main)
