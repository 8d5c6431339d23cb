"""What a model directory says about its model: status.pb for callers, model.json for the server."""

from __future__ import annotations

from chassis.declaration.model import ModelMetadata
from chassis.declaration.model_json import write_model_json
from chassis.runtime import omi_pb2


def status_response(metadata: ModelMetadata) -> omi_pb2.StatusResponse:
    """Returns the OMI StatusResponse of a model that answers."""
    response = omi_pb2.StatusResponse(
        status_code=200,
        status="OK",
        message="the model is ready",
        inputs=[
            omi_pb2.ModelInput(
                filename=part.name,
                accepted_media_types=[media_type.strip() for media_type in part.media_type.split(",")],
                max_size=part.max_size,
                description=part.description or _columns(metadata),
            )
            for part in metadata.inputs
        ],
        outputs=[
            omi_pb2.ModelOutput(
                filename=part.name, media_type=part.media_type, max_size=part.max_size, description=part.description
            )
            for part in metadata.outputs
        ],
        features=omi_pb2.ModelFeatures(results_format="json"),
    )
    named = metadata.replace(model_name=metadata.model_name or metadata.name)
    for one in named.FIELDS:
        message, _, key = one.status.partition(".")
        if key:
            setattr(getattr(response, message), key, getattr(named, one.name))
    return response


def _columns(metadata: ModelMetadata) -> str:
    """`a row: amount FP64?, city TEXT`; empty without columns. OMI has no other place for them."""
    if not metadata.columns:
        return ""
    return "a row: " + ", ".join(f"{column.name} {column.type}" for column in metadata.columns)


def server_settings(metadata: ModelMetadata, signature: str, python: str, *, takes_request: bool = False) -> bytes:
    """Returns model.json, for a function of the kind `signature` that a Python of minor version `python` pickled."""
    return write_model_json(metadata, signature, python, takes_request=takes_request)
