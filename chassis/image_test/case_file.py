"""Case files of inference tests: what is sent to a model and what must come back. Format version 1,
docs/testing.md.

A file is one case or a list of cases; a case is one OMI RunRequest, its items in order. Short form, one item:
`{"input": VALUE, "output": EXPECT}` or `{"input": VALUE, "error": EXPECT}`.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chassis.errors import ChassisError

INPUT_KEY, OUTPUT_KEY, ERROR_KEY = "input", "results.json", "error"
EQUAL_BYTES, EQUAL_JSON, PARTIAL_JSON, CONTAINS = "bytes", "json", "partial", "contains"
TAGS = ("json", "text", "file", "base64", "partial")
_FORMS = (
    {"input", "output", "name"},
    {"input", "error", "name"},
    {"inputs", "outputs", "success", "name"},
    {"inputs", "accuracy", "name"},
    {"input", "name"},
    {"inputs", "name"},
)


class CaseFileError(ChassisError):
    """A case file is not what the format says."""


class JsonContent(bytes):
    """The bytes of JSON that a case has as it is, and its `value`: numbers of an input that is a tensor are packed."""

    value: Any

    def __new__(cls, value: Any) -> JsonContent:
        """`value` as compact JSON."""
        content = super().__new__(cls, json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())
        content.value = value
        return content


@dataclass(frozen=True, slots=True)
class Expectation:
    """What one output must be: equal `bytes`, equal `json` within the tolerance, JSON that has `partial` in it, or an
    error that contains a text.

    `value` is bytes for EQUAL_BYTES, str for CONTAINS, any JSON value for EQUAL_JSON and PARTIAL_JSON.
    """

    kind: str
    value: Any


@dataclass(frozen=True, slots=True)
class Accuracy:
    """The least fraction of labels that predictions must equal.

    `select` is a path into the JSON of the output keyed `output`: a name, an index, or "*" for every element;
    `labels` holds a list for each item.
    """

    output: str
    select: tuple[str | int, ...]
    labels: tuple[tuple[Any, ...], ...]
    at_least: float


@dataclass(frozen=True, slots=True)
class Case:
    """One request and its expected answer, item by item; either `outputs` or `accuracy` tells what is
    expected, and neither in a case whose answer nobody has written yet."""

    name: str
    inputs: tuple[dict[str, bytes], ...]
    success: tuple[bool, ...]
    outputs: tuple[dict[str, Expectation], ...]
    accuracy: Accuracy | None


def read_cases(path: Path, shown: str = "") -> list[Case]:
    """The cases of a file, which people know as `shown`.

    Raises:
      CaseFileError: the file, or one that it names, cannot be read, or has a key or value that the format
        does not know.
    """
    shown = shown or str(path)
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise CaseFileError(f"{shown}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise CaseFileError(f"{shown}: is not JSON: {error}") from None
    if not isinstance(document, list):
        return [_Parser(path, shown).case(document, path.stem)]
    if not document:
        raise CaseFileError(f"{shown}: holds no case")
    return [_Parser(path, f"{shown}[{i}]").case(item, f"{path.stem}[{i}]") for i, item in enumerate(document)]


@dataclass(frozen=True, slots=True)
class _Parser:
    path: Path
    where: str

    def case(self, data: Any, default_name: str) -> Case:
        fields = self._object(data, "a case")
        keys = set(fields)
        form = next((form for form in _FORMS if keys <= form and form - keys <= {"name", "success"}), None)
        if form is None:
            known = {"name", "input", "inputs", "output", "outputs", "error", "success", "accuracy"}
            if unknown := sorted(keys - known):
                raise CaseFileError(f"{self.where}: unknown key {unknown[0]!r}; a case knows {sorted(known)}")
            raise CaseFileError(
                f"{self.where}: a case has `input` and one of `output` and `error`, or `inputs` and one of "
                f"`outputs` and `accuracy`; found {sorted(keys)}"
            )
        name = fields.get("name", default_name)
        if not isinstance(name, str):
            raise CaseFileError(f"{self.where}: `name` must be a string")
        if "input" in fields:
            inputs = ({INPUT_KEY: self.sent(fields["input"])},)
            if not keys & {"output", "error"}:
                return Case(name, inputs, (True,), (), None)
            failed = "error" in fields
            key = ERROR_KEY if failed else OUTPUT_KEY
            wanted = {key: self.expected(fields["error" if failed else "output"], key)}
            return Case(name, inputs, (not failed,), (wanted,), None)
        inputs = tuple(
            {key: self.sent(value) for key, value in self._object(item, "an item of `inputs`").items()}
            for item in self._list(fields["inputs"], "inputs")
        )
        if not keys & {"outputs", "accuracy"}:
            return Case(name, inputs, (True,) * len(inputs), (), None)
        if "accuracy" in fields:
            accuracy = self._accuracy(fields["accuracy"], len(inputs))
            return Case(name, inputs, (True,) * len(inputs), (), accuracy)
        outputs = tuple(
            {key: self.expected(value, key) for key, value in self._object(item, "an item of `outputs`").items()}
            for item in self._list(fields["outputs"], "outputs")
        )
        success = tuple(self._list(fields.get("success", [ERROR_KEY not in o for o in outputs]), "success"))
        if not len(inputs) == len(outputs) == len(success):
            raise CaseFileError(
                f"{self.where}: {len(inputs)} inputs, {len(outputs)} outputs and {len(success)} of "
                "`success`; one an item"
            )
        if not all(isinstance(flag, bool) for flag in success):
            raise CaseFileError(f"{self.where}: `success` must hold only true and false")
        return Case(name, inputs, success, outputs, None)

    def sent(self, value: Any) -> bytes:
        """The bytes that a VALUE of the format stands for."""
        kind, content = self._tagged(value)
        if kind == "json":
            return bytes(JsonContent(content)) if content is not value else JsonContent(content)
        return content

    def expected(self, value: Any, key: str) -> Expectation:
        """What an EXPECT of the format for the output `key` stands for."""
        if isinstance(value, dict) and value.keys() == {"partial"}:
            return Expectation(PARTIAL_JSON, value["partial"])
        kind, content = self._tagged(value)
        if kind == "json":
            return Expectation(EQUAL_JSON, content)
        if kind == "text" and key == ERROR_KEY:
            return Expectation(CONTAINS, content.decode())
        return Expectation(EQUAL_BYTES, content)

    def _tagged(self, value: Any) -> tuple[str, Any]:
        if isinstance(value, str):
            return "text", value.encode()
        if isinstance(value, dict) and len(value) == 1:
            [(tag, content)] = value.items()
            if tag == "json":
                return "json", content
            if tag in ("text", "file", "base64"):
                if not isinstance(content, str):
                    raise CaseFileError(f'{self.where}: the value of "{tag}" must be a string')
                return tag, self._bytes(tag, content)
        return "json", value

    def _bytes(self, tag: str, content: str) -> bytes:
        if tag == "text":
            return content.encode()
        if tag == "base64":
            try:
                return base64.b64decode(content, validate=True)
            except binascii.Error as error:
                raise CaseFileError(f"{self.where}: not base64: {error}") from None
        path = self.path.parent / content
        try:
            return path.read_bytes()
        except OSError as error:
            raise CaseFileError(
                f"{self.where}: file {content!r} cannot be read: {error.strerror}\n  is it in the test's `data`?"
            ) from None

    def _accuracy(self, data: Any, items: int) -> Accuracy:
        fields = self._object(data, "`accuracy`")
        if unknown := sorted(set(fields) - {"output", "select", "labels", "at_least"}):
            raise CaseFileError(f"{self.where}: unknown key {unknown[0]!r} in `accuracy`")
        labels = tuple(tuple(self._list(item, "labels")) for item in self._list(fields.get("labels"), "labels"))
        select = tuple(self._list(fields.get("select"), "select"))
        at_least = fields.get("at_least")
        if not all(isinstance(part, (str, int)) for part in select):
            raise CaseFileError(f'{self.where}: `select` must hold names, indices and "*"')
        if isinstance(at_least, bool) or not isinstance(at_least, (int, float)) or not 0 <= at_least <= 1:
            raise CaseFileError(f"{self.where}: `at_least` must be a fraction from 0 to 1, found {at_least!r}")
        if len(labels) != items or not any(labels):
            raise CaseFileError(f"{self.where}: `labels` must have a list for each of the {items} inputs")
        return Accuracy(str(fields.get("output", OUTPUT_KEY)), select, labels, float(at_least))

    def _object(self, data: Any, what: str) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise CaseFileError(f"{self.where}: {what} must be an object, found {type(data).__name__}")
        return data

    def _list(self, data: Any, name: str) -> list[Any]:
        if not isinstance(data, list):
            raise CaseFileError(f"{self.where}: `{name}` must be a list, found {type(data).__name__}")
        return data
