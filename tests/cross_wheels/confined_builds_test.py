"""An sdist whose build attacks, built as a service builds what clients name."""

from __future__ import annotations

import json
import os
import re
import socket
from pathlib import Path

from chassis.bootstrap.namespaces import why_no_namespaces
from tests.cross_wheels.builds import build, make_sdist

_BACKEND = """
import json, os, socket, subprocess, sys

def _try(attempts):
    got = {}
    for name, attempt in attempts.items():
        try:
            got[name] = repr(attempt())
        except Exception:
            pass
    return got

def build_wheel(directory, settings=None, metadata=None):
    secret, port, pid = SECRET
    shared = "/dev/shm/" + os.path.basename(os.path.dirname(secret))
    print("GOT" + json.dumps(_try({
        "secret": lambda: open(secret).read(),
        "overwrite": lambda: open(secret, "w").close(),
        "mode": lambda: os.chmod(secret, 0o777),
        "home": lambda: open("/root/.profile").read(),
        "etc": lambda: open("/etc/passwd").read(),
        "temporary": lambda: os.listdir("/tmp") or 1 / 0,
        "system": lambda: open("/usr/lib/chassis", "w").close(),
        "tools": lambda: open(os.environ["ZIG_ROOT"] + "/lib/evil", "w").close(),
        "process": lambda: os.kill(pid, 0),
        "environment": lambda: open(f"/proc/{pid}/environ").read(),
        "token": lambda: os.environ["SERVICE_TOKEN"],
        "tcp": lambda: socket.create_connection(("127.0.0.1", port)),
        "udp": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        "abstract": lambda: socket.socket(socket.AF_UNIX),
        "namespace": lambda: subprocess.run(["/usr/bin/unshare", "-Ur", "true"], check=True),
        "mount": lambda: subprocess.run(["/usr/bin/mount", "-t", "tmpfs", "x", "/tmp"], check=True),
    })) + "END", flush=True)
    if not os.fork():
        os.setsid()
        while True:
            open(shared, "w").close()
    os.symlink(secret, os.path.join(directory, "small-1.0-py3-none-any.whl"))
    return "small-1.0-py3-none-any.whl"
"""


def _sdist(tmp_path: Path, secret: Path, port: int) -> Path:
    backend = _BACKEND.replace("SECRET", repr((str(secret), port, os.getpid())))
    project = '[build-system]\nrequires = []\nbuild-backend = "evil"\nbackend-path = ["."]\n'
    return make_sdist(tmp_path / "sdist", {"pyproject.toml": project, "evil.py": backend})


def test_a_build_sees_its_sources_and_tools_and_nothing_else(tmp_path: Path) -> None:
    secret = tmp_path / "secret" / "key"
    secret.parent.mkdir()
    secret.write_text("open-sesame")
    mode = secret.stat().st_mode
    with socket.create_server(("127.0.0.1", 0)) as server:
        sdist = _sdist(tmp_path, secret, server.getsockname()[1])
        environment = {"SERVICE_TOKEN": "open-sesame"}
        outcome = build(sdist, tmp_path / "confined", arguments=("--confine",), environment=environment)
        server.setblocking(False)
        try:
            server.accept()
        except BlockingIOError:
            pass
        else:
            raise AssertionError("the build connected")
    assert outcome.status == 1
    if why_no_namespaces():  # then it is refused, as the next test has it, and nothing of it has run
        assert "cannot be confined on this machine" in outcome.said and "GOT" not in outcome.said
        return
    said = re.search("GOT(.*)END", outcome.said)
    assert said, outcome.said
    assert json.loads(said[1]) == {}
    assert "left 0 wheels" in outcome.said
    assert "open-sesame" not in outcome.said
    assert not outcome.wheel.exists()
    assert secret.read_text() == "open-sesame" and secret.stat().st_mode == mode
    assert not Path("/dev/shm/secret").exists()


def test_a_build_that_cannot_be_confined_is_refused(tmp_path: Path) -> None:
    sdist = _sdist(tmp_path, tmp_path, 1)
    refusing = tmp_path / "bwrap"
    refusing.write_text("#!/bin/sh\necho no namespaces >&2\nexit 1\n")
    refusing.chmod(0o755)
    outcome = build(sdist, tmp_path / "refused", arguments=("--confine", f"--bwrap={refusing}"))
    assert outcome.status == 1
    assert "cannot be confined on this machine" in outcome.said and "no namespaces" in outcome.said
    assert "GOT" not in outcome.said
