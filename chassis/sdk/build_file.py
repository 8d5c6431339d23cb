"""The Bazel package of a packed model: its BUILD file, and the workspace around it where there is none."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from chassis.metadata import ModelMetadata
from chassis.sdk.packed_model import PICKLE
from chassis.sdk.requirements import parse

LOCKS = {
    "amd64": "linux_amd64",
    "amd64_gpu": "linux_amd64_gpu",
    "arm64": "linux_arm64",
    "arm64_gpu": "linux_arm64_gpu",
}
"""A platform of `@chassis//platforms` to the name of its wheel lock."""

BUILD_LOCK = "linux_amd64"
"""That of the build machine, where the pickle is loaded once to be checked."""

_VERSION = "0.1.0"
_CUDA = re.compile(r"^nvidia-", re.MULTILINE)

_TEXTS = (
    "author",
    "details",
    "drain_timeout",
    "load_timeout",
    "required_ram",
    "run_timeout",
    "status_timeout",
    "summary",
)


def build_file(
    metadata: ModelMetadata,
    requirements: Sequence[str],
    files: Sequence[str],
    signature: str = "auto",
    hub: str = "pypi",
    platforms: Sequence[str] = (),
    index: bool = False,
    pickle_on: str = "exec",
) -> str:
    """Returns the BUILD file of a model: the model, its image, a push, and an image of its own for each of `platforms`.

    Args:
      metadata: what the model says about itself.
      requirements: its distributions, which the wheel hub `hub` must have.
      files: keys of its data.
      signature: as of `chassis_model`.
      hub: the wheel hub's name.
      platforms: names of `@chassis//platforms`.
      index: whether an index joins these.
      pickle_on: as of `chassis_model`.
    """
    defaults = ModelMetadata(name=metadata.name)
    attributes: dict[str, object] = {"name": metadata.name}
    for text in _TEXTS:
        if getattr(metadata, text) != getattr(defaults, text):
            attributes[text] = getattr(metadata, text)
    for number in ("batch_size", "max_wait_ms", "num_cpus", "num_gpus", "queue_size"):
        if getattr(metadata, number) != getattr(defaults, number):
            attributes[number] = int(getattr(metadata, number))
    if files:
        attributes["data"] = sorted(files)
    attributes["inputs"] = {name: port.media_type for name, port in metadata.inputs.items()}
    attributes["outputs"] = {name: port.media_type for name, port in metadata.outputs.items()}
    ports = {**metadata.inputs, **metadata.outputs}
    if sizes := {name: port.max_size for name, port in ports.items() if port.max_size}:
        attributes["max_sizes"] = sizes
    if tensors := {name: port.tensor for name, port in ports.items() if port.tensor}:
        attributes["tensors"] = tensors
    attributes["model_name"] = metadata.model_name or metadata.name
    attributes["pickle"] = PICKLE
    if pickle_on != "exec":
        attributes["pickle_on"] = pickle_on
    if signature != "auto":
        attributes["signature"] = signature
    attributes["version"] = metadata.model_version or "0.0.1"
    attributes["deps"] = [f"@{hub}//{parse(line)[0].replace('-', '_')}" for line in requirements]
    rules = [
        _rule("chassis_model", attributes),
        _rule("chassis_image", {"name": "image", "model": f":{metadata.name}"}),
        _rule("oci_push", {"name": "push", "image": ":image"}),
    ]
    rules += [
        _rule(
            "platform_image",
            {"name": f"image_{name}", "image": ":image", "platform": f"@chassis//platforms:{name}"},
        )
        for name in platforms
    ]
    loaded = ["chassis_image", "chassis_model", "oci_push"] + (["platform_image"] if platforms else [])
    if index:
        labels = [f"@chassis//platforms:{name}" for name in platforms]
        rules.append(_rule("oci_index", {"name": "index", "image": ":image", "platforms": labels}))
        loaded.insert(2, "oci_index")
    load = ", ".join(json.dumps(name) for name in ["@chassis//rules:defs.bzl", *loaded])
    return "\n".join(
        [
            f'"""{_docstring(metadata)}"""\n',
            f"load({load})\n",
            'package(default_visibility = ["//visibility:public"])\n',
            *rules,
        ]
    )


def module_file(locks: Sequence[str], checkout: Path | None, hub: str = "pypi", cross_build: Sequence[str] = ()) -> str:
    """Returns the MODULE.bazel of a workspace with one model.

    Args:
      locks: names of the wheel locks in `requirements`, such as `linux_arm64`.
      checkout: the directory of Chassis itself; None where the machine's registry has it.
      hub: the wheel hub's name.
      cross_build: distributions that the hub may build from their sources.
    """
    parts = [f'module(name = "model")\n\nbazel_dep(name = "chassis", version = "{_VERSION}")\n']
    if checkout:
        parts.append(_rule("local_path_override", {"module_name": "chassis", "path": str(checkout)}))
    named = {f"//requirements:{name}.txt": name for name in sorted(locks)}
    hub_attributes: dict[str, object] = {"name": hub, "locks": named}
    if cross_build:
        hub_attributes["cross_build"] = sorted(cross_build)
    parts.append('wheels = use_extension("@chassis//rules:extensions.bzl", "wheels")\n')
    parts[-1] += _rule("wheels.hub", hub_attributes) + f'use_repo(wheels, "{hub}")\n'
    return "\n".join(parts)


def pickle_place(platforms: Sequence[str], build_lock: str) -> str:
    """Where the pickle of a model is to be loaded, as `pickle_on` of `chassis_model` has it.

    That is the build machine, unless its wheels bring CUDA, gigabytes of it, and no image is for its CPU: then the
    target's Python does it, under emulation.

    Args:
      platforms: names of `@chassis//platforms`.
      build_lock: the text of `BUILD_LOCK`.
    """
    foreign = all(not name.startswith("amd64") for name in platforms)
    return "target" if foreign and _CUDA.search(build_lock) else "exec"


def _docstring(metadata: ModelMetadata) -> str:
    title = metadata.model_name or metadata.name
    return "".join(char if char.isprintable() and char not in '"\\' else " " for char in title) + ", saved by Chassis."


def _rule(name: str, attributes: Mapping[str, object]) -> str:
    lines = [f"    {key} = {_value(value)},\n" for key, value in attributes.items()]
    return f"{name}(\n{''.join(lines)})\n"


def _value(value: object) -> str:
    """A Starlark literal: JSON's, but for what Starlark reads otherwise."""
    if isinstance(value, Mapping):
        if not value:
            return "{}"
        items = "".join(f"        {_value(key)}: {_value(item)},\n" for key, item in value.items())
        return f"{{\n{items}    }}"
    if isinstance(value, list):
        if len(value) < 2:
            return f"[{', '.join(map(_value, value))}]"
        return "[\n" + "".join(f"        {_value(item)},\n" for item in value) + "    ]"
    if isinstance(value, int):
        return str(value)
    return _string(str(value))


def _string(text: str) -> str:
    """A string literal: Bazel's lexer takes octal escapes, and neither `\\x` nor `\\u`."""
    plain = text.encode("utf-8", "replace").decode()
    escaped = "".join(
        f"\\{char}" if char in '"\\' else f"\\{ord(char):03o}" if ord(char) < 0x20 or ord(char) == 0x7F else char
        for char in plain
    )
    return f'"{escaped}"'
