"""A page about the public names of one .bzl file, from what `starlark_doc_extract` found."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from typing import Any

from chassis.reference import markdown
from chassis.reference.markdown import code, page, section, table
from chassis.reference.starlark_docs_pb2 import Module

_TYPES = {
    1: "name",
    2: "int",
    3: "label",
    4: "string",
    5: "list of string",
    6: "list of int",
    7: "list of label",
    8: "bool",
    9: "dict: label to string",
    10: "dict: string to string",
    11: "dict: string to list of string",
    12: "output",
    13: "list of output",
    14: "dict: string to label",
}
_UNDOCUMENTED = {"name": "The target's name."}
_OF_BAZEL = ("repo_mapping",)
"""Attributes that Bazel adds to every repository rule."""


def starlark_page(title: str, load: str, content: bytes) -> str:
    """Returns the page of the file that is loaded as `load`, from its extracted documentation."""
    module = Module.FromString(content)
    sections = [*(_function(function) for function in module.functions), *(_rule(rule) for rule in module.rules)]
    sections += [_extension(extension) for extension in module.extensions]
    sections += [_repository_rule(rule) for rule in module.repository_rules]
    sections += [_provider(provider) for provider in module.providers]
    return page(title, f'{prose(module.doc)}\n\n```starlark\nload("{load}", …)\n```', sorted(sections, key=_headline))


def _headline(text: str) -> tuple[bool, str]:
    """Rules and functions first, then providers; each by name."""
    name = text.partition("\n")[0].strip("# `")
    return name[:1].isupper(), name


def _function(function: Any) -> str:
    rows = [
        (
            code("**" + one.name if one.name == "kwargs" else one.name),
            prose(one.doc),
            "required" if one.mandatory else _default(one.default_value),
        )
        for one in function.parameters
    ]
    returned = f"Returns: {prose(function.returned.doc)}" if function.returned.doc else ""
    return section(
        code(function.name), prose(function.doc), table(("argument", "what it is", "default"), rows), returned
    )


def _rule(rule: Any) -> str:
    kind = "A test rule." if rule.test else "A rule that `bazel run` runs." if rule.executable else "A rule."
    return section(code(rule.name), kind, prose(rule.doc), _attributes(rule.attributes))


def _extension(extension: Any) -> str:
    tags = [
        section(code(f"{extension.name}.{tag.name}"), prose(tag.doc), _attributes(tag.attributes), level=3)
        for tag in extension.tag_classes
    ]
    return section(code(extension.name), "A module extension.", prose(extension.doc), *tags)


def _repository_rule(rule: Any) -> str:
    environment = ", ".join(map(code, rule.environment))
    reads = f"Reads the environment: {environment}." if environment else ""
    return section(code(rule.name), "A repository rule.", prose(rule.doc), reads, _attributes(rule.attributes))


def _provider(provider: Any) -> str:
    rows = [(code(field.name), prose(field.doc)) for field in sorted(provider.fields, key=lambda field: field.name)]
    return section(code(provider.name), "A provider.", prose(provider.doc), table(("field", "what it is"), rows))


def _attributes(attributes: Iterable[Any]) -> str:
    rows = [
        (
            code(one.name),
            _TYPES.get(one.type, ""),
            prose(one.doc) or _UNDOCUMENTED.get(one.name, ""),
            "required" if one.mandatory else _default(one.default_value),
        )
        for one in attributes
        if not one.name.startswith("_") and one.name not in _OF_BAZEL
    ]
    return table(("attribute", "type", "what it is", "default"), rows)


def prose(text: str) -> str:
    """Text that Bazel read: it takes each byte of a file for a character."""
    with contextlib.suppress(UnicodeError):
        text = text.encode("latin-1").decode()
    return markdown.prose(text)


def _default(value: str) -> str:
    """The value, without the canonical name that Bazel gave this repository."""
    return code(re.sub(r'(?:Label\()?"@@?[^/"]*(//[^"]*)"\)?', r'"@chassis\1"', value)) if value else ""
