"""A real model server as a process of its own, for tests that speak to it."""

from __future__ import annotations

import builtins
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

import cloudpickle
import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from chassis.declaration.model import ModelMetadata
from chassis.declaration.model_io import ModelInput, ModelOutput
from chassis.declaration.model_json import write_model_json
from chassis.runtime import omi_pb2, omi_pb2_grpc
from chassis.runtime.core.loader import Loader

_START_TIMEOUT = 30.0
_STOP_TIMEOUT = 30.0


class ServerEndedError(Exception):
    """A server that ended, or said nothing, before it listened."""


def write_model(
    directory: Path,
    function: object,
    *,
    signature: str = "bytes",
    batch_size: int = 0,
    max_size: int | None = None,
    **settings: object,
) -> Path:
    """Writes a model directory with `function` pickled by value; returns it.

    `max_size` limits input and output, in bytes; `settings` take the place of keys of model.json.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for part in function if isinstance(function, Loader) else (function,):
        module = sys.modules.get(getattr(part, "__module__", ""))
        if module is not None and module is not builtins and not isinstance(part, bytes):
            cloudpickle.register_pickle_by_value(module)
    (directory / "model.pkl").write_bytes(function if isinstance(function, bytes) else cloudpickle.dumps(function))
    limit = str(max_size or "")
    metadata = ModelMetadata(
        "tested",
        model_version="",
        batch_size=batch_size,
        inputs=(ModelInput("input", max_size=limit),),
        outputs=(ModelOutput("results.json", "application/json", limit),),
    )
    document = json.loads(write_model_json(metadata, signature, f"{sys.version_info.major}.{sys.version_info.minor}"))
    (directory / "model.json").write_text(json.dumps({**document, **settings}))
    status = omi_pb2.StatusResponse(
        model_info=omi_pb2.ModelInfo(model_name="Tested"),
        features=omi_pb2.ModelFeatures(batch_size=batch_size),
    )
    (directory / "status.pb").write_bytes(status.SerializeToString())
    return directory


class RunningServer:
    """`python -m chassis.runtime` on a free port of the loopback; a context manager that leaves no process
    behind."""

    def __init__(
        self,
        model: Path,
        environment: Mapping[str, str] | None = None,
        *,
        prefix: tuple[str, ...] = (),
        wait_listening: bool = True,
    ) -> None:
        """Starts it on the model directory `model`; `prefix` is a command that starts it, such as
        `unshare`."""
        variables = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "CHASSIS_MODEL_DIR": str(model),
            "CHASSIS_HOST": "127.0.0.1",
            "PSC_MODEL_PORT": "0",
            "HTTP_PORT": "0",
            "CHASSIS_LOG_FORMAT": "json",
            **(environment or {}),
        }
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-P", "-m", "chassis.runtime"],
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self.lines: list[str] = []
        self.events: list[dict[str, object]] = []
        self._changed = threading.Condition()
        self._listening = threading.Event()
        self.port = 0
        self.http_port = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if wait_listening:
            self._listening.wait(_START_TIMEOUT)
            if not self.port_known():
                self.__exit__(None, None, None)
                raise ServerEndedError("\n".join(self.lines))
        if self.port:
            self.channel = grpc.insecure_channel(f"127.0.0.1:{self.port}", [("grpc.max_receive_message_length", -1)])
            self.omi = omi_pb2_grpc.ModzyModelStub(self.channel)
            self.health = health_pb2_grpc.HealthStub(self.channel)

    def __enter__(self) -> RunningServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if hasattr(self, "channel"):
            self.channel.close()
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(_STOP_TIMEOUT)
        self._reader.join(_STOP_TIMEOUT)
        if self.process.stdout:
            self.process.stdout.close()

    def port_known(self) -> bool:
        """Whether the server has said where it listens."""
        return (self.port or self.http_port) != 0

    def run(self, *contents: bytes | Mapping[str, bytes], timeout: float = 20.0, **fields: bool) -> omi_pb2.RunResponse:
        """Runs items, each the content of `input` or a whole mapping."""
        items = [
            omi_pb2.InputItem(input={"input": content} if isinstance(content, bytes) else dict(content))
            for content in contents
        ]
        return self.omi.Run(omi_pb2.RunRequest(inputs=items, **fields), timeout=timeout)

    def status(self) -> omi_pb2.StatusResponse:
        """OMI's Status."""
        return self.omi.Status(omi_pb2.StatusRequest(), timeout=20)

    def health_of(self, service: str = "") -> str:
        """`SERVING` or `NOT_SERVING`."""
        response = self.health.Check(health_pb2.HealthCheckRequest(service=service), timeout=20)
        return health_pb2.HealthCheckResponse.ServingStatus.Name(response.status)

    def wait_health(self, wanted: str, service: str = "", timeout: float = 30.0) -> None:
        """Waits until the health of `service` is `wanted`."""
        for response in self.health.Watch(health_pb2.HealthCheckRequest(service=service), timeout=timeout):
            if health_pb2.HealthCheckResponse.ServingStatus.Name(response.status) == wanted:
                return

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the process."""
        self.process.send_signal(number)

    def wait_event(self, message: str, matches: Callable[[dict], bool] = lambda _: True, timeout: float = 20.0) -> dict:
        """Waits for a line of the log with `message`; returns its fields."""
        with self._changed:
            found: list[dict] = []

            def seen() -> bool:
                found[:] = [event for event in self.events if event.get("message") == message and matches(event)]
                return bool(found)

            assert self._changed.wait_for(seen, timeout), f"no {message!r} in the log:\n" + "\n".join(self.lines)
            return found[0]

    def wait_end(self, timeout: float = _STOP_TIMEOUT) -> int:
        """Waits for the process to end; returns its status."""
        code = self.process.wait(timeout)
        self._reader.join(timeout)
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                try:
                    event = json.loads(line)
                except ValueError:
                    event = {}
                if isinstance(event, dict):
                    self.events.append(event)
                    if event.get("message") == "listening":
                        self.port = event.get("port", 0)
                        self.http_port = event.get("http_port", 0)
                        self._listening.set()
                self._changed.notify_all()
        self._listening.set()
