"""A server that is ready has done all that is done once: its first request imports, opens and starts nothing."""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from chassis.runtime import inference_pb2
from tests.support.http_client import call
from tests.support.inference_requests import infer, predict
from tests.support.running_server import RunningServer, write_model

# Python tells it of what each process does, from its start. A process that is forked has it, too. Python 3.11 does not
# tell of its threads. Those of gRPC's core, which are more when it is busy, do not count.
_HOOK = """
import _thread, os, sys

_LOG = os.open({log!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
_TOLD = "import", "open", "compile", "os.fork", "subprocess.Popen", "socket.connect", "ctypes.dlopen", "thread"

def _tell(name, arguments):
    if name in _TOLD:
        os.write(_LOG, f"{{name}} {{arguments[:1]}}\\n".encode())

def _told(start):
    def started(*arguments, **named):
        _tell("thread", arguments)
        return start(*arguments, **named)
    return started

for _name in ("start_new_thread", "start_joinable_thread"):
    if hasattr(_thread, _name):
        setattr(_thread, _name, _told(getattr(_thread, _name)))
sys.addaudithook(_tell)
"""


class Observed:
    """A server, and what its processes were seen to do."""

    def __init__(self, directory: Path, model: Path) -> None:
        self._log = directory / "events"
        (directory / "sitecustomize.py").write_text(_HOOK.format(log=str(self._log)))
        path = os.pathsep.join([str(directory), *filter(None, sys.path)])
        self.server = RunningServer(model, {"PYTHONPATH": path})

    def during(self, ask: Callable[[RunningServer], object]) -> list[str]:
        """What they did while `ask` was answered.

        What the kernel says of itself is left out: a server that is busy looks how much memory is left.
        """
        before = len(self.events())
        ask(self.server)
        seen = self.events()[before:]
        return [event for event in seen if not event.startswith(("open ('/proc/", "open ('/sys/fs/cgroup/"))]

    def events(self) -> list[str]:
        """All that they did."""
        return self._log.read_text().splitlines()


def lazy(inputs: list[bytes]) -> list[int]:
    """Imports what it needs when it is called first, as many libraries do."""
    import colorsys

    return [len(content) + int(colorsys.ONE_THIRD) for content in inputs]


def _infer_over_grpc(server: RunningServer) -> None:
    request = inference_pb2.ModelInferRequest(model_name="tested")
    request.inputs.add(name="input", datatype="BYTES", shape=[1]).contents.bytes_contents.append(b"abc")
    method = server.channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
    assert method(request.SerializeToString(), timeout=20)


def _ask_every_front_end(server: RunningServer) -> None:
    assert infer(server, "abc").status == 200
    assert predict(server, "abc").status == 200
    assert server.run(b"abc").outputs[0].success
    _infer_over_grpc(server)


@pytest.mark.parametrize("warmed", [True, False])
def test_what_is_done_once_is_done_before_it_is_ready(warmed: bool, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", lazy, batch_size=4)
    if warmed:
        items = [{"input": base64.b64encode(b"abc").decode()}]
        (model / "warmup.json").write_text(json.dumps({"requests": [{"name": "first", "items": items}]}))
    observed = Observed(tmp_path, model)
    with observed.server as server:
        server.wait_health("SERVING")
        assert [event for event in observed.events() if event.startswith("thread ")]
        # What asks for this has waited until nothing of the start is left to be done.
        assert call(server.http_port, "GET", "/v2/health/ready").status == 200
        seen = observed.during(_ask_every_front_end)
        if warmed:
            assert not seen
        else:
            assert "import ('colorsys',)" in seen
        assert not observed.during(_ask_every_front_end)
        # What few ask for is imported when they do: so something is seen.
        described = observed.during(lambda server: call(server.http_port, "GET", "/openapi.json"))
        assert any("openapi" in event for event in described)
