"""The description of the HTTP front ends: OpenAPI 3.1, https://spec.openapis.org/oas/v3.1.0."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from chassis.declaration.tensor import BYTES, NUMERIC
from chassis.runtime.core.contract import Contract
from chassis.runtime.http.message import Route
from chassis.runtime.http.openapi_inputs import typed_schemas
from chassis.runtime.inference.exchange import Identity

Document = dict[str, object]

_ERRORS = {
    "400": "The request is malformed.",
    "408": "The request did not come whole in time.",
    "413": "An input is larger than its max_size, or the body than the server reads.",
    "415": "The body has a content coding other than gzip and deflate.",
    "422": "The model could not process an item.",
    "500": "The model gave something else than it promises.",
    "503": "The queue is full, the model is not loaded, or the server is stopping.",
    "504": "The model did not answer within its run timeout.",
}


def describe(identity: Identity, version: str, routes: Iterable[Route], contract: Contract) -> Document:
    """The document of `routes`, which serve a model of `contract`."""
    operations, schemas = _operations(), _schemas()
    for name, more in typed_schemas(contract).items():
        properties: Any = schemas[name].get("properties", {})
        schemas[name] = {**schemas[name], **more, "properties": {**properties, **more.get("properties", {})}}
    paths: dict[str, dict[str, Document]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = operations[route.operation]
    return {
        "openapi": "3.1.0",
        "info": {"title": identity.name, "version": identity.version, "x-chassis-version": version},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _operations() -> Mapping[str, Document]:
    return {
        "server": _get("Server metadata", {"200": "Name, version and extensions."}),
        "models": _get("The model's name", {"200": "A list of one."}),
        "live": _get("Whether the server runs", {"200": "It does."}),
        "ready": _get("Whether the model answers", {"200": "It does.", "400": "Not now."}),
        "metadata": _get("Model metadata", {"200": "Inputs and outputs."}),
        "generate": _post("Inference with plain JSON", "GenerateRequest", "GenerateResponse"),
        "generate_stream": _events(_post("The same, piece by piece", "GenerateRequest", "GenerateResponse")),
        "configuration": _get("Model configuration", {"200": "What the model takes and gives, as Triton has it."}),
        "statistics": _get("Statistics", {"200": "What the model has done, as Triton counts it."}),
        "index": {
            "summary": "The models of this server",
            "requestBody": {
                "required": False,
                "content": {"application/json": {"schema": _object((), ready=_nullable({"type": "boolean"}))}},
            },
            "responses": {
                "200": {
                    "description": "A list of one, or of none that is ready.",
                    "content": {"application/json": {"schema": {"type": "array", "items": {"type": "object"}}}},
                },
                **{
                    code: {
                        "description": _ERRORS[code],
                        "content": {"application/json": {"schema": _reference("Error")}},
                    }
                    for code in ("400", "408", "413", "415")
                },
            },
        },
        "infer": _post("Inference", "InferRequest", "InferResponse"),
        "v1_live": _get("Whether the server runs", {"200": "It does."}),
        "v1_models": _get("The model's name", {"200": "A list of one."}),
        "v1_ready": _get("Whether the model answers", {"200": "It does.", "503": "Not now."}),
        "predict": _post("Prediction", "PredictRequest", "PredictResponse"),
        "metrics": {
            "summary": "Metrics for Prometheus",
            "responses": {
                "200": {"description": "Metrics.", "content": {"text/plain": {"schema": {"type": "string"}}}}
            },
        },
        "openapi": _get("This description", {"200": "OpenAPI."}),
    }


def _get(summary: str, responses: Mapping[str, str]) -> Document:
    return {
        "summary": summary,
        "responses": {
            code: {"description": text, "content": {"application/json": {"schema": {"type": "object"}}}}
            for code, text in responses.items()
        },
    }


def _post(summary: str, request: str, response: str) -> Document:
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": {"application/json": {"schema": _reference(request)}}},
        "responses": {
            "200": {
                "description": "All items were answered.",
                "content": {"application/json": {"schema": _reference(response)}},
            },
            **{
                code: {"description": text, "content": {"application/json": {"schema": _reference("Error")}}}
                for code, text in _ERRORS.items()
            },
        },
    }


def _events(operation: Document) -> Document:
    """`operation`, answered with Server-Sent Events."""
    responses = dict(operation["responses"])  # type: ignore[call-overload]
    described = {
        "description": "An event for each piece.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
    return {**operation, "responses": {**responses, "200": described}}


def _reference(name: str) -> Document:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(required: tuple[str, ...], **properties: Document) -> Document:
    return {"type": "object", "required": list(required), "properties": properties}


def _nullable(schema: Document) -> Document:
    """`schema`, or null, which counts as left out."""
    return {**schema, "type": [schema["type"], "null"]}


def _schemas() -> dict[str, Document]:
    text: Document = {"type": "string"}
    tensor: dict[str, Document] = {
        "name": text,
        "datatype": {"type": "string", "enum": [BYTES, *NUMERIC]},
        "shape": {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 0}},
        "parameters": {"type": ["object", "null"]},
        "data": {"type": "array"},
    }
    optional = _nullable(text)
    parameters = _nullable({"type": "object"})
    requested = _object(("name",), name=text, parameters=parameters)
    return {
        "Error": _object(("error",), error=text),
        "InferRequest": _object(
            ("inputs",),
            id=optional,
            parameters=parameters,
            inputs={
                "type": "array",
                "minItems": 1,
                "items": _object(("name", "datatype", "shape", "data"), **tensor),
            },
            outputs=_nullable({"type": "array", "items": requested}),
        ),
        "InferResponse": _object(
            ("model_name", "outputs"),
            model_name=text,
            model_version=text,
            id=text,
            outputs={"type": "array", "items": _object(("name", "datatype", "shape"), **tensor)},
        ),
        "GenerateRequest": {"type": "object"},
        "GenerateResponse": _object(("model_name",), model_name=text, model_version=text),
        "PredictRequest": _object(("instances",), instances={"type": "array", "minItems": 1}),
        "PredictResponse": _object(("predictions",), predictions={"type": "array"}),
    }
