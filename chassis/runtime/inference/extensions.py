"""Triton's extensions of the protocol: configuration, statistics, repository.

https://github.com/triton-inference-server/server/tree/main/docs/protocol
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from chassis.declaration.tensor import BYTES
from chassis.runtime.core.contract import Part
from chassis.runtime.core.service import ModelService, ModelState
from chassis.runtime.inference.exchange import PLATFORM, Identity
from chassis.runtime.settings import Settings

_ONE_MODEL = "this server has one model, which it loads at its start and keeps"
_NO_SHARED_MEMORY = "this server shares no memory with its callers: send tensors in messages"
_NO_TRACES = "traces are set where the server is started, by OTEL_EXPORTER_OTLP_ENDPOINT and its like"
_NO_LOG_SETTINGS = "the log is set where the server is started, by CHASSIS_LOG_LEVEL and CHASSIS_LOG_FORMAT"

UNSERVED_METHODS = {
    "RepositoryModelLoad": _ONE_MODEL,
    "RepositoryModelUnload": _ONE_MODEL,
    **{
        f"{kind}SharedMemory{what}": _NO_SHARED_MEMORY
        for kind in ("System", "Cuda")
        for what in ("Status", "Register", "Unregister")
    },
    "TraceSetting": _NO_TRACES,
    "LogSettings": _NO_LOG_SETTINGS,
}
"""Methods of gRPC that are not served, to the reason."""


class Extensions(NamedTuple):
    """What they say of one model.

    Attributes:
      model: the model.
      identity: its name and version.
      batch_size: the most items of a call, at least 1.
      max_wait: seconds that an item may wait for a batch to fill.
      workers: processes of the model; 0 is a thread.
    """

    model: ModelService
    identity: Identity
    batch_size: int
    max_wait: float
    workers: int

    @classmethod
    def of(cls, settings: Settings, model: ModelService) -> Extensions:
        """Those of a server with these settings."""
        identity = Identity(settings.name, settings.version)
        return cls(model, identity, max(1, settings.batch_size), settings.max_wait, settings.workers)

    def configuration(self) -> dict[str, object]:
        """The model's configuration, a `ModelConfig` in JSON.

        `max_batch_size` is the most items of a call. A request may have more, which are then several calls.
        """
        contract = self.model.contract
        return {
            "name": self.identity.name,
            "platform": PLATFORM,
            "backend": "python",
            "max_batch_size": self.batch_size,
            "input": _tensors(contract.inputs),
            "output": _tensors(contract.outputs),
            "dynamic_batching": {"max_queue_delay_microseconds": int(self.max_wait * 1e6)},
            "instance_group": [
                {"name": self.identity.name, "kind": "KIND_MODEL", "count": max(1, self.workers)},
            ],
        }

    def statistics(self) -> dict[str, object]:
        """The model's statistics, a `ModelStatisticsResponse` in JSON."""
        counted = self.model.metrics.statistics.document()
        return {"model_stats": [{"name": self.identity.name, "version": self.identity.version, **counted}]}

    def models(self, *, ready: bool) -> list[dict[str, str]]:
        """The models of this server: the one, unless only `ready` ones are asked for and it is not."""
        served = self.model.state is ModelState.READY
        if ready and not served:
            return []
        return [
            {
                "name": self.identity.name,
                "version": self.identity.version,
                "state": "READY" if served else "UNAVAILABLE",
                "reason": "" if served else self.model.reason,
            }
        ]


def unserved_path(path: str) -> str | None:
    """Why a path of HTTP of these extensions is not served; None for another."""
    parts = path.split("/")[1:]
    if parts[:1] != ["v2"]:
        return None
    if parts[1:3] == ["repository", "models"]:
        return _ONE_MODEL
    if parts[1:2] in (["systemsharedmemory"], ["cudasharedmemory"]):
        return _NO_SHARED_MEMORY
    if parts[1:2] == ["logging"]:
        return _NO_LOG_SETTINGS
    return _NO_TRACES if parts[-2:] == ["trace", "setting"] else None


def _tensors(parts: Sequence[Part]) -> list[dict[str, object]]:
    found = []
    for part in parts:
        datatype = "STRING" if part.datatype == BYTES else part.datatype
        described: dict[str, object] = {"name": part.name, "data_type": f"TYPE_{datatype}"}
        if part.shape:
            described["dims"] = list(part.shape)
        else:  # Triton knows no tensor without a size.
            described |= {"dims": [1], "reshape": {"shape": []}}
        found.append(described)
    return found
