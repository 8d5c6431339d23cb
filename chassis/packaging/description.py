"""What a model directory says about its model: status.pb for callers, model.json for the server."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping

from chassis.metadata import ModelMetadata, Port, parse_duration, parse_size, parse_tensor
from chassis.runtime import omi_pb2
from chassis.runtime.settings import FORMAT


def status_response(metadata: ModelMetadata) -> omi_pb2.StatusResponse:
    """Returns the OMI StatusResponse of a model that answers."""
    return omi_pb2.StatusResponse(
        status_code=200,
        status="OK",
        message="the model is ready",
        model_info=omi_pb2.ModelInfo(
            model_name=metadata.model_name or metadata.name,
            model_version=metadata.model_version,
            model_author=metadata.author,
            model_type=metadata.model_type,
            source=metadata.source,
        ),
        description=omi_pb2.ModelDescription(
            summary=metadata.summary,
            details=metadata.details,
            technical=metadata.technical,
            performance=metadata.performance,
        ),
        inputs=[
            omi_pb2.ModelInput(
                filename=name,
                accepted_media_types=[part.strip() for part in port.media_type.split(",")],
                max_size=port.max_size,
                description=port.description,
            )
            for name, port in metadata.inputs.items()
        ],
        outputs=[
            omi_pb2.ModelOutput(
                filename=name, media_type=port.media_type, max_size=port.max_size, description=port.description
            )
            for name, port in metadata.outputs.items()
        ],
        resources=omi_pb2.ModelResources(
            required_ram=metadata.required_ram, num_cpus=metadata.num_cpus, num_gpus=metadata.num_gpus
        ),
        timeout=omi_pb2.ModelTimeout(status=metadata.status_timeout, run=metadata.run_timeout),
        features=omi_pb2.ModelFeatures(batch_size=metadata.batch_size, results_format="json"),
    )


def server_settings(metadata: ModelMetadata, signature: str) -> bytes:
    """Returns model.json (chassis/runtime/settings.py), for a function of the kind `signature`."""
    document = {
        "batch_size": metadata.batch_size,
        "drain_timeout": parse_duration(metadata.drain_timeout),
        "format": FORMAT,
        "inputs": _parts(metadata.inputs),
        "load_timeout": parse_duration(metadata.load_timeout),
        "max_wait_ms": metadata.max_wait_ms,
        "name": metadata.name,
        "outputs": _parts(metadata.outputs),
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "queue_size": metadata.queue_size,
        "run_timeout": parse_duration(metadata.run_timeout),
        "servers": list(metadata.servers),
        "signature": signature,
        "version": metadata.model_version,
    }
    return (json.dumps(document, indent=1) + "\n").encode()


def _parts(ports: Mapping[str, Port]) -> list[dict[str, object]]:
    return [_part(name, port) for name, port in ports.items()]


def _part(name: str, port: Port) -> dict[str, object]:
    described: dict[str, object] = {
        "name": name,
        "media_type": port.media_type,
        "max_size": port.max_size,
        "max_bytes": parse_size(port.max_size),
    }
    if port.tensor:
        described["datatype"], shape = parse_tensor(port.tensor)
        described["shape"] = list(shape)
    return described
