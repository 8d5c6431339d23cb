"""`tensors` of chassis_model in Starlark, which refuses at analysis, and in Python: they take the same texts."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from chassis.declaration.kinds import MetadataError
from chassis.declaration.tensor import NUMERIC, parse_tensor
from tests.locks.starlark_module import load

_CHECK = load(Path(os.environ["MODEL_ATTRIBUTES"])).model_attributes.check

_SIZES = ["-1", "0", "1", "007", "224", "999999999", "1000000000", "-2", "x", "", " 3 ", "3.0"]
_SHAPES = [",".join(sizes) for count in range(4) for sizes in itertools.product(_SIZES, repeat=count)]
_DATATYPES = [*NUMERIC, "BYTES", "FP8", "fp32", ""]
_FORMS = ["{}[{}]", "{}[{}", "{}{}]", "{}[{}]]", "{}"]


def _starlark_takes(text: str) -> bool:
    problem = _CHECK(
        entry_point="model:predict",
        pickle=None,
        srcs=["model.py"],
        batch_size=0,
        signature="auto",
        inputs={"row": "application/octet-stream"},
        outputs={"results.json": "application/json"},
        pickle_on="exec",
        tensors={"row": text},
    )
    return problem is None


def _python_takes(text: str) -> bool:
    try:
        parse_tensor(text)
    except MetadataError:
        return False
    return True


def test_starlark_and_python_take_the_same_tensors() -> None:
    """Every shape of up to three sizes for one datatype, and every datatype and form with some shapes."""
    texts = {f"FP32[{shape}]" for shape in _SHAPES}
    texts |= {form.format(*each) for form in _FORMS for each in itertools.product(_DATATYPES, ["", "3", "-1", "3,224"])}
    taken = {text for text in texts if text and _starlark_takes(text)}
    assert taken == {text for text in texts if text and _python_takes(text)}
    assert {"FP32[224,-1]", "INT64[]", "BYTES"} <= taken
    assert {"FP32[-1,-1]", "FP32[3", "FP8[3]"} & taken == set()
