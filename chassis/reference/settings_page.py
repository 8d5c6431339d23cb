"""Pages about what can be set: the server's environment, the fields of a model, the flags of a build."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

from chassis.declaration.declared import REQUIRED, Declared
from chassis.declaration.model import ModelMetadata
from chassis.declaration.model_io import ModelInput
from chassis.declaration.pythons import DEFAULT_PYTHON, PYTHONS
from chassis.reference.markdown import code, page, prose, section, table
from chassis.runtime.limits import Limits
from chassis.runtime.settings import Settings


def settings_page(rules_build_file: str) -> str:
    """Returns the page; `rules_build_file` is the text of rules/BUILD.bazel."""
    return page(
        "Settings",
        "What an image is told when it starts, what a model says about itself, and the flags of a build.",
        [
            section(
                "The server's environment",
                "Variables of the container, over what the image's `model.json` says; an empty one counts as unset.",
                table(("variable", "what it is", "default"), _variables()),
            ),
            section(
                "The fields of a model",
                "`ChassisModel.describe` sets them by name, the attribute in a BUILD file.",
                table(("field", "what it is", "kind", "default", "attribute"), _fields(ModelMetadata)),
            ),
            section(
                "The fields of an input or output",
                "`describe` takes `inputs` and `outputs` as a mapping from name to media type, or to these fields.",
                table(("field", "what it is", "kind", "default", "attribute"), _fields(ModelInput)),
            ),
            section("Flags of a build", table(("flag", "what it is", "default"), _flags(rules_build_file))),
        ],
    )


def _variables() -> Iterator[tuple[str, str, str]]:
    """From the docstrings of `Settings` and `Limits`: `name: what it is (`VARIABLE`, more).`"""
    yield from _variables_of(Settings)
    yield from _variables_of(Limits)


def _variables_of(settings: type[Settings] | type[Limits]) -> Iterator[tuple[str, str, str]]:
    text = prose(settings.__doc__ or "").partition("Attributes:")[2]
    for entry in re.findall(r"^  (\w+): ((?:.|\n    )*)", text, re.M):
        name, doc = entry
        found = re.search(r"\s*\(`([A-Z_]+)`(?:, ([^)]*))?\)", doc)
        if not found:
            continue
        described = doc[: found.start()].rstrip() + doc[found.end() :]
        unit = f" ({found[2]})" if found[2] else ""
        default = settings._field_defaults.get(name, "")
        shown = ",".join(default) if isinstance(default, tuple) else str(default).removesuffix(".0")
        yield code(found[1]), described + unit, code(shown) if shown else "none" if default == () else "the image's"


def _fields(declared: type[Declared]) -> Iterator[tuple[str, str, str, str, str]]:
    for one in declared.FIELDS:
        default = one.default
        if default is REQUIRED:
            shown = "required"
        elif isinstance(default, tuple):
            shown = ", ".join(code(str(getattr(part, "name", part))) for part in default)
        else:
            shown = code(str(default)) if default != "" else ""
        yield code(one.name), one.doc, one.kind.name, shown, code(one.attribute) if one.attribute else ""


_NAMED = {"DEFAULT_PYTHON": DEFAULT_PYTHON, "PYTHONS.keys()": list(PYTHONS)}
"""What flags take from rules/private/declaration/declared.bzl."""


def _value(node: ast.expr) -> Any:
    return _NAMED[text] if (text := ast.unparse(node)) in _NAMED else ast.literal_eval(node)


def _flags(text: str) -> Iterator[tuple[str, str, str]]:
    """The build settings of a BUILD file, each with the comment before it."""
    lines = text.split("\n")
    for node in ast.parse(text).body:
        if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
            continue
        attributes = {key.arg: key.value for key in node.value.keywords}
        if "build_setting_default" not in attributes:
            continue
        comment: list[str] = []
        for line in reversed(lines[: node.lineno - 1]):
            if not line.startswith("#"):
                break
            comment.insert(0, line.removeprefix("#").strip())
        default = _value(attributes["build_setting_default"])
        values = _value(attributes["values"]) if "values" in attributes else []
        name = f"--@chassis//rules:{ast.literal_eval(attributes['name'])}"
        told = " ".join(comment).partition("`: ")[2] or " ".join(comment)
        shown = str(default).lower() if isinstance(default, bool) else str(default)
        yield code(name), told + (f" One of {', '.join(values)}." if values else ""), code(shown)
