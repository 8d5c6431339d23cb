"""Images of many wheels, for benchmarks of builds."""

from __future__ import annotations

import json
from collections.abc import Sequence

from chassis.declaration.pythons import TOOLS_PYTHON

FORTY = (
    # Of the tools' own lock.
    "absl_py",
    "anyio",
    "brotli",
    "certifi",
    "charset_normalizer",
    "click",
    "cloudpickle",
    "graphql_core",
    "grpcio",
    "grpcio_health_checking",
    "grpcio_reflection",
    "h11",
    "harfile",
    "httptools",
    "hypothesis",
    "idna",
    "iniconfig",
    "installer",
    "isal",
    "jsonschema_rs",
    "markdown_it_py",
    "markupsafe",
    "mdurl",
    "ml_dtypes",
    "numpy",
    "packaging",
    "pluggy",
    "prometheus_client",
    "protobuf",
    "pyelftools",
    "pygments",
    "pyrate_limiter",
    "pytest",
    "pyyaml",
    "requests",
    "rich",
    "sortedcontainers",
    "starlette",
    "typing_extensions",
    "urllib3",
)
MORE = (
    "annotated_types",
    "arrow",
    "asn1crypto",
    "attrs",
    "beartype",
    "boolean_py",
    "defusedxml",
    "dnspython",
    "email_validator",
    "fqdn",
    "importlib_resources",
    "isoduration",
    "jsonpointer",
    "jsonschema_specifications",
    "lark",
    "license_expression",
    "mypy_extensions",
    "packageurl_python",
    "pathspec",
    "platformdirs",
    "ply",
    "pyjwt",
    "pyparsing",
    "python_dateutil",
    "referencing",
    "rfc3339_validator",
    "rpds_py",
    "semantic_version",
    "six",
    "tzdata",
    "uri_template",
    "uritools",
    "webcolors",
    "xmltodict",
)

FORTY_OF_ANY_PYTHON = (
    # Of a lock for every Python that Chassis brings.
    "annotated_doc",
    "annotated_types",
    "anyio",
    "cachetools",
    "certifi",
    "charset_normalizer",
    "click",
    "cloudpickle",
    "fastapi",
    "filelock",
    "fsspec",
    "h11",
    "idna",
    "importlib_metadata",
    "joblib",
    "markdown_it_py",
    "mdurl",
    "ml_dtypes",
    "narwhals",
    "numpy",
    "packaging",
    "pillow",
    "protobuf",
    "pydantic",
    "pydantic_core",
    "pygments",
    "python_dotenv",
    "pyyaml",
    "requests",
    "rich",
    "safetensors",
    "shellingham",
    "starlette",
    "tqdm",
    "typer",
    "typing_extensions",
    "typing_inspection",
    "urllib3",
    "uvicorn",
    "zipp",
)


def build_file(wheels: Sequence[str], hub: str = "chassis_tools", python: str = TOOLS_PYTHON) -> str:
    """A package of this workspace with `:image`, of a model in model.py that depends on the wheels of a hub.

    Without a `python` the image has that of the build.
    """
    deps = json.dumps([f"@{hub}//{name}" for name in wheels])
    chosen = f"\n    python = {json.dumps(python)}," if python else ""
    return f"""
load("//rules:defs.bzl", "chassis_image", "chassis_model")

chassis_model(
    name = "echo",
    srcs = ["model.py"],
    entry_point = "model:predict",
    inputs = {{"input": "application/json"}},
    outputs = {{"results.json": "application/json"}},
    version = "0.0.1",
    deps = {deps},
)

chassis_image(
    name = "image",
    model = ":echo",{chosen}
)
"""
