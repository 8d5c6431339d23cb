"""ONNX: a model that ONNX Runtime runs. What it takes and gives is in the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime

_TYPES = {
    "tensor(bool)": "BOOL",
    "tensor(double)": "FP64",
    "tensor(float)": "FP32",
    "tensor(float16)": "FP16",
    **{f"tensor({sign}int{bits})": f"{sign.upper()}INT{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "tensor(string)": "BYTES",
}


class Loaded(NamedTuple):
    """A session, with the inputs that it takes and the tensors that it gives; whether it takes one item at a time."""

    session: Any
    inputs: list[Any]
    outputs: list[str]
    one: bool


def load(path: Path, outputs: Sequence[str]) -> Loaded:
    """The session of the model in `path`; the server says how many threads each has (`CHASSIS_THREADS`)."""
    # All that there is, a GPU first: of CUDA only if the wheel is onnxruntime-gpu.
    session = onnxruntime.InferenceSession(path, providers=onnxruntime.get_available_providers())
    inputs = session.get_inputs()
    given = [one.name for one in session.get_outputs() if one.type in _TYPES]
    chosen = [name for name in outputs if name in given] or given
    return Loaded(session, inputs, chosen, any(one.shape[:1] == [1] for one in inputs))


def predict(loaded: Loaded, given: Any) -> dict[str, Any]:
    """Each output of the rows of arrays by input, or of a frame, which is one array or has a column for each input."""
    feed = {one.name: _fed(one, given, len(loaded.inputs)) for one in loaded.inputs}
    if not loaded.one:
        return dict(zip(loaded.outputs, loaded.session.run(loaded.outputs, feed), strict=True))
    count = len(next(iter(feed.values())))
    runs = [
        loaded.session.run(loaded.outputs, {name: array[row : row + 1] for name, array in feed.items()})
        for row in range(count)
    ]
    return {name: np.concatenate(parts) for name, parts in zip(loaded.outputs, zip(*runs, strict=True), strict=True)}


def _fed(one: Any, given: Any, inputs: int) -> Any:
    whole = hasattr(given, "columns") and inputs == 1 and one.name not in given
    array = np.asarray(given if whole else given[one.name])
    if _TYPES[one.type] != "BYTES":
        array = array.astype(one.type[7:-1].replace("float16", "f2").replace("double", "f8").replace("float", "f4"))
    return array.reshape(-1, 1) if array.ndim == 1 and len(one.shape) == 2 else array


def describe(path: Path, columns: Sequence[str], inputs: Sequence[str], outputs: Sequence[str]) -> Mapping[str, object]:
    """Its inputs, unless columns are declared, and its outputs, as tensors."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # Else it binds threads to CPUs, and says so where a build may not.
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    given = [one for one in session.get_outputs() if one.type in _TYPES]
    if not given:
        raise ValueError("the model gives no tensor: convert it without maps (skl2onnx: zipmap=False)")
    chosen = [one for one in given if one.name in outputs] or given
    found: dict[str, object] = {"outputs": {one.name: {"tensor": _tensor(one)} for one in chosen}}
    if not columns:
        found["inputs"] = {one.name: {"tensor": _tensor(one)} for one in session.get_inputs()}
        found["signature"] = "arrays"
    return found


def _tensor(one: Any) -> str:
    if one.type not in _TYPES:
        raise ValueError(f"{one.name!r} is a {one.type}, which is not a tensor of the Open Inference Protocol")
    shape = [size if isinstance(size, int) else -1 for size in one.shape]
    if shape[:1] not in ([-1], [1]) or shape[1:].count(-1) > 1:
        raise ValueError(
            f"{one.name!r} has shape {one.shape}: its first axis has to count items, and at most one more may vary; "
            "export it so, or write a function that takes its arrays"
        )
    if _TYPES[one.type] == "BYTES":
        return ""
    return f"{_TYPES[one.type]}[{','.join(map(str, shape[1:]))}]"
