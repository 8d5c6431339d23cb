"""The OpenAPI description of the build service."""

from __future__ import annotations

import dataclasses
from typing import Any

from chassis.packed_model.build_file import LOCKS
from chassis.service.clients import Quota

_ID = "[0-9a-f]{32}"


def openapi() -> dict[str, Any]:
    """The description, OpenAPI 3.1."""
    job = {"$ref": "#/components/schemas/Job"}
    found = {"200": _json("The job.", job)}
    one = [{"name": "job_id", "in": "path", "required": True, "schema": {"type": "string"}}]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Chassis build service",
            "version": "1",
            "description": "Builds images of packed models with Bazel and pushes them.",
        },
        "security": [{}, {"token": []}],
        "paths": {
            "/healthz": {"get": _operation("health", {"200": _json("It runs.", {"type": "object"})}, refusals=())},
            "/api/uploads": {
                "post": _operation(
                    "upload",
                    {"201": _json("The model was unpacked.", {"$ref": "#/components/schemas/Upload"})},
                    body={"application/x-tar": {"schema": {"type": "string", "format": "binary"}}},
                    refusals=("400", "408", "411", "413", "415", "429"),
                )
            },
            "/api/usage": {
                "get": _operation(
                    "usage",
                    {
                        "200": _json(
                            "Whose token it is, what that client has and may have, and what is on the service's disk.",
                            {"$ref": "#/components/schemas/Usage"},
                        )
                    },
                )
            },
            "/api/webhook_secret": {
                "get": _operation(
                    "webhookSecret",
                    {
                        "200": _json(
                            "What the webhooks of the client's jobs are signed with, as Standard Webhooks 1.0 has it.",
                            {
                                "type": "object",
                                "properties": {"webhook_secret": {"type": "string", "pattern": "^whsec_"}},
                                "required": ["webhook_secret"],
                            },
                        )
                    },
                )
            },
            "/api/jobs": {
                "get": _operation(
                    "listJobs",
                    {
                        "200": _json(
                            "The client's newest jobs, newest first, and the registry of jobs that name none.",
                            {
                                "type": "object",
                                "properties": {
                                    "jobs": {"type": "array", "items": job},
                                    "registry": {"type": "string"},
                                },
                                "required": ["jobs", "registry"],
                            },
                        )
                    },
                ),
                "post": _operation(
                    "submit",
                    {"202": _json("The job is written down and queued.", job)},
                    body={"application/json": {"schema": {"$ref": "#/components/schemas/Submission"}}},
                    refusals=("400", "404", "408", "409", "413", "415", "429", "503"),
                ),
            },
            "/api/jobs/{job_id}": {"parameters": one, "get": _operation("getJob", found, refusals=("404",))},
            "/api/jobs/{job_id}/logs": {
                "parameters": one,
                "get": _operation(
                    "getLogs",
                    {"200": {"description": "The log.", "content": {"text/plain": {"schema": {"type": "string"}}}}},
                    parameters=[
                        _query("offset", {"type": "integer", "minimum": 0}, "Bytes of the log to leave out."),
                        _query("follow", {"type": "string", "enum": ["0", "1"]}, "Stay until the job has ended."),
                    ],
                    refusals=("400", "404", "503"),
                ),
            },
            "/api/jobs/{job_id}/image": {
                "parameters": one,
                "get": _operation(
                    "getImage",
                    {
                        "200": {
                            "description": "An OCI archive.",
                            "content": {"application/x-tar": {"schema": {"type": "string", "format": "binary"}}},
                        }
                    },
                    refusals=("404", "503"),
                ),
            },
            "/api/jobs/{job_id}/cancel": {
                "parameters": one,
                "post": _operation(
                    "cancel",
                    found,
                    body={"application/json": {"schema": {"type": "object"}}},
                    refusals=("404", "415"),
                ),
            },
            "/api/jobs/{job_id}/credentials": {
                "parameters": one,
                "put": _operation(
                    "giveCredentials",
                    found,
                    body={"application/json": {"schema": {"$ref": "#/components/schemas/Credentials"}}},
                    refusals=("400", "404", "408", "413", "415"),
                ),
            },
        },
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": _SCHEMAS,
        },
    }


_TEXTS = {"type": "array", "items": {"type": "string"}}
_QUOTA = tuple(field.name for field in dataclasses.fields(Quota))


def _numbers(names: tuple[str, ...], kind: str | list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": kind} for name in names}, "required": list(names)}


_SCHEMAS: dict[str, Any] = {
    "Credentials": {
        "type": "object",
        "properties": {
            "username": {"type": "string", "minLength": 1, "maxLength": 16384, "pattern": "^[^:]*$"},
            "password": {"type": "string", "minLength": 1, "maxLength": 16384},
        },
        "required": ["username", "password"],
        "additionalProperties": False,
    },
    "Submission": {
        "type": "object",
        "properties": {
            "upload_id": {"type": "string", "pattern": f"^{_ID}$"},
            "platforms": {
                "type": "array",
                "items": {"type": "string", "enum": list(LOCKS)},
                "minItems": 1,
                "uniqueItems": True,
            },
            "registry": {"type": ["string", "null"]},
            "repository": {"type": ["string", "null"]},
            "tags": _TEXTS,
            "webhook": {"type": ["string", "null"]},
            "cross_build": _TEXTS,
            "credentials": {"anyOf": [{"$ref": "#/components/schemas/Credentials"}, {"type": "null"}]},
        },
        "required": ["upload_id"],
        "additionalProperties": False,
    },
    "Upload": {
        "type": "object",
        "properties": {
            "upload_id": {"type": "string", "pattern": f"^{_ID}$"},
            "name": {"type": "string"},
            "version": {"type": "string"},
            "bytes": {"type": "integer"},
        },
        "required": ["upload_id", "name", "version", "bytes"],
    },
    "Job": {
        "type": "object",
        "properties": {
            "job_id": {"type": "string", "pattern": f"^{_ID}$"},
            "name": {"type": "string"},
            "version": {"type": "string"},
            "platforms": _TEXTS,
            "image": {"type": ["string", "null"]},
            "status": {
                "type": "object",
                "properties": {
                    "state": {
                        "type": "string",
                        "enum": ["queued", "waiting", "running", "succeeded", "failed", "cancelled"],
                    },
                    "active": {"type": "integer"},
                    "succeeded": {"type": "integer"},
                    "failed": {"type": "integer"},
                    "message": {"type": "string"},
                    "attempts": {"type": "integer"},
                    "created": {"type": "number"},
                    "started": {"type": ["number", "null"]},
                    "finished": {"type": ["number", "null"]},
                },
                "required": ["state", "active", "succeeded", "failed", "message", "attempts", "created"],
            },
            "result": {"type": ["object", "null"]},
        },
        "required": ["job_id", "name", "version", "platforms", "image", "status", "result"],
    },
    "Usage": {
        "type": "object",
        "properties": {
            "client": {"type": "string"},
            "used": _numbers(_QUOTA, "number"),
            "quota": _numbers(_QUOTA, ["integer", "null"]),
            "storage": {"type": "object", "additionalProperties": _numbers(("bytes", "limit"), "integer")},
        },
        "required": ["client", "used", "quota", "storage"],
    },
    "Error": {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]},
}

_REFUSALS = {
    "400": "The request cannot be understood.",
    "401": "The bearer token is missing or wrong.",
    "404": "The client has no such job, upload or image.",
    "408": "The body comes too slowly.",
    "409": "Another job took the upload.",
    "411": "The length is missing.",
    "413": "It is too large.",
    "415": "The content type is another.",
    "421": "The Host header names another service.",
    "429": "The client has all that its quota allows; Retry-After says when to ask again.",
    "503": "As many wait, or are sent, as may.",
}


def _operation(
    name: str,
    responses: dict[str, Any],
    *,
    body: dict[str, Any] | None = None,
    parameters: list[dict[str, Any]] | None = None,
    refusals: tuple[str, ...] = (),
) -> dict[str, Any]:
    error = {"$ref": "#/components/schemas/Error"}
    described: dict[str, Any] = {
        "operationId": name,
        "responses": responses | {code: _json(_REFUSALS[code], error) for code in (*refusals, "401", "421")},
    }
    if body:
        described["requestBody"] = {"required": True, "content": body}
    if parameters:
        described["parameters"] = parameters
    return described


def _query(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema, "description": description}


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}
