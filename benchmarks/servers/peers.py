"""How each server is started: this project's, chassisml's, MLServer, BentoML, and the floors."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.servers import digits
from benchmarks.servers.environment import install
from benchmarks.servers.running import Server, free_port, http_ready, listening, omi_ready, python_environment
from tests.support.running_server import write_model

_LIMIT_S = 120

CHASSISML, MLSERVER, BENTOML = "chassisml", "mlserver", "bentoml"
PEERS = (CHASSISML, MLSERVER, BENTOML)
NAME = "tested"
"""The model's name, if a server has names; `write_model` gives it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where things are.

    Attributes:
      work: a directory for all that the servers write.
      environments: a directory for the peers' distributions.
      sources: the directory of this module: the models, the peers' own programs and their locks.
      weights: weights.npz of the digits model.
    """

    work: Path
    environments: Path
    sources: Path
    weights: Path

    def environment(self, peer: str) -> Path:
        """The directory of a peer's distributions, installed at the first call."""
        directory = self.environments / peer
        return directory if directory.is_dir() else install(self.sources / f"{peer}.txt", directory)

    def model(self, kind: str) -> Path:
        """The model directory of this project's server for the model `kind`."""
        directory = self.work / "models" / kind
        if not directory.is_dir():
            write_model(directory, digits.load(str(self.weights), kind), batch_size=digits.BATCH_SIZE)
        return directory

    def log(self, name: str) -> Path:
        """A file for what a server prints."""
        (self.work / "logs").mkdir(exist_ok=True)
        return self.work / "logs" / f"{name.replace(' ', '_')}.log"


@dataclass(frozen=True, slots=True)
class Own:
    """This project's server, which has a port for each of gRPC and HTTP."""

    server: Server
    grpc_port: int
    http_port: int


def own(place: Place, kind: str, **variables: str) -> Own:
    """Starts this project's server."""
    grpc_port, http_port = free_port(), free_port()
    environment = python_environment(
        [path for path in sys.path if path],
        CHASSIS_MODEL_DIR=str(place.model(kind)),
        CHASSIS_HOST="127.0.0.1",
        PSC_MODEL_PORT=str(grpc_port),
        HTTP_PORT=str(http_port),
        PYTHONPYCACHEPREFIX=str(place.work / "bytecode"),
        **variables,
    )
    arguments = ["-P", "-m", "chassis.runtime"]
    ready = http_ready("/v2/health/ready")
    return Own(
        Server("this server", arguments, environment, ready, port=http_port, log=place.log(f"own {kind}")),
        grpc_port,
        http_port,
    )


def echo(place: Place, kind: str, loop: str) -> Server:
    """Starts the floor of `kind`, "grpc" or "http", on `loop`, "asyncio" or "uvloop"; of gRPC there is "core" too."""
    port = free_port()
    arguments = ["-P", "-m", f"benchmarks.servers.echo_{kind}", str(port), *([] if loop == "asyncio" else [loop])]
    environment = python_environment([path for path in sys.path if path])
    name = f"echo, {loop}"
    return Server(name, arguments, environment, listening, port=port, log=place.log(f"echo {kind} {loop}"))


def chassisml(place: Place, kind: str) -> Server:
    """Starts chassisml's OMI server as its images do: in a directory with `data`."""
    port = free_port()
    directory = place.work / "chassisml" / kind
    environment = python_environment([place.environment(CHASSISML), place.sources], PSC_MODEL_PORT=str(port))
    if not directory.is_dir():
        directory.mkdir(parents=True)
        command = [sys.executable, place.sources / "chassisml_data.py", directory, place.weights, kind]
        subprocess.run(command, env=environment, check=True, timeout=_LIMIT_S)
    arguments = ["-m", "chassis.server.omi.server"]
    log = place.log(f"chassisml {kind}")
    return Server(CHASSISML, arguments, environment, omi_ready, port=port, log=log, directory=directory)


def mlserver(place: Place, kind: str) -> Server:
    """Starts MLServer with its defaults; a slow model gets its adaptive batching."""
    port = free_port()
    directory = place.work / "mlserver" / kind
    directory.mkdir(parents=True, exist_ok=True)
    settings = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port(), "host": "127.0.0.1"}
    model = {"name": NAME, "implementation": "mlserver_digits.DigitsRuntime"}
    if kind == "slow":
        model |= {"max_batch_size": digits.BATCH_SIZE, "max_batch_time": digits.CALL_SECONDS}
    (directory / "settings.json").write_text(json.dumps(settings))
    (directory / "model-settings.json").write_text(json.dumps(model))
    environment = _peer_environment(place, MLSERVER, kind)
    arguments = ["-c", "from mlserver.cli import main; main()", "start", str(directory)]
    ready = http_ready(f"/v2/models/{NAME}/ready")
    log = place.log(f"mlserver {kind}")
    return Server(MLSERVER, arguments, environment, ready, port=port, log=log, directory=directory)


def bentoml(place: Place, kind: str) -> Server:
    """Starts BentoML; its method is batchable."""
    port = free_port()
    environment = _peer_environment(place, BENTOML, kind)
    home = place.work / "bentoml"
    home.mkdir(exist_ok=True)
    environment |= {"BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"}
    serve = ["serve", "bentoml_digits:Digits", "--host", "127.0.0.1", "--port", str(port)]
    arguments = ["-c", "from bentoml_cli.cli import cli; cli()", *serve, "--working-dir", str(place.sources)]
    log = place.log(f"bentoml {kind}")
    return Server(BENTOML, arguments, environment, http_ready("/readyz"), port=port, log=log)


def _peer_environment(place: Place, peer: str, kind: str) -> dict[str, str]:
    return python_environment(
        [place.environment(peer), place.sources], MODEL_KIND=kind, MODEL_WEIGHTS=str(place.weights)
    )
