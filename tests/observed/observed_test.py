"""What an operator sees of a server: metrics by the parser of Prometheus, and where a failed item failed."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.running_server import RunningServer, write_model


def deep(content: bytes) -> int:
    """Raises deep inside a library."""
    return _ask_the_library(content)


def _ask_the_library(content: bytes) -> int:
    value = content.decode()
    for _ in range(40):
        value = [value]  # type: ignore[assignment]
    return len(json.dumps([*[value], {1, 2}]))


def scraped(port: int) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    text = urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20).read().decode()
    return {
        sample.name: {tuple(sorted(sample.labels.items())): sample.value}
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(port: int, name: str) -> float:
    (found,) = scraped(port)[name].values()
    return found


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_failed_items_log_names_the_models_own_lines_and_none_of_the_servers(workers: str, tmp_path: Path) -> None:
    with RunningServer(write_model(tmp_path, deep), {"CHASSIS_WORKERS": workers}) as server:
        assert not server.run(b"x").outputs[0].success
        at = str(server.wait_event("an item failed")["at"])
    own, _, library = at.partition("; ")
    places = [place.rpartition(" ")[2] for place in own.split(", ")]
    assert places == ["deep", "_ask_the_library"]
    assert "observed_test.py:" in own
    assert "json/encoder.py:" in library and library.endswith(" default")
    assert "chassis/runtime/core" not in at and "worker" not in at


def test_metrics_have_a_port_of_their_own_without_http(tmp_path: Path) -> None:
    given = {"CHASSIS_SERVERS": "omi", "CHASSIS_METRICS_PORT": "0", "CHASSIS_IMAGE": 'registry.example/x@sha256:"1"'}
    with RunningServer(write_model(tmp_path, len, version="7"), given) as server:
        server.wait_health("SERVING")
        server.run(b"abc")
        listening = server.wait_event("listening")
        port = int(listening["metrics_port"])
        assert "http_port" not in listening
        ((names, one),) = scraped(port)["chassis_model_info"].items()
        assert one == 1
        assert {"model": "tested", "version": "7", "image": 'registry.example/x@sha256:"1"'}.items() <= dict(
            names
        ).items()
        assert urlopen(f"http://127.0.0.1:{port}/v2/health/ready", timeout=20).status == 200


def test_the_process_says_what_every_process_does(tmp_path: Path) -> None:
    before = time.time()
    with RunningServer(write_model(tmp_path, len)) as server:
        server.wait_health("SERVING")
        found = scraped(server.http_port)
    names = {name: next(iter(samples.values())) for name, samples in found.items() if name.startswith("process_")}
    assert 0 < names["process_cpu_seconds_total"] < 60
    assert 0 < names["process_resident_memory_bytes"] < names["process_virtual_memory_bytes"]
    assert 3 < names["process_open_fds"] < names["process_max_fds"]
    assert before - 2 < names["process_start_time_seconds"] < time.time() + 2


def test_processes_have_names_that_ps_shows(tmp_path: Path) -> None:
    with RunningServer(write_model(tmp_path, len), {"CHASSIS_WORKERS": "2"}) as server:
        server.wait_health("SERVING")
        until = time.monotonic() + 20
        while value(server.http_port, "chassis_workers") < 2:
            assert time.monotonic() < until
        names = sorted(_names(server.process.pid))
    assert names == ["chassis-forks", "chassis-model-0", "chassis-model-1", "chassis-server"]


def _names(pid: int) -> Iterator[str]:
    """Of a process and all that descend from it."""
    yield Path(f"/proc/{pid}/comm").read_text().strip()
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from _names(int(child))


@pytest.mark.parametrize("workers", ["0", "1"])
def test_requests_in_flight_and_how_busy_the_model_is(workers: str, tmp_path: Path) -> None:
    gate = tmp_path / "gate"

    def waits(content: bytes) -> int:
        until = time.monotonic() + 20
        while not gate.exists() and time.monotonic() < until:
            time.sleep(0.01)
        return 0

    with RunningServer(write_model(tmp_path / "model", waits), {"CHASSIS_WORKERS": workers}) as server:
        server.wait_health("SERVING")
        assert value(server.http_port, "chassis_requests_in_flight") == 0
        assert value(server.http_port, "chassis_workers") == 1
        callers = [threading.Thread(target=server.run, args=(b"x",)) for _ in range(3)]
        for caller in callers:
            caller.start()
        until = time.monotonic() + 20
        while value(server.http_port, "chassis_requests_in_flight") < 3:
            assert time.monotonic() < until
        busy = value(server.http_port, "chassis_model_busy_seconds_total")
        while value(server.http_port, "chassis_model_busy_seconds_total") < busy + 0.05:
            assert time.monotonic() < until
        gate.touch()
        for caller in callers:
            caller.join()
        assert value(server.http_port, "chassis_requests_in_flight") == 0
