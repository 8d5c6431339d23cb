"""What Starlark has of the declarations: the text of rules/private/declaration/declared.bzl."""

from __future__ import annotations

import json
from collections.abc import Sequence

from chassis.declaration.columns import COLUMN_TYPES
from chassis.declaration.frameworks import BATCH_SIZE, FRAMEWORKS
from chassis.declaration.front_ends import MAX_WORKERS, SERVER_PORTS
from chassis.declaration.image_limits import MAX_LAYERS
from chassis.declaration.import_names import IMPORT_NAMES
from chassis.declaration.model_json import SIGNATURES
from chassis.declaration.platforms import MACHINES, PLATFORMS
from chassis.declaration.pythons import DEFAULT_PYTHON, IMAGE_PYTHONS, TOOLS_PYTHON
from chassis.declaration.tensor import NUMERIC
from chassis.declaration.wheel_target import MARKERS, OLDER_TAGS, OLDEST_GLIBC

STARLARK_WRITTEN = "Written by `bazel run //docs:update`, do not edit."
_HEAD = f'"""What rules need of chassis/declaration. {STARLARK_WRITTEN}"""\n'

TENSORS = ("FP32[3,-1]", "INT64[ 2, 2 ]", "INT64[]", "BOOL[]", "UINT8", "BYTES", "FP16[-1]", "FP64[999999999]")
"""Tensors as models declare them, which Python and Starlark both take."""

NO_TENSORS = (
    *("float32", "FP32[", "FP32[3", "FP32[3,]", "FP32[0]", "FP32[-2]", "FP32[-1,-1]", "FP32[1000000000]"),
    *("FP32[2]x", "FP32[2][2]", "FP32 [2]", "FP32[x]", "FP8[2]", "BYTES[1]", "[3]"),
)
"""Texts that both refuse."""


def declared_bzl() -> str:
    """Returns the file."""
    parts = [
        _HEAD,
        _table("By architecture, as OCI has it, the machine as wheel tags have it.", "MACHINES", _machines()),
        _table(
            "By architecture, the name in Debian's directories and the loader in them.",
            "LOADERS",
            {name: [one.triplet, one.loader.rpartition("/")[2]] for name, one in MACHINES.items()},
        ),
        _table(
            "By wheel lock, the accelerator and the machine that its wheels are for.",
            "LOCKS",
            {
                one.lock: ["cuda" if one.cuda else "none", MACHINES[one.architecture].machine]
                for one in PLATFORMS.values()
            },
        ),
        _table(
            "By minor version of Python that an image can have: whole version, glibc, Debian's suite or nothing.",
            "PYTHONS",
            {name: [one.version, one.glibc, one.suite] for name, one in IMAGE_PYTHONS.items()},
        ),
        _table("The variables of wheels' markers that are the same in every image.", "MARKERS", MARKERS),
        _table("By machine, the oldest glibc 2.x that its wheels are made for.", "OLDEST_GLIBC", OLDEST_GLIBC),
        _table("By glibc 2.x, the older name of its wheels' platform.", "OLDER_TAGS", OLDER_TAGS),
        _table(
            "By name in Python, the distributions that bring an import; of those whose names differ.",
            "IMPORT_NAMES",
            IMPORT_NAMES,
        ),
        _table("That of an image which asks for no other.", "DEFAULT_PYTHON", DEFAULT_PYTHON),
        _table("That of the programs of the build.", "TOOLS_PYTHON", TOOLS_PYTHON),
        _table(
            "By front end, the port that it listens on unless the environment names another.",
            "SERVER_PORTS",
            {name: f"{port}/tcp" for name, port in SERVER_PORTS.items()},
        ),
        _table(
            "By framework whose files are models by themselves, the distributions that its adapter imports.",
            "FRAMEWORKS",
            {name: list(wanted) for name, wanted in FRAMEWORKS.items()},
        ),
        _table("The most inputs of one call of such a model, unless it says.", "FRAMEWORK_BATCH_SIZE", BATCH_SIZE),
        _table(
            "What a column of a table may be; with ? behind it a value may be missing.", "COLUMN_TYPES", COLUMN_TYPES
        ),
        _table("What one input may be for a function.", "SIGNATURES", SIGNATURES),
        _table("The most layers of an image: container runtimes stop there.", "MAX_LAYERS", MAX_LAYERS),
        _table("The most processes of the model beside one server.", "MAX_WORKERS", MAX_WORKERS),
        _table("The datatypes of tensors with elements of one size.", "DATATYPES", sorted(NUMERIC)),
        _table("Texts that are tensors, and texts that are not, for a test of Starlark's reader.", "TENSORS", TENSORS),
        _table(None, "NO_TENSORS", NO_TENSORS),
    ]
    return "\n".join(parts)


def _machines() -> dict[str, str]:
    return {name: one.machine for name, one in MACHINES.items()}


def _table(comment: str | None, name: str, value: object) -> str:
    return (f"# {comment}\n" if comment else "") + f"{name} = {_literal(value)}\n"


def _literal(value: object) -> str:
    """As buildifier formats it."""
    if isinstance(value, dict):
        return "{\n" + "".join(f"    {json.dumps(key)}: {_inline(value[key])},\n" for key in sorted(value)) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) > 1:
        return "[\n" + "".join(f"    {json.dumps(one)},\n" for one in value) + "]"
    return _inline(value)


def _inline(value: object) -> str:
    return json.dumps(list(value) if isinstance(value, tuple) else value)
