"""PyTorch: a program that `torch.export` saved (`.pt2`), which says what it takes and gives, or one of TorchScript."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

_TYPES = {"bool": "BOOL", "float16": "FP16", "float32": "FP32", "float64": "FP64"} | {
    f"{sign}int{bits}": f"{sign.upper()}INT{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}
_SAVE = 'torch.export.save(torch.export.export(model.eval(), (x,), dynamic_shapes=({0: Dim.AUTO},)), "model.pt2")'


class Loaded(NamedTuple):
    """A program, with what it took and gave when it was exported (None of TorchScript), and the declared outputs."""

    program: Callable[[list[Any]], Any]
    inputs: dict[str, Any]
    given: Any
    outputs: Sequence[str]


def load(path: Path, outputs: Sequence[str]) -> Loaded:
    """The program in `path`, on the CPU, with as many threads as OpenMP has (`CHASSIS_THREADS`)."""
    outputs = [name for name in outputs if name != "results.json"]  # which nobody declared
    if path.suffix != ".pt2":
        try:
            script = torch.jit.load(path, map_location="cpu").eval()
        except RuntimeError as error:
            raise ValueError(f"neither a program of TorchScript nor a .pt2; to save one: {_SAVE} ({error})") from None
        arguments = script.forward.schema.arguments[1:]
        return Loaded(lambda tensors: script(*tensors), {one.name: None for one in arguments}, None, outputs)
    exported = torch.export.load(path)
    signature, spec, module = exported.graph_signature, exported.call_spec, exported.module()
    made = {node.name: node.meta.get("val") for node in exported.graph.nodes}

    def program(tensors: list[Any]) -> Any:
        positional, named = spec.in_spec.unflatten(tensors)
        return module(*positional, **named)

    given = spec.out_spec.unflatten(made.get(name, name) for name in signature.user_outputs)
    return Loaded(program, {str(name): made.get(name, name) for name in signature.user_inputs}, given, outputs)


def predict(loaded: Loaded, given: Any) -> Any:
    """What the program gives for the rows of arrays by input, or of a frame: one array, or a column for each input."""
    feed = [_fed(name, example, given, len(loaded.inputs)) for name, example in loaded.inputs.items()]
    one = any(example is not None and example.shape[0] == 1 for example in loaded.inputs.values())
    calls = [[tensor[row : row + 1] for tensor in feed] for row in range(len(feed[0]))] if one else [feed]
    with torch.inference_mode():
        runs = [_named(loaded.program(tensors), loaded.outputs) for tensors in calls]
        found = {name: torch.cat([run[name] for run in runs]).numpy() for name in runs[0]}
    return found if len(found) > 1 else next(iter(found.values()))


def _fed(name: str, example: Any, given: Any, inputs: int) -> Any:
    frame = hasattr(given, "columns")
    whole = given if frame else next(iter(given.values()))
    tensor = torch.from_numpy(np.array(whole if inputs == 1 and name not in given else given[name]))
    if example is None:
        return tensor.float() if frame else tensor
    return (tensor.reshape(-1, 1) if tensor.ndim == 1 and example.ndim == 2 else tensor).to(example.dtype)


def _named(found: Any, outputs: Sequence[str]) -> dict[str, Any]:
    """The tensors of a result, of which `outputs` chooses; a tuple has them in that order."""
    if not isinstance(found, Mapping):
        parts = found if isinstance(found, tuple | list) else [found]
        names = outputs if len(outputs) == len(parts) else [f"output_{index}" for index in range(len(parts))]
        found = dict(zip(names, parts, strict=True))
    return {name: found[name] for name in outputs if name in found} or dict(found)


def describe(path: Path, columns: Sequence[str], inputs: Sequence[str], outputs: Sequence[str]) -> Mapping[str, object]:
    """Its inputs, unless columns are declared, and its outputs, as tensors; of TorchScript, that it takes arrays."""
    loaded = load(path, outputs)
    if loaded.given is not None:
        said = {"outputs": _tensors(_named(loaded.given, loaded.outputs))}
        return said if columns else said | {"inputs": _tensors(loaded.inputs), "signature": "arrays"}
    names, declared = list(loaded.inputs), {*columns, *inputs}
    if declared and (len(names) == 1 or declared == {*names}):
        return {} if columns else {"signature": "arrays"}
    example = "tensors = {'input': 'FP32[4]'}" if len(names) == 1 else "`inputs` and `tensors` by these names"
    raise ValueError(f"TorchScript does not say the shapes of {', '.join(names)}: declare {example}")


def _tensors(parts: Mapping[str, Any]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, one in parts.items():
        kind = str(getattr(one, "dtype", one)).removeprefix("torch.")
        shape = [size if isinstance(size, int) else -1 for size in getattr(one, "shape", ())]
        if kind not in _TYPES or shape[:1] not in ([-1], [1]) or shape[1:].count(-1) > 1:
            raise ValueError(f"{name!r} is {kind} {shape}, expected numbers whose first axis counts items; see {_SAVE}")
        found[name] = {"tensor": f"{_TYPES[kind]}[{','.join(map(str, shape[1:]))}]"}
    return found
