"""Writes what a model is asked before it is ready: the inputs of case files (docs/testing.md), for the server."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from chassis.command_line.run import run_main
from chassis.errors import ChassisError
from chassis.image_test.case_file import read_cases
from chassis.image_test.tensors import read_declared, with_tensors

_CASE = flags.DEFINE_multi_string("case", None, "A case file.", required=True)
_MODEL = flags.DEFINE_string("model", None, "The model.json, which says what inputs are tensors.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "The file to write.", required=True)


def main(argv: Sequence[str]) -> None:
    """Writes the items of each case, but for those that are expected to fail."""
    del argv
    requests = []
    inputs = read_declared(Path(_MODEL.value)).inputs
    for path in _CASE.value:
        for read in read_cases(Path(path)):
            case = with_tensors(read, inputs)
            items = [item for item, succeeds in zip(case.inputs, case.success, strict=True) if succeeds]
            if not items:
                raise ChassisError(f"{path}: {case.name}: is expected to fail, which does not warm a model up")
            requests.append({"name": case.name, "items": [_encoded(item) for item in items]})
    Path(_OUTPUT.value).write_text(json.dumps({"requests": requests}, indent=1) + "\n")


def _encoded(item: dict[str, bytes]) -> dict[str, str]:
    return {name: base64.b64encode(content).decode() for name, content in item.items()}


if __name__ == "__main__":
    run_main(main)
