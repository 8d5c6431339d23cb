"""What a server sees and reaches on each rung of the ladder, and what is left of it."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from chassis.image_test.server import Launch, SandboxedServer
from chassis.oci.file_tree import remove_tree
from chassis.oci.layout_reader import LayoutReader
from chassis.oci.rootfs import RootFileSystem, Viewer, unpack
from chassis.sandbox.errors import SandboxError
from chassis.sandbox.ladder import Need, Rung, Sandbox, climb
from tests.image_test.failing_servers import needed, python, tools

SECRET = "open-sesame"

LOOK_AROUND = """
import json, os, sys
def writable(path):
    try:
        open(path + "/probe", "w").close()
        return True
    except OSError:
        return False
print(json.dumps({
    "ids": [os.getuid(), os.getgid()], "prefix": sys.prefix, "path": sys.path, "environment": sorted(os.environ),
    "root": sorted(os.listdir("/")), "writable": [p for p in ("/", "/tmp", "/app", "/opt/venv") if writable(p)],
    "devices": sorted(os.listdir("/dev")), "shm": writable("/dev/shm"), "shm disk": os.stat("/dev/shm").st_dev,
}))
"""

ATTACK = """
import glob, json, os, socket, subprocess, sys
secret, port, runner = CONTEXT
def found(pattern):
    for path in glob.glob(pattern):
        try:
            text = open(path, errors="replace").read()
        except OSError:
            continue
        if "open-sesame" in text:
            return path
    raise LookupError
def namespace():
    import ctypes
    if ctypes.CDLL(None).unshare(0x10000000):
        raise OSError
attempts = {
    "secret": lambda: open(secret).read(),
    "secret beside the root": lambda: open("/host-rootfs" + secret).read(),
    "overwrite": lambda: open("/host-rootfs" + secret, "w").close(),
    "out of the root": lambda: open("/proc/self/cwd/../../../../../../../.." + secret).read(),
    "variables": lambda: found("/proc/[0-9]*/environ"),
    "image": lambda: open(sys.prefix + "/probe", "w").close(),
    "tcp": lambda: socket.create_connection(("127.0.0.1", port), 5),
    "udp": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    "runner": lambda: os.kill(runner, 0) if os.path.exists(f"/proc/{runner}/stat") else 1 / 0,
    "namespace": namespace,
}
got = {}
for name, attempt in attempts.items():
    try:
        got[name] = repr(attempt())
    except Exception:
        pass
print(json.dumps(got))
"""


SPAWN = """
import os, sys
kept = []
for _ in range(5):
    child = os.posix_spawn(sys.executable, [sys.executable, "-S", "-c", ""], os.environ)
    ended = os.waitpid(child, 0)[1]
    kept.append([bytearray(SIZE) for _ in range(COUNT)])
    print(len(kept), "ended with", ended)
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RootFileSystem]:
    root = tmp_path_factory.mktemp("image") / "root"
    yield unpack(LayoutReader(needed("CHASSIS_TEST_IMAGE")), root, viewer=Viewer(65532, 65532))
    remove_tree(root)


@pytest.fixture(params=["bubblewrap", "bubblewrap without a /proc", "PRoot", "chroot"])
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    name, _, without = request.param.partition(" without")
    try:
        found = climb(tools(), rungs=[Rung(name)])
    except SandboxError as error:
        pytest.skip(f"this machine does not give it: {str(error).splitlines()[1].strip()}")
    return dataclasses.replace(found, own_proc=False) if without else found


def run(image: RootFileSystem, sandbox: Sandbox, folder: Path, script: str, seconds: float = 60) -> str:
    """What a script prints that the image's Python runs."""
    config = dataclasses.replace(image.config, entrypoint=python(script), command=())
    launch = Launch(dataclasses.replace(image, config=config), sandbox)
    with SandboxedServer(launch, {"PSC_MODEL_PORT": "1"}, folder / "log", [1]) as server:
        assert server.wait(seconds) == 0, server.log()
        return server.log()


def test_the_server_sees_the_image_and_nothing_of_the_machine(
    image: RootFileSystem, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_MACHINE", SECRET)
    monkeypatch.setenv("PYTHONPATH", "/")
    seen = json.loads(run(image, sandbox, tmp_path, LOOK_AROUND))
    assert seen["ids"] == [65532, 65532]
    assert seen["prefix"] == "/opt/venv"
    assert all(path == "" or path.startswith(("/usr/lib/python3", "/opt/venv/", "/app")) for path in seen["path"])
    own = {"HOME", "PATH", "PSC_MODEL_PORT", "PWD", "LC_CTYPE", "PROOT_LOADER", "GLIBC_TUNABLES"}
    assert set(seen["environment"]) <= {*image.config.environment, *own}
    assert set(seen["root"]) == {path.name for path in image.path.iterdir()}
    assert seen["writable"] == ["/tmp"]
    assert set(seen["devices"]) <= {
        *("console", "core", "fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout"),
        *("tty", "urandom", "zero"),
    }
    assert seen["shm"]
    assert seen["shm disk"] != Path("/dev/shm").stat().st_dev, "the machine's has 64 MB in a container"


@pytest.mark.parametrize(("size", "count"), [(1000, 3000), (1_000_000, 200)])
def test_a_program_goes_on_after_it_has_started_others(
    image: RootFileSystem, sandbox: Sandbox, tmp_path: Path, size: int, count: int
) -> None:
    script = SPAWN.replace("SIZE", str(size)).replace("COUNT", str(count))
    assert run(image, sandbox, tmp_path, script).splitlines()[-1] == "5 ended with 0"


def test_an_attack_reaches_nothing(
    image: RootFileSystem, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sandbox.gives & (Need.FILES | Need.NETWORK) == Need.FILES | Need.NETWORK, sandbox.line()
    monkeypatch.setenv("SECRET_OF_THE_MACHINE", SECRET)
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        context = (str(secret), listening.getsockname()[1], os.getpid())
        got = json.loads(run(image, sandbox, tmp_path, ATTACK.replace("CONTEXT", repr(context))))
    # If Bazel gave this test a network of its own, that is the server's, too; its loopback is not the machine's.
    if {name for _, name in socket.if_nameindex()} <= {"lo"}:
        got.pop("tcp", None), got.pop("udp", None)
    if sandbox.rung is Rung.BUBBLEWRAP and not sandbox.own_proc:
        # It sees this test's /proc, whose numbers are not those of its own processes.
        got.pop("runner", None), got.pop("variables", None)
    assert got == {}
    assert secret.read_text() == SECRET


def test_nothing_is_left_of_a_server_that_has_detached_itself(
    image: RootFileSystem, sandbox: Sandbox, tmp_path: Path
) -> None:
    mark = f"mark-{uuid.uuid4()}"
    script = f"""
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)", {mark!r}])
    os._exit(0)
print("started", flush=True)
time.sleep(600)
"""
    config = dataclasses.replace(image.config, entrypoint=python(script), command=())
    launch = Launch(dataclasses.replace(image, config=config), sandbox)
    with SandboxedServer(launch, {}, tmp_path / "log"):
        end = time.monotonic() + 60
        while not processes_that_are(mark):
            assert time.monotonic() < end, (tmp_path / "log").read_text()
            time.sleep(0.05)
    end = time.monotonic() + 20
    while processes_that_are(mark):
        assert time.monotonic() < end, "a process outlived its sandbox"
        time.sleep(0.05)


def processes_that_are(mark: str) -> list[int]:
    """Processes whose last argument is `mark`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().endswith(mark.encode() + b"\0"):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def test_a_server_is_told_by_its_own_status(image: RootFileSystem, sandbox: Sandbox, tmp_path: Path) -> None:
    killed = 255 if sandbox.rung is Rung.PROOT else 137  # PRoot does not say by which signal
    for script, status in (("import sys; sys.exit(7)", 7), ("import os; os.kill(os.getpid(), 9)", killed)):
        config = dataclasses.replace(image.config, entrypoint=python(script), command=())
        launch = Launch(dataclasses.replace(image, config=config), sandbox)
        with SandboxedServer(launch, {}, tmp_path / "log") as server:
            assert server.wait(60) == status, server.log()
