"""Faults between client and registry: nothing is lost, no tag moves before its image is whole, nothing
hangs."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from chassis.errors import ChassisError
from chassis.oci.layout_reader import LayoutReader
from chassis.oci.push import DEFAULT_JOBS, PushOptions, PushReport, push
from chassis.oci.registry import upload
from chassis.oci.registry.client import RegistryClient
from chassis.oci.registry.credentials import CredentialStore
from chassis.oci.registry.errors import AnswerError, RegistryError, StatusError, UnreachableError
from chassis.oci.registry.reference import parse_repository
from chassis.oci.registry.transport import Backoff, Cancellation, Transport
from tests.publishing.fault_proxy import FaultProxy, Harm, Request
from tests.publishing.registry_server import RegistryServer, skopeo
from tests.publishing.sample_images import sample_image
from tests.publishing.second_opinions import assert_whole

KIB = 1 << 10
SIZES = (3_000 * KIB, 2_000 * KIB, 10)
LIMIT_SECONDS = 60.0


def publish(layout: Path, address: str, name: str, backoff: Backoff | None = None) -> PushReport:
    cancellation = Cancellation()
    transport = Transport(backoff=backoff or Backoff(first=0.01, longest=0.1), cancellation=cancellation)
    repository = parse_repository(f"{address}/{name}")
    begin = time.monotonic()
    try:
        client = RegistryClient(repository, transport, CredentialStore({"HOME": "/nonexistent"}))
        return push(LayoutReader(layout), client, ["v1"], PushOptions(), cancellation)
    finally:
        assert time.monotonic() - begin < LIMIT_SECONDS


def assert_no_tag(registry: RegistryServer, name: str) -> None:
    transport = Transport()
    repository = parse_repository(f"{registry.address}/{name}")
    client = RegistryClient(repository, transport, CredentialStore({"HOME": "/nonexistent"}))
    assert client.manifest_digest("v1") == ""


def times(count: int, harm: Harm, wanted: Callable[[Request], bool]) -> Callable[[Request], Harm | None]:
    """A rule that does `harm` to the first `count` requests that are wanted."""
    left = [count]
    lock = threading.Lock()

    def rule(request: Request) -> Harm | None:
        with lock:
            if left[0] and wanted(request):
                left[0] -= 1
                return harm
        return None

    return rule


def always(request: Request) -> bool:
    return request.path != "/v2/"


def manifest_put(request: Request) -> bool:
    return request.method == "PUT" and "/manifests/" in request.path


def blob_put(request: Request) -> bool:
    return request.method == "PUT" and "/blobs/uploads/" in request.path


@pytest.mark.parametrize("seed", range(6))
def test_resets_at_random_bytes_of_blobs(
    registry: RegistryServer, proxy: FaultProxy, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    layout, digest = sample_image(tmp_path / "image", *SIZES, seed=100 + seed)
    left = [chance.randint(1, 5)]

    def rule(request: Request) -> Harm | None:
        if not request.is_blob_data() or not left[0]:
            return None
        left[0] -= 1
        return Harm(cut_request=chance.randrange(request.size), hold=chance.random() < 0.3)

    proxy.rule = rule
    publish(layout, proxy.address, f"reset{seed}")
    assert_whole(f"{registry.address}/reset{seed}:v1", digest)


def test_an_upload_goes_on_from_the_offset_that_the_registry_reports(
    registry: RegistryServer, proxy: FaultProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A proxy that collects requests, as nginx does, passes on whole pieces only: so the registry has an
    # honest offset.
    monkeypatch.setattr(upload, "_PIECE_BYTES", 512 * KIB)
    layout, digest = sample_image(tmp_path / "image", 4_000 * KIB, seed=200)
    cuts = [1, 4]  # which of the requests with blob data break
    seen = [0]

    def rule(request: Request) -> Harm | None:
        if request.method != "PATCH":
            return None
        seen[0] += 1
        return Harm(cut_request=100 * KIB, hold=True) if seen[0] in cuts else None

    proxy.rule = rule
    publish(layout, proxy.address, "resume")
    ranges = [r.headers.get("content-range", "") for r in proxy.requests if r.method == "PATCH"]
    starts = [int(one.partition("-")[0]) for one in ranges if one]
    assert starts == sorted(starts)
    assert starts.count(1024 * KIB) == 2  # the piece that broke, and nothing before it, went twice
    assert sum(r.method == "POST" for r in proxy.requests) == 2  # one session for the layer, one for the configuration
    assert_whole(f"{registry.address}/resume:v1", digest)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_runs_of_passing_failures_are_survived(
    registry: RegistryServer, proxy: FaultProxy, tmp_path: Path, status: int
) -> None:
    layout, digest = sample_image(tmp_path / "image", *SIZES, seed=status)
    proxy.rule = times(4, Harm(status=status, body=b"busy"), always)
    publish(layout, proxy.address, f"status{status}")
    assert_whole(f"{registry.address}/status{status}:v1", digest)


def test_retry_after_is_honoured_up_to_a_limit(registry: RegistryServer, proxy: FaultProxy, tmp_path: Path) -> None:
    layout, _ = sample_image(tmp_path / "image", 10, seed=210)
    proxy.rule = times(1, Harm(status=429, headers={"Retry-After": "1"}), manifest_put)
    begin = time.monotonic()
    publish(layout, proxy.address, "after")
    assert 1.0 <= time.monotonic() - begin < 5.0
    proxy.rule = times(1, Harm(status=429, headers={"Retry-After": "99999999"}), always)
    layout, _ = sample_image(tmp_path / "other", 10, seed=211)
    begin = time.monotonic()
    publish(layout, proxy.address, "after", Backoff(first=0.01, longest_asked=0.5))
    assert time.monotonic() - begin < 5.0


def test_a_registry_that_never_recovers_ends_the_push(
    registry: RegistryServer, proxy: FaultProxy, tmp_path: Path
) -> None:
    layout, _ = sample_image(tmp_path / "image", *SIZES, seed=212)
    proxy.rule = lambda request: Harm(status=503, body=b"down") if request.method == "PATCH" else None
    with pytest.raises(StatusError, match="answers 503: down"):
        publish(layout, proxy.address, "never")
    assert_no_tag(registry, "never")


@pytest.mark.parametrize(("status", "tries"), [(507, 1), (500, Backoff().attempts)])
def test_a_full_disk_ends_the_push(
    registry: RegistryServer, proxy: FaultProxy, tmp_path: Path, status: int, tries: int
) -> None:
    layout, _ = sample_image(tmp_path / "image", 3_000 * KIB, seed=213)
    body = b'{"errors": [{"code": "UNKNOWN", "message": "no space left on device"}]}'
    proxy.rule = lambda request: Harm(status=status, body=body) if request.method == "PATCH" else None
    with pytest.raises(StatusError, match=f"answers {status}: UNKNOWN: no space left on device\n  .*"):
        publish(layout, proxy.address, f"full{status}")
    assert sum(r.method == "PATCH" for r in proxy.requests) == tries  # 500 may pass, 507 does not by itself
    assert_no_tag(registry, f"full{status}")


@pytest.mark.parametrize("wanted", [blob_put, manifest_put], ids=["of a blob", "of a manifest"])
def test_an_answer_that_is_lost_is_found_out(
    registry: RegistryServer, proxy: FaultProxy, tmp_path: Path, wanted: Callable
) -> None:
    name = f"lost-{wanted.__name__.replace('_', '-')}"
    layout, digest = sample_image(tmp_path / "image", *SIZES, seed=220 + (wanted is blob_put))
    proxy.rule = times(2, Harm(cut_answer=True), wanted)
    publish(layout, proxy.address, name)
    assert sum(request.method == "POST" for request in proxy.requests) == 4  # no blob went twice
    assert_whole(f"{registry.address}/{name}:v1", digest)


@pytest.mark.parametrize("wanted", [blob_put, manifest_put], ids=["blob", "manifest"])
def test_another_digest_in_the_answer_ends_the_push_without_a_tag(
    registry: RegistryServer, proxy: FaultProxy, tmp_path: Path, wanted: Callable
) -> None:
    name = f"digest-{wanted.__name__.replace('_', '-')}"
    layout, _ = sample_image(tmp_path / "image", *SIZES, seed=230 + (wanted is blob_put))
    other = "sha256:" + "0" * 64
    proxy.rule = times(1, Harm(replace={"Docker-Content-Digest": other}), wanted)
    with pytest.raises(AnswerError, match=f"the registry stored it as '{other}'; nothing was tagged"):
        publish(layout, proxy.address, name)
    assert_no_tag(registry, name)


def test_a_slow_registry_is_waited_for(registry: RegistryServer, proxy: FaultProxy, tmp_path: Path) -> None:
    layout, digest = sample_image(tmp_path / "image", 2_000 * KIB, seed=240)
    proxy.rule = times(1, Harm(slow=10_000, slow_seconds=5.0), Request.is_blob_data)
    publish(layout, proxy.address, "slow")
    assert_whole(f"{registry.address}/slow:v1", digest)


def test_two_pushes_of_one_tag_leave_one_whole_image(registry: RegistryServer, tmp_path: Path) -> None:
    images = [sample_image(tmp_path / f"image{number}", *SIZES, seed=250 + number) for number in range(2)]
    failures: list[BaseException] = []

    def run(layout: Path) -> None:
        try:
            publish(layout, registry.address, "race")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(layout,)) for layout, _ in images]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_SECONDS)
    assert failures == []
    skopeo(
        tmp_path,
        "copy",
        "--src-tls-verify=false",
        f"docker://{registry.address}/race:v1",
        f"oci:{tmp_path}/back:v1",
    )
    assert LayoutReader(tmp_path / "back").entry().digest in {digest for _, digest in images}


def start_tool(layout: Path, repository: str, *flags: str) -> subprocess.Popen:
    root = Path(__file__).resolve().parents[2]
    paths = os.pathsep.join([str(root), *(path for path in sys.path if path)])
    return subprocess.Popen(
        [sys.executable, "-m", "chassis.tools.push", f"--image={layout}", "-r", repository, "-t", "v1", *flags],
        env={"PATH": os.environ.get("PATH", ""), "HOME": "/nonexistent", "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_push_that_is_stopped_can_be_done_again(
    registry: RegistryServer, proxy: FaultProxy, tmp_path: Path, number: signal.Signals
) -> None:
    name = f"stopped{number.value}"
    layout, digest = sample_image(tmp_path / "image", *SIZES, seed=260 + number.value)
    under_way = threading.Event()

    def rule(request: Request) -> Harm | None:
        if not request.is_blob_data() or request.size < 1000 * KIB:
            return None
        under_way.set()
        return Harm(slow=20_000, slow_seconds=30.0)

    proxy.rule = rule
    process = start_tool(layout, f"{proxy.address}/{name}")
    assert under_way.wait(LIMIT_SECONDS)
    process.send_signal(number)
    out, errors = process.communicate(timeout=15)
    assert out == ""
    assert process.returncode in (130, -number), errors
    assert "Traceback" not in errors
    assert_no_tag(registry, name)
    proxy.rule = lambda request: None
    publish(layout, proxy.address, name)
    assert_whole(f"{registry.address}/{name}:v1", digest)


@pytest.mark.parametrize("grow", [-1, 0, 1], ids=["shorter", "other bytes", "longer"])
def test_a_layer_that_changed_on_disk_is_named(registry: RegistryServer, tmp_path: Path, grow: int) -> None:
    layout, _ = sample_image(tmp_path / "image", 2_000 * KIB, seed=270)
    blob = max((layout / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    data = bytearray(blob.read_bytes())
    data[1000] ^= 1
    blob.write_bytes(data[:-1] if grow < 0 else data + b"x" * grow)
    name = f"changed{grow + 1}"
    with pytest.raises(
        ChassisError, match=f"{blob.name}: .*changed since the image was built|{blob.name}.*has .* bytes"
    ):
        publish(layout, registry.address, name)
    assert_no_tag(registry, name)


@pytest.mark.parametrize(
    ("path", "harm", "message"),
    [
        ("/blobs/uploads/", Harm(status=202, headers={"Location": "ftp://x/y"}), "malformed Location"),
        ("/blobs/uploads/", Harm(status=202, headers={"Location": "http://a b/"}), "malformed Location"),
        ("/blobs/uploads/", Harm(status=202, headers={"Location": "http://u:p@127.0.0.1/"}), "malformed Location"),
        ("/blobs/uploads/", Harm(status=202, headers={"Location": "/x" * 20_000}), "malformed Location header"),
        ("/blobs/uploads/", Harm(status=202), "has no Location"),
        ("/blobs/uploads/", Harm(status=202, headers={"Location": "/a\x1b[2J"}), "malformed Location"),
        ("/blobs/sha256", Harm(status=302, headers={"Location": "/v2/a/blobs/sha256:0"}), "redirects more than"),
        ("/blobs/sha256", Harm(status=200, headers={"Content-Length": "12"}), "the registry has 12 bytes"),
        ("/manifests/", Harm(status=200, headers={"Docker-Content-Digest": "md5:1"}), "is not a digest"),
        ("/blobs/uploads/", Harm(status=400, body=b"x" * (5 << 20)), "more than 4194304 bytes"),
        ("/blobs/uploads/", Harm(status=400, body=b"[" * 100_000), "answers 400"),
        ("/blobs/uploads/", Harm(status=400, body=b'{"errors": [{"code": 3, "message": "\\u001b[2J"}]}'), "3:  .2J"),
    ],
)  # fmt: skip
def test_hostile_answers_are_refused(
    registry: RegistryServer, proxy: FaultProxy, tmp_path: Path, path: str, harm: Harm, message: str
) -> None:
    layout, _ = sample_image(tmp_path / "image", 10, seed=280)
    proxy.rule = lambda request: harm if path in request.path else None
    with pytest.raises(ChassisError, match=message) as caught:
        publish(layout, proxy.address, "hostile")
    assert "\x1b" not in str(caught.value)
    assert_no_tag(registry, "hostile")


def test_an_absurd_range_is_refused(registry: RegistryServer, proxy: FaultProxy, tmp_path: Path) -> None:
    layout, _ = sample_image(tmp_path / "image", 2_000 * KIB, seed=290)

    def rule(request: Request) -> Harm | None:
        if request.method == "PATCH":
            return Harm(cut_request=10, hold=True)
        if request.method == "GET" and "/uploads/" in request.path:
            return Harm(status=204, headers={"Range": "0-999999999999"})
        return None

    proxy.rule = rule
    with pytest.raises(AnswerError, match="says that it has 1000000000000 bytes"):
        publish(layout, proxy.address, "range")


def test_a_registry_that_vanishes_ends_the_push(registry: RegistryServer, proxy: FaultProxy, tmp_path: Path) -> None:
    layout, _ = sample_image(tmp_path / "image", *SIZES, seed=291)
    proxy.rule = lambda request: Harm(cut_request=5, hold=True) if request.path != "/v2/" else None
    with pytest.raises(UnreachableError, match="the connection broke"):
        publish(layout, proxy.address, "vanish")
    assert_no_tag(registry, "vanish")


def test_a_registry_that_drops_every_connection_is_named(proxy: FaultProxy, tmp_path: Path) -> None:
    layout, _ = sample_image(tmp_path / "image", 10)
    proxy.rule = lambda request: Harm(cut_answer=True)
    with pytest.raises(UnreachableError, match=f"registry {proxy.address}: .*the connection broke"):
        publish(layout, proxy.address, "dropped")


def test_a_push_has_an_end(registry: RegistryServer, proxy: FaultProxy, tmp_path: Path) -> None:
    layout, _ = sample_image(tmp_path / "image", *SIZES, seed=293)
    proxy.rule = lambda request: Harm(slow=10_000, slow_seconds=30.0) if request.is_blob_data() else None
    process = start_tool(layout, f"{proxy.address}/endless", "--timeout=1")
    out, errors = process.communicate(timeout=15)
    assert (process.returncode, out) == (1, "")
    assert "error: the push took more than 1 s" in errors
    assert_no_tag(registry, "endless")


def test_the_first_failure_stops_the_other_uploads(registry: RegistryServer, proxy: FaultProxy, tmp_path: Path) -> None:
    layout, _ = sample_image(tmp_path / "image", *([1_500 * KIB] * 12), seed=292)
    proxy.rule = lambda request: Harm(status=403, body=b"no") if request.method == "PATCH" else None
    with pytest.raises(RegistryError, match="answers 403: no"):
        publish(layout, proxy.address, "denied")
    assert sum(r.method == "PATCH" for r in proxy.requests) <= DEFAULT_JOBS
