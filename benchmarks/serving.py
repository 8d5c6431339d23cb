"""How fast a model is served, against chassisml's server, MLServer, BentoML and bare echoes, side by side in one run.

The same digits weights behind every server, on loopback, at 1, 8 and 64 requests at a time: a model that costs next to
nothing and one that costs 5 ms a call, whatever the batch (up to 16). gRPC is asked by a grpcio client over four
channels, HTTP by wrk. Then what a second worker brings to a model that holds the interpreter's lock, how long a server
takes from its start to its first readiness against Python that only loads the model, and the memory that it needs
beyond that. The servers of a table run all the time and are asked in turn, `--rounds` times; times are medians; ratios
are what to look at. The targets are listed at the end, met or missed; all of it takes ten minutes, and the peers'
environments a few more at the first run.

    ./bazelw run //benchmarks:serving
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from absl import flags

from benchmarks.load.measured import Measured, ask_grpc, ask_http, median
from benchmarks.servers import cold, peers
from benchmarks.servers.peers import Place
from benchmarks.servers.running import Server
from chassis.command_line.run import run_main
from chassis.runtime import omi_pb2

_ROUNDS = flags.DEFINE_integer("rounds", 3, "Times that each is measured.", lower_bound=1)
_SECONDS = flags.DEFINE_integer("seconds", 2, "Length of each measurement.", lower_bound=1)
_STARTS = flags.DEFINE_integer("starts", 10, "Starts that are measured.", lower_bound=1)
_WORK = flags.DEFINE_string("work", None, "A directory that keeps the peers' environments for the next run.")
_ONLY = flags.DEFINE_multi_enum("only", None, ["cheap", "slow", "workers", "start"], "Measure these parts alone.")

_CONCURRENCIES = (1, 8, 64)
_WIDEST = 64
_PIXELS = (0, 0, 9, 16, 4, 0, 11, 16)

Ask = Callable[[int], Measured]


@dataclass(frozen=True, slots=True)
class Row:
    """One server of a table, and how it is asked at a concurrency."""

    name: str
    ask: Ask


Table = dict[str, dict[int, Measured]]
"""Row to concurrency to what was measured."""


class Targets:
    """What was wanted, and whether it was met."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def check(self, what: str, found: str, *, met: bool) -> None:
        """Prints a target under its table, and keeps it for the end."""
        line = f"  {what}: {found}: {'met' if met else 'missed'}"
        print(line, flush=True)
        self._lines.append(line)

    def ratio(self, what: str, table: Table, own: str, other: str, *, at_least: float) -> None:
        """A ratio of rates at the highest concurrency."""
        ratio = table[own][_WIDEST].rate / table[other][_WIDEST].rate
        self.check(f"{what}, at {_WIDEST}", f"{ratio:.2f}, at least {at_least:g} wanted", met=ratio >= at_least)

    def show(self) -> None:
        """All of them."""
        print("\n".join(["", "targets", *self._lines]), flush=True)


class Bodies:
    """The same digit as each protocol wants it."""

    def __init__(self, directory: Path) -> None:
        pixels = json.dumps(list(_PIXELS * 8))
        tensor = {"name": "input", "datatype": "BYTES", "shape": [1], "data": [pixels]}
        self.omi = directory / "run_request.pb"
        item = omi_pb2.InputItem(input={"input": pixels.encode()})
        self.omi.write_bytes(omi_pb2.RunRequest(inputs=[item]).SerializeToString())
        self.v2 = directory / "infer.json"
        self.v2.write_text(json.dumps({"inputs": [tensor]}))
        self.bentoml = directory / "bentoml.json"
        self.bentoml.write_text(json.dumps({"inputs": [pixels]}))


def main(argv: Sequence[str]) -> None:
    """Measures and prints tables, then the ratios."""
    del argv
    with contextlib.ExitStack() as stack:
        work = _WORK.value or stack.enter_context(tempfile.TemporaryDirectory(dir=os.environ.get("TEST_TMPDIR")))
        scratch = stack.enter_context(tempfile.TemporaryDirectory(dir=os.environ.get("TEST_TMPDIR")))
        environments = Path(work) / "environments"
        environments.mkdir(parents=True, exist_ok=True)
        sources = Path(peers.__file__).parent
        place = Place(Path(scratch), environments, sources, Path(os.environ["DIGITS_WEIGHTS"]))
        for peer in peers.PEERS:
            place.environment(peer)
        print(
            f"{_processor()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}"
        )
        print(f"{_ROUNDS.value} rounds of {_SECONDS.value} s, {time.strftime('%Y-%m-%d')}")
        bodies = Bodies(place.work)
        targets = Targets()
        parts = {
            "cheap": lambda: _serve(place, bodies, targets, "cheap", "a model that costs next to nothing"),
            "slow": lambda: _serve(
                place, bodies, targets, "slow", "a model that costs 5 ms a call, whatever the batch"
            ),
            "workers": lambda: _workers(place, bodies, targets),
            "start": lambda: _start(place, targets),
        }
        for name, part in parts.items():
            if not _ONLY.value or name in _ONLY.value:
                part()
        targets.show()
        print(f"load {os.getloadavg()[0]:.1f} in the end")


def _serve(place: Place, bodies: Bodies, targets: Targets, kind: str, title: str) -> None:
    """The tables of one model, over gRPC and over HTTP."""
    with contextlib.ExitStack() as stack:
        own = peers.own(place, kind)
        stack.enter_context(own.server)
        chassisml = stack.enter_context(peers.chassisml(place, kind))
        echoes_grpc = [stack.enter_context(peers.echo(place, "grpc", loop)) for loop in ("asyncio", "uvloop", "core")]
        rows = [_grpc_row(server, server.port, bodies) for server in echoes_grpc] if kind == "cheap" else []
        rows += [_grpc_row(own.server, own.grpc_port, bodies), _grpc_row(chassisml, chassisml.port, bodies)]
        grpc = _measure(f"gRPC (OMI), {title}", rows)
    with contextlib.ExitStack() as stack:
        own = peers.own(place, kind)
        stack.enter_context(own.server)
        mlserver = stack.enter_context(peers.mlserver(place, kind))
        bentoml = stack.enter_context(peers.bentoml(place, kind))
        echoes = [stack.enter_context(peers.echo(place, "http", loop)) for loop in ("asyncio", "uvloop")]
        infer = f"/v2/models/{peers.NAME}/infer"
        rows = [_http_row(server, infer, bodies.v2) for server in echoes] if kind == "cheap" else []
        rows += [
            _http_row(own.server, infer, bodies.v2),
            _http_row(mlserver, infer, bodies.v2),
            _http_row(bentoml, "/predict", bodies.bentoml),
        ]
        http = _measure(f"HTTP, {title}", rows)
    own_name = own.server.name
    if kind == "cheap":
        targets.ratio("rate, of the bare gRPC echo", grpc, own_name, echoes_grpc[0].name, at_least=0.85)
        targets.ratio("rate over gRPC, over chassisml", grpc, own_name, peers.CHASSISML, at_least=1.8)
        targets.ratio("rate, of the bare HTTP echo", http, own_name, echoes[0].name, at_least=0.85)
        targets.ratio("rate over HTTP, over MLServer", http, own_name, peers.MLSERVER, at_least=2.5)
    else:
        targets.ratio("5 ms a call: rate, over chassisml", grpc, own_name, peers.CHASSISML, at_least=10)
        for protocol, table in (("gRPC", grpc), ("HTTP", http)):
            p99 = table[own_name][_WIDEST].p99 * 1e3
            found = f"{p99:.1f} ms, under 60 wanted"
            targets.check(f"5 ms a call: p99 over {protocol} at {_WIDEST}", found, met=p99 < 60)
    for table, names in ((grpc, (peers.CHASSISML,)), (http, (peers.MLSERVER, peers.BENTOML))):
        for name in names:
            ratios = [table[own_name][n].p99 / table[name][n].p99 for n in _CONCURRENCIES]
            shown = " / ".join(f"{ratio:.2f}" for ratio in ratios)
            what = f"{kind}: p99, of {name}'s at 1 / 8 / 64"
            targets.check(what, f"{shown}, below 1 wanted", met=max(ratios) < 1)


def _workers(place: Place, bodies: Bodies, targets: Targets) -> None:
    """Models that hold the interpreter's lock, in the server's own thread, in one process and in two."""
    a_call = _workers_table(place, bodies, "held", "a call, whatever the batch", 0)
    targets.ratio("5 ms a call: rate, two workers over a thread", a_call, "workers = 2", "workers = 0", at_least=1.7)
    an_item = _workers_table(place, bodies, "held each", "an item", 1)
    targets.ratio("5 ms an item: rate, two workers over one", an_item, "workers = 2", "workers = 1", at_least=1.7)


def _workers_table(place: Place, bodies: Bodies, kind: str, per: str, least: int) -> Table:
    with contextlib.ExitStack() as stack:
        rows = []
        for workers in range(least, 3):
            own = peers.own(place, kind, CHASSIS_WORKERS=str(workers))
            stack.enter_context(own.server)
            row = _grpc_row(own.server, own.grpc_port, bodies)
            rows.append(Row(f"workers = {workers}", row.ask))
        return _measure(f"gRPC (OMI), a model that holds the interpreter's lock for 5 ms {per}", rows)


def _start(place: Place, targets: Targets) -> None:
    """From start to ready, and memory, against Python with the model and nothing else."""
    found = cold.measure(place, _STARTS.value)
    print("\nfrom start to ready, and memory")
    print(f"  Python, its dependencies and the pickle {found.floor_s * 1e3:7.0f} ms {found.floor_bytes / 1e6:7.1f} MB")
    print(f"  this server                             {found.own_s * 1e3:7.0f} ms {found.own_bytes / 1e6:7.1f} MB")
    ratio, more = found.own_s / found.floor_s, (found.own_bytes - found.floor_bytes) / 1e6
    slow = sum(ratio > 1.3 for ratio in found.ratios)
    what = f"from start to ready, of Python's time ({slow} of {len(found.ratios)} above 1.3)"
    targets.check(what, f"{ratio:.2f}, 1.3 wanted", met=ratio <= 1.3)
    targets.check("memory beyond the model's own", f"{more:.1f} MB, under 60 wanted", met=more < 60)


def _grpc_row(server: Server, port: int, bodies: Bodies) -> Row:
    return Row(server.name, lambda concurrency: ask_grpc(server, port, concurrency, _SECONDS.value, bodies.omi))


def _http_row(server: Server, path: str, body: Path) -> Row:
    wrk = Path(os.environ["WRK"])
    return Row(
        server.name,
        lambda concurrency: ask_http(server, server.port, concurrency, _SECONDS.value, wrk=wrk, path=path, body=body),
    )


def _measure(title: str, rows: Sequence[Row]) -> Table:
    """Asks each row in turn at each concurrency, in rounds; prints the medians."""
    rounds: dict[tuple[str, int], list[Measured]] = {}
    for row, concurrency in _turns(rows):
        rounds.setdefault((row.name, concurrency), []).append(row.ask(concurrency))
    table: Table = {row.name: {n: median(rounds[row.name, n]) for n in _CONCURRENCIES} for row in rows}
    print(f"\n{title}: at 1 / 8 / 64")
    print(f"  {'':16} {'requests/s':>22} {'p50 ms':>22} {'p99 ms':>22} {'processor us a request':>24}")
    for name, found in table.items():
        cells = [
            _cell([found[n].rate for n in _CONCURRENCIES], "{:,.0f}"),
            _cell([found[n].p50 * 1e3 for n in _CONCURRENCIES], "{:.2f}"),
            _cell([found[n].p99 * 1e3 for n in _CONCURRENCIES], "{:.1f}"),
            _cell([found[n].cost * 1e6 for n in _CONCURRENCIES], "{:.0f}"),
        ]
        print(f"  {name:16} {cells[0]:>22} {cells[1]:>22} {cells[2]:>22} {cells[3]:>24}", flush=True)
    return table


def _turns(rows: Sequence[Row]) -> Iterator[tuple[Row, int]]:
    for _ in range(_ROUNDS.value):
        for concurrency in _CONCURRENCIES:
            for row in rows:
                yield row, concurrency


def _cell(values: Sequence[float], form: str) -> str:
    return " / ".join(form.format(value) for value in values)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


if __name__ == "__main__":
    run_main(main)
