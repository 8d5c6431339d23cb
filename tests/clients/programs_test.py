"""Java's HttpClient, ab, hey and curl ask a server, and nginx stands before it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from chassis.runtime import omi_pb2, omi_pb2_grpc
from tests.clients.models import serving_doubled
from tests.support.running_server import RunningServer

INFER = "/v2/models/tested/infer"
BODY = {"inputs": [{"name": "row", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]}]}
ANSWER = [{"name": "doubled", "datatype": "FP32", "shape": [1, 3], "data": [2.0, 4.0, 6.0]}]
_GONE = 69
"""The status of a program whose package the mirror does not have any more."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with serving_doubled(tmp_path_factory.mktemp("model")) as running:
        yield running


@pytest.fixture
def body(tmp_path: Path) -> Path:
    path = tmp_path / "body.json"
    path.write_text(json.dumps(BODY))
    return path


def program(variable: str) -> str:
    return os.environ.get(variable) or pytest.skip(f"{variable} names no program: run it through Bazel")


def said(variable: str, *arguments: object) -> str:
    """What a program prints."""
    done = subprocess.run([program(variable), *map(str, arguments)], capture_output=True, text=True, timeout=120)
    if done.returncode == _GONE and "the mirror does not have" in done.stderr:
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_javas_client_offers_http_2_and_gets_each_answer_once(server: RunningServer) -> None:
    jar = Path(program("CLIENTS_ROOT")) / "usr/share/java/js.jar"
    rhino = ["-XX:TieredStopAtLevel=1", "-cp", jar, "org.mozilla.javascript.tools.shell.Main"]
    script = Path(__file__).with_name("ask.js")
    found = json.loads(said("JAVA", *rhino, script, f"http://127.0.0.1:{server.http_port}", INFER, json.dumps(BODY)))
    assert found["version"] == "HTTP_2"
    assert found["get"] == [200, "HTTP_1_1", {"name": "tested", "ready": True}]
    assert found["after"] == [200, "HTTP_1_1", {"live": True}]
    assert found["refused"] == [400, "HTTP_1_1", {"error": "inputs: expected a list of tensors"}]
    assert len(found["together"]) == 16
    for status, version, answer in [found["post"], *found["together"]]:
        assert (status, version, answer["outputs"]) == (200, "HTTP_1_1", ANSWER)


@pytest.mark.parametrize("kept", [True, False])
def test_ab_which_speaks_http_1_0(kept: bool, server: RunningServer, body: Path) -> None:
    url = f"http://127.0.0.1:{server.http_port}{INFER}"
    given = ["-s", 10, "-n", 400, "-c", 8, "-p", body, "-T", "application/json"]
    report = said("AB", *(["-k"] if kept else []), *given, url)
    counted = {name: int(count) for name, count in re.findall(r"^([\w -]+): +(\d+)$", report, re.MULTILINE)}
    assert (counted["Complete requests"], counted["Failed requests"]) == (400, 0), report
    assert "Non-2xx" not in report
    assert counted.get("Keep-Alive requests", 0) == (400 if kept else 0)


def test_hey(server: RunningServer, body: Path) -> None:
    url = f"http://127.0.0.1:{server.http_port}{INFER}"
    report = said("HEY", "-n", 400, "-c", 8, "-m", "POST", "-T", "application/json", "-D", body, url)
    assert re.findall(r"^ *\[(\d+)\]\s+(\d+) responses", report, re.MULTILINE) == [("200", "400")], report
    assert "Error distribution" not in report


def test_curl_offers_http_2_and_keeps_its_connection(server: RunningServer, body: Path) -> None:
    url = f"http://127.0.0.1:{server.http_port}"
    shown = "\n%{http_code} %{http_version} %{num_connects}\n"
    gets = said("CURL", "-sS", "--http2", "-w", shown, f"{url}/v2/health/ready", f"{url}/v2/health/live")
    assert gets.splitlines() == ['{"name":"tested","ready":true}', "200 1.1 1", '{"live":true}', "200 1.1 0"]
    answer, code = said("CURL", "-sS", "--http2", "-w", shown, "-d", f"@{body}", url + INFER).splitlines()
    assert (json.loads(answer)["outputs"], code) == (ANSWER, "200 1.1 1")


def test_curl_sends_a_large_body_when_told_to_go_on(server: RunningServer, tmp_path: Path) -> None:
    large = tmp_path / "large.json"
    tensor = {"name": "row", "datatype": "FP32", "shape": [1000, 3], "data": [0.5] * 3000}
    large.write_text(json.dumps({"inputs": [tensor]}) + " " * 2_000_000)
    sent = ["-sS", "-v", "--stderr", "-", "-o", tmp_path / "answer", "--compressed", "--data-binary", f"@{large}"]
    for more in ([], ["-H", "Transfer-Encoding: chunked"]):
        said_all = said("CURL", *sent, *more, f"http://127.0.0.1:{server.http_port}{INFER}")
        assert "< HTTP/1.1 100 Continue" in said_all
        assert "< HTTP/1.1 200 OK" in said_all
        assert "< content-encoding: gzip" in said_all
        (output,) = json.loads((tmp_path / "answer").read_text())["outputs"]
        assert output["data"] == [1.0] * 3000


CONFIGURATION = """
daemon off; master_process off; user root root; error_log stderr; pid {directory}/pid;
events {{}}
http {{
  access_log off;
  client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
  upstream kept {{ server 127.0.0.1:{http_port}; keepalive 4; }}
  upstream grpc {{ server 127.0.0.1:{port}; }}
  server {{
    listen unix:{directory}/http;
    location / {{ proxy_pass http://kept; }}
    location /kept/ {{
      proxy_pass http://kept/; proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $http_connection;
    }}
  }}
  server {{ listen unix:{directory}/grpc http2; location / {{ grpc_pass grpc://grpc; }} }}
}}
"""


@pytest.fixture
def proxy(server: RunningServer) -> Iterator[Path]:
    """A directory with nginx's sockets: the path of a socket is short, which a test's own directory may not be."""
    with tempfile.TemporaryDirectory(prefix="nginx-", dir="/tmp") as name:
        directory = Path(name)
        text = CONFIGURATION.format(directory=directory, http_port=server.http_port, port=server.port)
        (directory / "nginx.conf").write_text(text)
        command = [program("NGINX_PROGRAM"), "-p", directory, "-c", directory / "nginx.conf", "-e", "stderr"]
        log = directory / "log"
        with log.open("w") as stderr, subprocess.Popen(list(map(str, command)), stderr=stderr) as process:
            try:
                with grpc.insecure_channel(f"unix:{directory}/grpc") as channel:
                    grpc.channel_ready_future(channel).result(30)
                yield directory
            except grpc.FutureTimeoutError:
                pytest.fail(f"nginx ({process.poll()}):\n{log.read_text()}")
            finally:
                process.terminate()


@pytest.mark.parametrize("path", ["", "/kept"])
def test_nginx_before_it_over_http(path: str, proxy: Path, body: Path) -> None:
    url = f"http://localhost{path}"
    sent = ["-sS", "--http2", "--unix-socket", proxy / "http", "-w", "\n%{http_code}\n"]
    for _ in range(4):
        answer, code = said("CURL", *sent, "-d", f"@{body}", url + INFER).splitlines()
        assert (json.loads(answer)["outputs"], code) == (ANSWER, "200")
        gets = said("CURL", *sent, f"{url}/v2/health/ready", f"{url}/v2/nothing", f"{url}/v2/health/live").splitlines()
        assert gets[::2][0] == '{"name":"tested","ready":true}'
        assert gets[1::2] == ["200", "404", "200"]
        assert gets[4] == '{"live":true}'


def test_nginx_before_it_over_grpc(proxy: Path) -> None:
    with grpc.insecure_channel(f"unix:{proxy}/grpc") as channel:
        stub = omi_pb2_grpc.ModzyModelStub(channel)
        for _ in range(4):
            ran = stub.Run(omi_pb2.RunRequest(inputs=[omi_pb2.InputItem(input={"row": bytes(12)})]), timeout=20)
            assert ran.outputs[0].output["doubled"] == bytes(12)
