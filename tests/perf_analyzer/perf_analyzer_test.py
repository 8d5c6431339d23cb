"""perf_analyzer, as Triton ships it, measures this server over HTTP and gRPC and agrees with its own counts."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest

from tests.support.running_server import RunningServer, write_model

CALLERS = 2
REQUESTS = 500


def doubled(items: Sequence[Mapping[str, bytes]]) -> list[dict[str, bytes]]:
    """Each row, twice."""
    return [{"doubled": (np.frombuffer(item["row"], "<f4") * 2).tobytes()} for item in items]


def take(wheel: str, ending: str, directory: Path) -> Path:
    """The one file of a wheel whose name ends so, executable, in `directory`."""
    with zipfile.ZipFile(os.environ[wheel]) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(ending))
        path = directory / name.rpartition("/")[2]
        path.write_bytes(archive.read(name))
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("perf_analyzer")
    take("CUDA_RUNTIME_WHEEL", "/libcudart.so.12", directory)
    (directory / "libb64.so.0d").write_bytes(Path(os.environ["LIBB64"]).read_bytes())
    return take("PERF_ANALYZER_WHEEL", "/bin/perf_analyzer", directory)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    plain = {"media_type": "application/octet-stream", "max_size": "", "max_bytes": None}
    model = write_model(
        tmp_path_factory.mktemp("model"),
        doubled,
        batch_size=8,
        signature="mapping",
        version="3",  # It knows versions that are integers alone, as Triton's are.
        inputs=[{"name": "row", "datatype": "FP32", "shape": [3], **plain}],
        outputs=[{"name": "doubled", "datatype": "FP32", "shape": [3], **plain}],
    )
    with RunningServer(model) as running:
        running.wait_health("SERVING")
        yield running


def answered(server: RunningServer, protocol: str) -> int:
    text = urlopen(f"http://127.0.0.1:{server.http_port}/metrics").read().decode()
    code = {"v2-http": "200", "v2-grpc": "OK"}[protocol]
    found = re.search(rf'^chassis_requests_total{{protocol="{protocol}",code="{code}"}} (\d+)', text, re.MULTILINE)
    return int(found[1]) if found else 0


@pytest.mark.parametrize(("kind", "protocol"), [("http", "v2-http"), ("grpc", "v2-grpc")])
def test_it_measures_and_agrees_with_the_servers_figures(
    kind: str, protocol: str, program: Path, server: RunningServer, tmp_path: Path
) -> None:
    report = tmp_path / "report.csv"
    port = server.http_port if kind == "http" else server.port
    asked = ["-m", "tested", "-u", f"127.0.0.1:{port}", "-i", kind, "-b", "2", "-f", str(report), "--verbose-csv"]
    # A number of requests, not what comes in a time: where a time ends, a busy machine counts others than the server.
    how = ["--concurrency-range", str(CALLERS), "--request-count", str(REQUESTS)]
    before = answered(server, protocol)
    ran = subprocess.run(
        [program, *asked, *how],
        env={**os.environ, "LD_LIBRARY_PATH": str(program.parent)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (row,) = csv.DictReader(report.open())
    counted = {name: int(count) for name, count in re.findall(r"^ +(\w[\w ]*): (\d+)$", ran.stdout, re.MULTILINE)}
    # It asks the server for its counts when its callers have begun, so the server's lack those of the first moments.
    served = counted["Successful request count"]
    assert counted["Request count"] == REQUESTS, ran.stdout
    assert 0 < served <= REQUESTS <= answered(server, protocol) - before, ran.stdout
    assert counted["Inference count"] == 2 * served, ran.stdout
    in_server = float(row["Server Queue"]) + float(row["Server Compute Infer"])
    assert 0 < in_server * served <= float(row["Avg latency"]) * REQUESTS, ran.stdout
