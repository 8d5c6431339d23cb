"""A framework's file, packaged as the build does and served; what a caller asks it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from chassis.declaration.model import ModelMetadata
from chassis.packaging.packager import Model, PackagedModel, package_model
from tests.support.http_client import call
from tests.support.running_server import RunningServer

_START_SECONDS = 240.0
"""MLflow takes its time on a busy machine."""

Serve = Callable[..., RunningServer]


@contextmanager
def serving(directory: Path) -> Iterator[Serve]:
    """What serves a file of `directory`, given the framework, the file's name and fields of the metadata.

    `environment` are variables of the server.
    """
    with ExitStack() as stack:

        def started(
            framework: str, file: str, *, environment: Mapping[str, str] | None = None, **fields: object
        ) -> RunningServer:
            made = packaged(framework, directory / file, **fields)
            for name, content in (
                ("model.pkl", made.pickle),
                ("status.pb", made.status),
                ("model.json", made.settings),
            ):
                (directory / name).write_bytes(content)
            server = stack.enter_context(
                RunningServer(directory, {"CHASSIS_DATA": str(directory), **(environment or {})})
            )
            server.wait_health("SERVING", timeout=_START_SECONDS)
            return server

        yield started


def packaged(framework: str, file: Path, **fields: object) -> PackagedModel:
    return package_model(
        Model(
            metadata=ModelMetadata("m", batch_size=8, **fields),
            entry_point=None,
            pickle=None,
            package_dir="",
            sources={},
            data={file.name: file},
            import_paths=[Path(path) for path in sys.path if path],
            framework=framework,
        )
    )


def predictions(server: RunningServer, *instances: object) -> list:
    answer = call(server.http_port, "POST", "/v1/models/m:predict", {"instances": list(instances)})
    assert answer.status == 200, answer.body
    return answer.json()["predictions"]


def inputs(server: RunningServer) -> list[tuple[str, str, list[int]]]:
    shown = call(server.http_port, "GET", "/v2/models/m").json()["inputs"]
    return [(one["name"], one["datatype"], one["shape"]) for one in shown]


def infer(server: RunningServer, name: str, datatype: str, rows: Sequence[Sequence[object]]) -> Mapping[str, list]:
    tensor = {"name": name, "datatype": datatype, "shape": [len(rows), len(rows[0])], "data": rows}
    answer = call(server.http_port, "POST", "/v2/models/m/infer", {"inputs": [tensor]})
    assert answer.status == 200, answer.body
    return {output["name"]: output["data"] for output in answer.json()["outputs"]}
