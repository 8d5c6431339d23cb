"""Tokens a second of a function that is a generator, against streams that are made from nothing."""

from __future__ import annotations

from benchmarks.load.measured import Measured, ask_stream, median
from benchmarks.servers import peers
from benchmarks.servers.peers import Place
from benchmarks.serving_parts.targets import Targets

_TOKENS = 500


def measure_streams(place: Place, targets: Targets, rounds: int, seconds: float) -> None:
    """Over Server-Sent Events and over gRPC, one stream after another."""
    found: dict[str, list[Measured]] = {}
    own = peers.own(place, "tokens")
    with own.server, peers.echo_stream(place, "sse") as events, peers.echo_stream(place, "grpc") as messages:
        rows = [
            ("events made from nothing", events, "sse", events.port),
            ("this server, events", own.server, "sse", own.http_port),
            ("grpc.aio, made from nothing", messages, "grpc", messages.port),
            ("this server, gRPC", own.server, "grpc", own.grpc_port),
        ]
        for _ in range(rounds):
            for name, server, kind, port in rows:
                found.setdefault(name, []).append(ask_stream(server, port, kind, _TOKENS, seconds))
    print(f"\nstreams of {_TOKENS} tokens, one after another")
    print(f"  {'':28} {'tokens/s':>10} {'first token, ms':>16} {'processor us a token':>22}")
    table = {name: median(given) for name, given in found.items()}
    for name, one in table.items():
        print(f"  {name:28} {one.rate:>10,.0f} {one.p50 * 1e3:>16.2f} {one.cost * 1e6:>22.0f}")
    names = [row[0] for row in rows]
    targets.at_least("tokens/s, of bare events", table[names[1]].rate / table[names[0]].rate, 0.1)
    targets.at_least("tokens/s over gRPC, of grpc.aio's", table[names[3]].rate / table[names[2]].rate, 0.5)
