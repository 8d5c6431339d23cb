"""The Bazel package of a packed model: its BUILD file, and the workspace around it if there is none."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from chassis.declaration.model import ModelMetadata
from chassis.declaration.platforms import PLATFORMS
from chassis.declaration.pythons import DEFAULT_PYTHON
from chassis.packed_model.model import PICKLE
from chassis.packed_model.requirements import parse

LOCKS = {platform.name: platform.lock for platform in PLATFORMS.values()}
"""A platform of `@chassis//platforms` to the name of its wheel lock."""

BUILD_LOCK = "linux_amd64"
"""That of the build machine, on which the pickle is loaded once to be checked."""

_VERSION = "0.1.0"
_CUDA = re.compile(r"^nvidia-", re.MULTILINE)


def build_file(
    metadata: ModelMetadata,
    requirements: Sequence[str],
    files: Sequence[str],
    signature: str = "auto",
    hub: str = "pypi",
    platforms: Sequence[str] = (),
    index: bool = False,
    pickle_on: str = "exec",
    python: str = DEFAULT_PYTHON,
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
      python: the minor version that pickled the model.
    """
    attributes = _attributes(metadata, "chassis_model")
    attributes["model_name"] = metadata.model_name or metadata.name
    attributes["pickle"] = PICKLE
    attributes["version"] = metadata.model_version
    if files:
        attributes["data"] = sorted(files)
    if pickle_on != "exec":
        attributes["pickle_on"] = pickle_on
    if signature != "auto":
        attributes["signature"] = signature
    image = {"name": "image", "model": f":{metadata.name}", **_attributes(metadata, "chassis_image")}
    if python != DEFAULT_PYTHON:
        image["python"] = python
    deps = [f"@{hub}//{parse(line)[0].replace('-', '_')}" for line in requirements]
    rules = [
        _rule("chassis_model", {"name": metadata.name, **dict(sorted(attributes.items())), "deps": deps}),
        _rule("chassis_image", image),
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


def module_file(
    locks: Sequence[str],
    checkout: Path | None,
    hub: str = "pypi",
    cross_build: Sequence[str] = (),
    python: str = DEFAULT_PYTHON,
) -> str:
    """Returns the MODULE.bazel of a workspace with one model.

    Args:
      locks: names of the wheel locks in `requirements`, such as `linux_arm64`.
      checkout: the directory of Chassis itself; None if the machine's registry has it.
      hub: the wheel hub's name.
      cross_build: distributions that the hub may build from their sources.
      python: the minor version that they are for.
    """
    parts = [f'module(name = "model")\n\nbazel_dep(name = "chassis", version = "{_VERSION}")\n']
    if checkout:
        parts.append(_rule("local_path_override", {"module_name": "chassis", "path": str(checkout)}))
    named = {f"//requirements:{name}.txt": name for name in sorted(locks)}
    hub_attributes: dict[str, object] = {"name": hub, "locks": named}
    if python != DEFAULT_PYTHON:
        hub_attributes["pythons"] = [python]
    if cross_build:
        hub_attributes["cross_build"] = sorted(cross_build)
    parts.append('wheels = use_extension("@chassis//rules:extensions.bzl", "wheels")\n')
    parts[-1] += _rule("wheels.hub", hub_attributes) + f'use_repo(wheels, "{hub}")\n'
    return "\n".join(parts)


def locks_package(locks: Sequence[str], hub: str = "pypi") -> str:
    """Returns the BUILD file of the directory `requirements` of such a workspace: `:locks` renews what is in it."""
    rule = {
        "name": "locks",
        "hub": hub,
        "lock": "{platform}.txt",
        "platforms": sorted(locks),
        "requirements": "//:requirements.in",
        "visibility": ["//:__pkg__"],
    }
    load = 'load("@chassis//rules:defs.bzl", "wheel_locks")\n'
    return "\n".join([load, 'exports_files(glob(["*.txt"]))\n', _rule("wheel_locks", rule)])


def locks_target() -> str:
    """Returns what the workspace's own BUILD file says of its locks: `bazel run //:locks` renews them."""
    return "\n".join(
        ['exports_files(["requirements.in"])\n', _rule("alias", {"name": "locks", "actual": "//requirements:locks"})]
    )


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


def _attributes(metadata: ModelMetadata, rule: str) -> dict[str, object]:
    """What `rule` is told of `metadata`: its inputs and outputs, and what differs from the defaults."""
    attributes: dict[str, object] = {}
    for one in metadata.FIELDS:
        of_rule, _, attribute = one.attribute.partition(".")
        value = getattr(metadata, one.name)
        if of_rule != rule or attribute == "name":
            continue
        if one.name in ("inputs", "outputs"):
            attributes[attribute] = {part.name: part.media_type for part in value}
        elif value != one.default:
            shown = one.kind.document(value)
            attributes[attribute] = dict(shown) if one.name == "columns" else shown  # type: ignore[call-overload]
    parts = (*metadata.inputs, *metadata.outputs)
    for one in metadata.outputs[0].FIELDS:
        of_rule, _, attribute = one.attribute.partition(".")
        told = {
            part.name: list(value) if isinstance(value, tuple) else value
            for part in parts
            if (value := getattr(part, one.name, None))
        }
        if of_rule == rule and told:
            attributes[attribute] = told
    return attributes


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
        items = "".join(f"        {_value(key)}: {_nested(item)},\n" for key, item in value.items())
        return f"{{\n{items}    }}"
    if isinstance(value, list):
        if len(value) < 2:
            return f"[{', '.join(map(_value, value))}]"
        return "[\n" + "".join(f"        {_value(item)},\n" for item in value) + "    ]"
    if isinstance(value, int | float):
        return str(int(value) if value == int(value) else value)
    return _string(str(value))


def _nested(value: object) -> str:
    """The literal of a value in a mapping."""
    return _value(value).replace("\n", "\n    ") if isinstance(value, list) else _value(value)


def _string(text: str) -> str:
    """A string literal: Bazel's lexer takes octal escapes, and neither `\\x` nor `\\u`."""
    plain = text.encode("utf-8", "replace").decode()
    escaped = "".join(
        f"\\{char}" if char in '"\\' else f"\\{ord(char):03o}" if ord(char) < 0x20 or ord(char) == 0x7F else char
        for char in plain
    )
    return f'"{escaped}"'
