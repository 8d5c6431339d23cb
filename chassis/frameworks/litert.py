"""LiteRT (TensorFlow Lite): a `.tflite` file, which says what it takes and gives."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ai_edge_litert.interpreter import Interpreter

_TYPES = {"bool": "BOOL", "float16": "FP16", "float32": "FP32", "float64": "FP64"} | {
    f"{sign}int{bits}": f"{sign.upper()}INT{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}


class Loaded(NamedTuple):
    """An interpreter, with the details of its inputs and outputs by name; whether it takes one item at a time."""

    interpreter: Any
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    one: bool


def load(path: Path, outputs: Sequence[str]) -> Loaded:
    """The interpreter of the model in `path`, with as many threads as OpenMP would have (`CHASSIS_THREADS`)."""
    threads = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()  # OpenMP takes one for each level: `2,1`
    interpreter = Interpreter(model_path=str(path), num_threads=int(threads if threads.isdecimal() else 0) or None)
    inputs, given = _details(interpreter)
    chosen = {name: given[name] for name in outputs if name in given} or given
    return Loaded(interpreter, inputs, chosen, any(_shape(one)[:1] == [1] for one in inputs.values()))


def _details(interpreter: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs and outputs by name: those of a signature, if the file has one, are what the model's author wrote."""
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    for signature in interpreter.get_signature_list():
        runner = interpreter.get_signature_runner(signature)
        named: tuple[dict[str, Any], dict[str, Any]] = runner.get_input_details(), runner.get_output_details()
        if {one["index"] for one in named[0].values()} == {one["index"] for one in inputs}:
            return named
    return {one["name"]: one for one in inputs}, {one["name"]: one for one in outputs}


def _shape(one: Any) -> list[int]:
    """The shape of the file, with -1 for a size that varies."""
    declared = one["shape_signature"] if len(one["shape_signature"]) else one["shape"]
    return [int(size) for size in declared]


def predict(loaded: Loaded, given: Any) -> dict[str, Any]:
    """Each output of the rows of arrays by input, or of a frame, which is one array or has a column for each input."""
    feed = {name: _fed(name, one, given, len(loaded.inputs)) for name, one in loaded.inputs.items()}
    if not loaded.one:
        return _run(loaded, feed)
    rows = range(len(next(iter(feed.values()))))
    runs = [_run(loaded, {name: array[row : row + 1] for name, array in feed.items()}) for row in rows]
    return {name: np.concatenate([run[name] for run in runs]) for name in loaded.outputs}


def _fed(name: str, one: Any, given: Any, inputs: int) -> Any:
    whole = hasattr(given, "columns") and inputs == 1 and name not in given
    array = np.asarray(given if whole else given[name]).astype(one["dtype"])
    return array.reshape(-1, 1) if array.ndim == 1 and len(one["shape"]) == 2 else array


def _run(loaded: Loaded, feed: Mapping[str, Any]) -> dict[str, Any]:
    interpreter = loaded.interpreter
    for name, one in loaded.inputs.items():
        interpreter.resize_tensor_input(one["index"], feed[name].shape)
    interpreter.allocate_tensors()
    for name, one in loaded.inputs.items():
        interpreter.set_tensor(one["index"], feed[name])
    interpreter.invoke()
    return {name: interpreter.get_tensor(one["index"]) for name, one in loaded.outputs.items()}


def describe(path: Path, columns: Sequence[str], inputs: Sequence[str], outputs: Sequence[str]) -> Mapping[str, object]:
    """Its inputs, unless columns are declared, and its outputs, as tensors."""
    loaded = load(path, outputs)
    found: dict[str, object] = {
        "outputs": {name: {"tensor": _tensor(name, one)} for name, one in loaded.outputs.items()}
    }
    if not columns:
        found["inputs"] = {name: {"tensor": _tensor(name, one)} for name, one in loaded.inputs.items()}
        found["signature"] = "arrays"
    return found


def _tensor(name: str, one: Any) -> str:
    kind, shape = _TYPES.get(np.dtype(one["dtype"]).name), _shape(one)
    if kind is None or shape[:1] not in ([-1], [1]) or shape[1:].count(-1) > 1:
        raise ValueError(
            f"{name!r} is {np.dtype(one['dtype']).name} {shape}: its first axis has to count items, at most one "
            "more may vary, and its elements are numbers; write a function that takes its arrays"
        )
    return f"{kind}[{','.join(map(str, shape[1:]))}]"
