"""The service over HTTP, with its own client and with requests that no client would send."""

from __future__ import annotations

import http.client
import io
import json
import signal
import socket
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from chassis.declaration.model import ModelMetadata
from chassis.packed_model.model import PackedModel, write_archive
from chassis.sdk.client import ChassisClient
from chassis.sdk.model import ChassisModel
from chassis.sdk.publishing import PublishOptionsError
from chassis.sdk.remote import ServiceError, ServiceUnreachableError
from tests.service.service_process import ServiceProcess

_SECONDS = 30


def process(content: bytes) -> int:
    """The length."""
    return len(content)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ServiceProcess]:
    with ServiceProcess(tmp_path / "state") as running:
        yield running


@pytest.fixture
def client(service: ServiceProcess) -> Iterator[ChassisClient]:
    client = ChassisClient(service.url)
    yield client
    client.close()


def _publish(client: ChassisClient, name: str, **options: object) -> str:
    return str(client.create_model(process_fn=process).publish(name, "0.0.1", **options)["job_id"])


def _request(
    service: ServiceProcess, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, object]]:
    connection = http.client.HTTPConnection("127.0.0.1", int(service.port), timeout=_SECONDS)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, json.loads(content)


def _archive(name: str = "cats") -> bytes:
    archive = io.BytesIO()
    write_archive(PackedModel(ModelMetadata(name, model_version="1"), b"pickle", ()), archive)
    return archive.getvalue()


def _upload(service: ServiceProcess) -> str:
    status, answer = _request(service, "POST", "/api/uploads", _archive(), content_type="application/x-tar")
    assert status == 201
    return str(answer["upload_id"])


def test_a_model_is_published_and_its_image_fetched(client: ChassisClient, tmp_path: Path) -> None:
    job_id = _publish(client, "Cats & Dogs", arm64=True)
    job = client.block_until_complete(job_id, timeout=_SECONDS, poll_interval=0.05)
    assert job["name"] == "cats-dogs"
    assert job["platforms"] == ["arm64"]
    assert job["status"]["succeeded"] == 1
    assert "logs" not in job
    assert client.get_job_logs(job_id) == "building cats-dogs\n"
    client.download_tar(job_id, tmp_path / "image.tar")
    with tarfile.open(tmp_path / "image.tar") as archive:
        assert f"blobs/sha256/{job['result']['digest'].removeprefix('sha256:')}" in archive.getnames()
    assert [path.name for path in tmp_path.glob(".image*")] == []


def test_a_log_is_followed_while_the_job_runs(client: ChassisClient, service: ServiceProcess) -> None:
    job_id = _publish(client, "slow cats")
    lines = client.follow_job_logs(job_id)
    assert next(lines) == "building slow-cats"
    assert client.get_job_status(job_id)["status"]["state"] == "running"
    service.open_gate()
    assert list(lines) == []
    assert client.get_job_status(job_id)["status"]["state"] == "succeeded"


def test_a_failed_job_has_its_reason_and_its_log(client: ChassisClient) -> None:
    job = client.block_until_complete(_publish(client, "bad cats"), timeout=_SECONDS, poll_interval=0.05)
    assert job["status"]["failed"] == 1
    assert job["result"] is None
    assert job["status"]["message"] == "no wheel of annoy for arm64\n  name it in cross_build"
    assert "no wheel of annoy" in job["logs"]


def test_waiting_ends_after_its_timeout_and_a_job_can_be_cancelled(
    client: ChassisClient, service: ServiceProcess
) -> None:
    job_id = _publish(client, "slow cats")
    assert client.block_until_complete(job_id, timeout=0.1, poll_interval=0.02) is False
    client.cancel_job(job_id)
    job = client.block_until_complete(job_id, timeout=_SECONDS, poll_interval=0.05)
    assert job["status"]["state"] == "cancelled"
    with pytest.raises(ServiceError, match="has no image"):
        client.download_tar(job_id, service.state / "x.tar")
    assert not (service.state / "x.tar").exists()


def test_a_full_queue_is_said(client: ChassisClient, service: ServiceProcess) -> None:
    first = _publish(client, "slow cats")
    next(client.follow_job_logs(first))
    for number in range(3):
        _publish(client, f"cats {number}")
    with pytest.raises(ServiceError, match=r"3 jobs wait already.*status 503"):
        _publish(client, "one more")
    service.open_gate()


def test_a_kill_loses_no_job_and_repeats_only_what_ran(client: ChassisClient, service: ServiceProcess) -> None:
    done = _publish(client, "cats")
    client.block_until_complete(done, timeout=_SECONDS, poll_interval=0.05)
    running = _publish(client, "slow cats")
    next(client.follow_job_logs(running))
    queued = [_publish(client, f"cats {number}") for number in range(3)]
    assert service.stop(signal.SIGKILL) == -signal.SIGKILL
    service.open_gate()
    service.start()
    for job_id in (running, *queued):
        job = client.block_until_complete(job_id, timeout=_SECONDS, poll_interval=0.05)
        assert job["status"]["state"] == "succeeded"
    assert service.runs() == [done, running, running, *queued]
    assert "run 2: the service was stopped during the one before" in client.get_job_logs(running)


def test_a_client_waits_for_a_service_that_starts_again_and_gives_its_credentials_again(
    client: ChassisClient, service: ServiceProcess
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        registry = f"127.0.0.1:{closed.getsockname()[1]}"
    job_id = _publish(client, "slow cats", registry=registry, registry_user="ann", registry_pass="open-sesame-42")
    next(client.follow_job_logs(job_id))
    answers: list[object] = []
    waiting = threading.Thread(
        target=lambda: answers.append(client.block_until_complete(job_id, timeout=_SECONDS, poll_interval=0.05))
    )
    waiting.start()
    service.stop(signal.SIGKILL)
    service.open_gate()
    service.start()
    waiting.join(_SECONDS)
    # It ran again, which it does only with its credentials, up to the registry that is not there.
    assert answers[0]["status"]["state"] == "failed"
    assert registry in answers[0]["status"]["message"]
    assert service.runs() == [job_id, job_id]
    assert "waits for its credentials" in answers[0]["logs"]
    assert "open-sesame-42" not in json.dumps(answers)
    for path in service.state.rglob("*"):
        assert path.is_dir() or b"open-sesame-42" not in path.read_bytes(), path


def test_a_service_that_is_not_there_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(ServiceUnreachableError, match=f"http://127.0.0.1:{port} cannot be reached"):
        _publish(ChassisClient(f"http://127.0.0.1:{port}"), "cats")
    for url in ("localhost:5000", "ftp://x", "http://"):
        with pytest.raises(ServiceError, match="expected the URL"):
            ChassisClient(url)


def test_a_server_that_is_no_build_service_is_said(service: ServiceProcess) -> None:
    with pytest.raises(ServiceError, match="is it a build service"):
        _publish(ChassisClient(service.url + "/elsewhere"), "cats")


def test_flags_that_contradict_each_other_are_refused_before_anything_is_sent(client: ChassisClient) -> None:
    table = [
        ({"platforms": ["arm64"], "arm64": True}, "leave gpu and arm64 out"),
        ({"registry_user": "ann"}, "go together"),
        ({"conda_env": {}}, "conda_env"),
    ]
    for options, message in table:
        with pytest.raises(PublishOptionsError, match=message):
            _publish(client, "cats", **options)
    with pytest.raises(TypeError, match="amr64"):
        _publish(client, "cats", amr64=True)
    with pytest.raises(ServiceError, match="platforms riscv: expected one or several of"):
        _publish(client, "cats", platforms=["riscv"])


def test_a_sample_is_tried_before_anything_is_sent(client: ChassisClient, service: ServiceProcess) -> None:
    def fails(content: bytes) -> None:
        raise ValueError("not a picture")

    model = ChassisModel(process_fn=fails, client=client)
    with pytest.raises(Exception, match="not a picture"):
        model.publish("cats", "1", sample_input_path=__file__)
    assert _request(service, "GET", "/api/jobs")[1]["jobs"] == []


def test_a_token_is_asked_for(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path / "state", token="a-long-token") as service:
        for header in (None, "Bearer wrong", "Basic a-long-token", "a-long-token"):
            with pytest.raises(ServiceError, match=r"a bearer token is needed.*status 401"):
                _publish(ChassisClient(service.url, auth_header=header), "cats")
        client = ChassisClient(service.url, auth_header="Bearer a-long-token")
        job = client.block_until_complete(_publish(client, "cats"), timeout=_SECONDS, poll_interval=0.05)
        assert job["status"]["state"] == "succeeded"
        assert _request(service, "GET", "/healthz") == (200, {"status": "ok"})


def test_an_upload_cut_short_leaves_nothing(service: ServiceProcess) -> None:
    content = _archive()
    with socket.create_connection(("127.0.0.1", int(service.port)), timeout=_SECONDS) as connection:
        head = "POST /api/uploads HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-tar\r\n"
        head += f"Content-Length: {len(content)}\r\n\r\n"
        connection.sendall(head.encode() + content[: len(content) // 2])
    status, answer = _request(service, "POST", "/api/uploads", content[:-9000], content_type="application/x-tar")
    assert status == 400
    assert "cut short" in str(answer["error"]) or "not a whole tar" in str(answer["error"])
    assert list((service.state / "uploads").iterdir()) == []
    assert list((service.state / "scratch").iterdir()) == []


def test_an_upload_that_is_too_large_is_refused_without_taking_memory(service: ServiceProcess) -> None:
    before = service.resident_bytes()
    status, answer = _request(service, "POST", "/api/uploads", bytes((1 << 20) + 1), content_type="application/x-tar")
    assert (status, answer["error"]) == (413, "an upload of 1048577 bytes, at most 1048576 are taken")
    with socket.create_connection(("127.0.0.1", int(service.port)), timeout=_SECONDS) as connection:
        connection.sendall(
            b"POST /api/uploads HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-tar\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        assert b"411" in connection.recv(100)
    assert service.resident_bytes() - before < 32 << 20


REFUSED = [
    ("POST", "/api/uploads", b"x", {"content_type": "text/plain"}, 415),
    ("POST", "/api/uploads", b"x" * 600, {"content_type": "application/x-tar"}, 400),
    ("POST", "/api/jobs", b"{}", {"content_type": "text/plain"}, 415),
    ("POST", "/api/jobs", b"{}", {"content_type": "application/json"}, 400),
    ("POST", "/api/jobs", b"[]", {"content_type": "application/json"}, 400),
    ("POST", "/api/jobs", b"{", {"content_type": "application/json"}, 400),
    ("POST", "/api/jobs", b"[" * 60000, {"content_type": "application/json"}, 400),
    ("POST", "/api/jobs", b" " * 70000, {"content_type": "application/json"}, 413),
    ("POST", "/api/jobs", b'{"upload_id": "../../etc"}', {"content_type": "application/json"}, 404),
    ("GET", "/api/jobs/nothing", None, {}, 404),
    ("GET", "/api/jobs/..%2f..%2fjobs.sqlite/logs", None, {}, 404),
    ("GET", "/api/jobs/nothing/image", None, {}, 404),
    ("POST", "/api/jobs/nothing/cancel", b"{}", {"content_type": "text/plain"}, 415),
    ("GET", "/api/jobs", None, {"host": "evil.example"}, 421),
    ("GET", "/", None, {"host": "127.0.0.1.evil.example:80"}, 421),
]


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_requests_that_no_client_sends_are_refused(service: ServiceProcess, number: int) -> None:
    method, path, body, headers, expected = REFUSED[number]
    connection = http.client.HTTPConnection("127.0.0.1", int(service.port), timeout=_SECONDS)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    content = answer.read()
    assert answer.status == expected, content
    connection.close()


def test_credentials_are_checked_and_never_told(service: ServiceProcess) -> None:
    for credentials in ({"username": "a"}, {"username": "a:b", "password": "x"}, {"username": "a", "password": ""}, 3):
        body = json.dumps({"upload_id": _upload(service), "credentials": credentials}).encode()
        status, answer = _request(service, "POST", "/api/jobs", body, content_type="application/json")
        assert status == 400
        assert "credentials" in str(answer["error"])


def test_the_same_upload_twice_is_one_job(service: ServiceProcess) -> None:
    body = json.dumps({"upload_id": _upload(service)}).encode()
    assert _request(service, "POST", "/api/jobs", body, content_type="application/json")[0] == 202
    status, answer = _request(service, "POST", "/api/jobs", body, content_type="application/json")
    assert status in (404, 409), answer


def test_two_clients_publish_the_same_name_and_version_at_once(service: ServiceProcess) -> None:
    found: list[dict] = []

    def publish() -> None:
        client = ChassisClient(service.url)
        job_id = _publish(client, "cats")
        found.append(client.block_until_complete(job_id, timeout=_SECONDS, poll_interval=0.05))

    threads = [threading.Thread(target=publish) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_SECONDS)
    assert [job["status"]["state"] for job in found] == ["succeeded"] * 2
    assert sorted(service.runs()) == sorted(job["job_id"] for job in found)
    assert len({job["job_id"] for job in found}) == 2
