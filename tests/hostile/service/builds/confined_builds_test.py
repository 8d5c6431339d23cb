"""Models and sdists that attack the service which builds them, with the real service and Bazel."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import json
import os
import pickle
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from chassis.confinement.seccomp import set_filter
from chassis.declaration.model import ModelMetadata
from chassis.packed_model.model import PackedModel
from chassis.sdk.remote import RemoteService, ServiceError
from chassis.service.build_policy import STRATEGIES, BuildPolicy
from chassis.service.image_build import ImageBuild
from chassis.service.image_store import ImageStore
from chassis.service.publisher import Publisher
from chassis.service.wall_probe import UnconfinedError
from tests.hostile.service.builds.evil_index import EvilIndex, targets
from tests.tutorial.build_service import BuildService

_SECRET = "open-sesame-42"
_STOP_SECONDS = 60.0

_ATTACK = """
import glob, hashlib, json, os, socket, subprocess, sys
given = json.loads({given!r})
got = []
def attempt(what, act):
    try:
        if act() is not False:
            got.append(what)
    except Exception:
        pass
for path in given["secrets"]:
    attempt("read " + path, lambda: open(path, "rb").read())
for path in given["directories"]:
    attempt("list " + path, lambda: os.listdir(path))
    attempt("write to " + path, lambda: open(os.path.join(path, "made-by-a-model"), "w").close())
for path in given["files"]:
    attempt("change " + path, lambda: open(path, "ab").write(b"changed"))
    attempt("replace " + path, lambda: os.rename(sys.argv[1], path))
    attempt("mode of " + path, lambda: os.chmod(path, 0o777))
    attempt("remove " + path, lambda: os.unlink(path))
attempt("environment", lambda: "sesame" in str(dict(os.environ)))
for path in glob.glob("/proc/[0-9]*"):
    attempt("environment of others", lambda: b"sesame" in open(path + "/environ", "rb").read())
attempt("port", lambda: socket.create_connection(("127.0.0.1", given["port"]), 5))
attempt("unix socket", lambda: socket.socket(socket.AF_UNIX))
attempt("datagram", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
attempt("shared memory", lambda: open("/dev/shm/made-by-a-model", "w").close())
attempt("kill", lambda: os.kill(given["pid"], 0))
quiet = {{name: subprocess.DEVNULL for name in ("stdin", "stdout", "stderr")}}
subprocess.Popen(["/bin/sh", "-c", "sleep 300; : made-by-a-model"], start_new_session=True, **quiet)
raise Exception("GOT " + json.dumps(got) + " END")
"""


class Run:
    """What runs Python's source when it is loaded."""

    def __init__(self, source: str) -> None:
        self._source = source

    def __reduce__(self) -> tuple[object, ...]:
        return exec, (self._source, {})


@dataclass(frozen=True, slots=True)
class Place:
    """A service's directory, its checkout, and the index that it is configured with."""

    root: Path
    state: Path
    checkout: Path
    index: EvilIndex

    def build(self, policy: BuildPolicy | None = None) -> ImageBuild:
        """The service's builds, in this process."""
        bazelrc = self.checkout / "user.bazelrc"
        return ImageBuild(
            self.state,
            self.checkout,
            ImageStore(self.state / "images"),
            Publisher(),
            bazelrc if bazelrc.is_file() else None,
            policy=policy,
        )


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("service")
    state = root / "cache" / "chassis" / "local"
    (state / "scratch").mkdir(parents=True)
    token = root / "token"
    token.write_text(f"{_SECRET}\n")
    token.chmod(0o600)
    patch = pytest.MonkeyPatch()
    with EvilIndex(targets(root, [token])) as index, contextlib.ExitStack() as stack:
        stack.callback(patch.undo)
        patch.setenv("PIP_EXTRA_INDEX_URL", index.url)
        patch.setenv("CLOUD_KEY", _SECRET)
        for name in ("no_proxy", "NO_PROXY"):
            patch.setenv(name, f"127.0.0.1,{os.environ.get(name, '')}")
        yield Place(root, state, Path(os.environ["CHECKOUT_FILE"]).resolve().parent, index)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_model_is_confined_in_either_of_bazels_sandboxes(place: Place, strategy: str) -> None:
    build = place.build()
    assert build.confine((strategy,)) == strategy


@pytest.mark.parametrize(
    ("strategy", "got"),
    [
        # Bazel's own sandbox lets every file be read.
        ("linux-sandbox", ["reads files of the service", "lists "]),
        # In processwrapper-sandbox, which confines nothing, pickling confines itself (docs/unprivileged.md).
        # No sandbox at all: the walls are around more than the action's inputs.
        ("local", ["lists "]),
    ],
)
def test_a_machine_that_does_not_confine_models_is_found_out(
    place: Place, strategy: str, got: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = BuildPolicy.options
    if strategy != "local":
        monkeypatch.setattr(BuildPolicy, "options", lambda self: (*options(self), "--@chassis//rules:confine=false"))
    with pytest.raises(UnconfinedError) as error:
        place.build().confine((strategy,))
    for what in got:
        assert what in str(error.value)
    assert "--accept_unconfined_builds" in str(error.value)


def test_a_strategy_that_bazel_does_not_have_confines_nothing(place: Place) -> None:
    with pytest.raises(UnconfinedError, match="is not known to run"):
        place.build().confine(("sandbox-of-nowhere",))


def _without_landlock() -> None:
    """Has the kernel answer as one without Landlock does, to this process and all that it starts."""
    number, answer, allow, refuse = 0x20, 0x06, 0x7FFF0000, 0x00050000
    steps = [(number, 0, 0, 0), (0x15, 0, 1, 444), (answer, 0, 0, refuse | errno.ENOSYS), (answer, 0, 0, allow)]
    libc = ctypes.CDLL(None)
    libc.prctl(38, 1, 0, 0, 0)
    set_filter(b"".join(struct.pack("HBBI", *step) for step in steps))


@contextlib.contextmanager
def _started(place: Place, *options: str) -> Iterator[subprocess.Popen[str]]:
    """The service on a machine without Landlock."""
    command = [sys.executable, "-m", "chassis.service", "--port=0", f"--state={place.state}", *options]
    bazelrc = place.checkout / "user.bazelrc"
    process = subprocess.Popen(
        [*command, *([f"--bazelrc={bazelrc}"] if bazelrc.is_file() else [])],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"CHASSIS_WORKSPACE": str(place.checkout)},
        preexec_fn=_without_landlock,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(_STOP_SECONDS)
        assert process.stderr is not None
        process.stderr.close()


def test_a_service_that_cannot_confine_models_does_not_start_unless_that_is_accepted(place: Place) -> None:
    place.build().stop(1)  # Bazel's server would be of a machine with Landlock
    with _started(place) as process:
        assert process.stderr is not None
        said = process.stderr.read()
        assert process.wait(_STOP_SECONDS) == 1
    assert "this service takes none from clients" in said
    assert "this kernel has no Landlock" in said
    assert "http://" not in said
    with _started(place, "--accept_unconfined_builds") as process:
        assert process.stderr is not None
        assert "whoever may publish reads and changes what this account can" in process.stderr.readline()
        assert "http://127.0.0.1" in process.stderr.readline()


@pytest.fixture(scope="session")
def service(place: Place) -> Iterator[BuildService]:
    options = (f"--token_file={place.root / 'token'}", "--buildable=evilpkg")
    with BuildService(place.root, "127.0.0.1:1", *options) as running:
        yield running


@pytest.fixture
def client(service: BuildService) -> Iterator[RemoteService]:
    client = RemoteService(service.url, f"Bearer {_SECRET}", True)
    yield client
    client.close()


def _submitted(client: RemoteService, source: str, requirements: tuple[str, ...] = (), **request: object) -> str:
    """The id of a job for a model that runs `source` when it is loaded."""
    model = PackedModel(ModelMetadata("evil", model_version="1"), pickle.dumps(Run(source), 5), requirements)
    return str(client.submit({"upload_id": client.upload(model), "platforms": ["amd64"], **request})["job_id"])


def _ended(client: RemoteService, job_id: str) -> tuple[dict, str]:
    """The job at its end, and its log."""
    log = b"".join(client.logs(job_id, follow=True)).decode()
    return dict(client.status(job_id)), log


def _got(said: str) -> list[str]:
    found = re.search(r"GOT (\[.*?\]) END", said)
    assert found, said
    return json.loads(found[1])


def test_a_model_neither_reads_nor_writes_nor_reaches_what_is_the_services(
    place: Place, service: BuildService, client: RemoteService
) -> None:
    docker = place.root / "docker.json"
    docker.write_text(_SECRET)
    client.upload(PackedModel(ModelMetadata("other", model_version="1"), pickle.dumps(_SECRET, 5), ()))
    uploads = [path for path in (place.state / "uploads").rglob("*") if path.is_file()]
    assert uploads
    content = b"an entry of the cache"
    entry = place.state / "disk_cache" / "cas" / "ab" / hashlib.sha256(content).hexdigest()
    entry.parent.mkdir(parents=True, exist_ok=True)
    entry.write_bytes(content)
    workspace = place.state / "slots" / "0" / "workspace"
    files = [entry, place.state / "jobs.sqlite", workspace / ".bazelrc"]
    before = {path: (path.stat().st_ino, path.stat().st_mode) for path in files}
    places = [place.state, entry.parent, workspace, workspace.parent / "output_base", place.checkout, Path.home()]
    places += [Path("/"), Path("/tmp"), Path("/etc"), place.state / "uploads", place.state / "logs"]
    given = {
        "secrets": [str(path) for path in (place.root / "token", docker, *files, *uploads, Path("/etc/passwd"))],
        "directories": [str(path) for path in places],
        "files": [str(path) for path in files],
        "port": int(service.url.rpartition(":")[2]),
        "pid": os.getpid(),
    }
    job, log = _ended(client, _submitted(client, _ATTACK.format(given=json.dumps(given))))
    assert job["status"]["state"] == "failed"
    assert _got(job["status"]["message"]) == []
    assert _SECRET not in json.dumps(job) + log
    assert entry.read_bytes() == content
    assert before == {path: (path.stat().st_ino, path.stat().st_mode) for path in files}
    left = [directory / "made-by-a-model" for directory in (*places, Path("/dev/shm"))]
    assert [path for path in left if path.exists()] == []
    assert "made-by-a-model" not in _commands()


def test_the_build_of_an_sdist_neither_reads_nor_writes_nor_reaches_anything(
    place: Place, client: RemoteService
) -> None:
    source = "raise Exception('it was built')"
    request = {"requirements": ("evilpkg",), "cross_build": ["evilpkg"]}
    job, log = _ended(client, _submitted(client, source, **request))
    assert job["status"]["state"] == "failed"
    assert "wheels locked" in log
    assert _got(log) == []
    assert "it was built" not in log
    assert not (place.root / "mark").exists() and not (place.root / "made").exists()
    assert "/files/evilpkg-1.0.tar.gz" in place.index.asked
    assert "/stolen" not in place.index.asked


def test_a_job_that_wants_other_sources_built_is_refused_at_once(client: RemoteService) -> None:
    with pytest.raises(ServiceError, match=r"does not build crcmod .*it builds evilpkg"):
        _submitted(client, "", ("crcmod",), cross_build=["crcmod"])


def _commands() -> str:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_text(errors="replace"))
    return "\n".join(found)
