"""A program of PyTorch is a model by itself: what a .pt2 says, what of TorchScript is declared, what both answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.export import Dim

from chassis.packaging.errors import EntryPointError
from chassis.packaging.framework_model import Framework, framework_model
from tests.frameworks.served_file import Serve, infer, inputs, predictions

FLOWERS = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]


class Net(torch.nn.Module):
    """Two scores of four lengths, given as `shape` says."""

    def __init__(self, shape: str = "tensor") -> None:
        super().__init__()
        self.shape = shape
        self.layer = torch.nn.Linear(4, 2)
        self.layer.weight = torch.nn.Parameter(torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]]))
        self.layer.bias = torch.nn.Parameter(torch.tensor([0.6, -0.7]))

    def forward(self, lengths: torch.Tensor):
        scores = self.layer(lengths)
        if self.shape == "dict":
            return {"scores": scores, "best": scores.argmax(1)}
        return (scores, scores.argmax(1)) if self.shape == "tuple" else scores


class Scaled(torch.nn.Module):
    """Two inputs, the second by its name alone."""

    def forward(self, x: torch.Tensor, *, factor: torch.Tensor) -> torch.Tensor:
        return x * factor[:, None]


def save(
    module: torch.nn.Module, path: Path, *examples: torch.Tensor, many: bool = True, **named: torch.Tensor
) -> None:
    varies = {0: Dim.AUTO}
    dynamic = (*(varies for _ in examples),) if many and not named else None
    if many and named:
        dynamic = {"x": varies, **dict.fromkeys(named, varies)}
    torch.export.save(torch.export.export(module.eval(), examples, named, dynamic_shapes=dynamic), path)


def want(rows: list[list[float]]) -> list[list[float]]:
    return [[row[2] + row[3] + 0.6, -0.7] for row in rows]


@pytest.mark.parametrize("many", [True, False], ids=["batch", "one"])
def test_an_exported_program_says_what_it_takes_and_gives(tmp_path: Path, serve: Serve, many: bool) -> None:
    save(Net(), tmp_path / "m.pt2", torch.zeros(2 if many else 1, 4), many=many)
    server = serve("torch", "m.pt2")
    assert inputs(server) == [("lengths", "FP32", [-1, 4])]
    answered = infer(server, "lengths", "FP64", FLOWERS)
    assert answered["output_0"] == pytest.approx(np.ravel(want(FLOWERS)), abs=1e-5)
    assert predictions(server, {"lengths": FLOWERS[1]})[0] == pytest.approx(want(FLOWERS)[1], abs=1e-5)


@pytest.mark.parametrize("shape", ["tuple", "dict"])
def test_outputs_are_named_by_the_program_or_by_the_declaration(tmp_path: Path, serve: Serve, shape: str) -> None:
    save(Net(shape), tmp_path / "m.pt2", torch.zeros(2, 4))
    outputs = {"scores": {"tensor": "FP32[2]"}, "best": {"tensor": "INT64[]"}}
    answered = infer(serve("torch", "m.pt2", outputs=outputs), "lengths", "FP32", FLOWERS)
    assert answered["scores"] == pytest.approx(np.ravel(want(FLOWERS)), abs=1e-5)
    assert answered["best"] == [0, 0]


def test_a_declared_output_leaves_the_others_out(tmp_path: Path, serve: Serve) -> None:
    save(Net("dict"), tmp_path / "m.pt2", torch.zeros(2, 4))
    answered = infer(serve("torch", "m.pt2", outputs={"best": {"tensor": "INT64[]"}}), "lengths", "FP32", FLOWERS)
    assert answered == {"best": [0, 0]}


def test_an_input_may_be_one_by_name_alone(tmp_path: Path, serve: Serve) -> None:
    save(Scaled(), tmp_path / "m.pt2", torch.zeros(2, 3), factor=torch.ones(2))
    server = serve("torch", "m.pt2")
    assert inputs(server) == [("x", "FP32", [-1, 3]), ("factor", "FP32", [-1])]
    assert predictions(server, {"x": [1, 2, 3], "factor": 2}) == [[2, 4, 6]]


@pytest.mark.parametrize("traced", [True, False], ids=["traced", "scripted"])
def test_what_torchscript_takes_is_declared(tmp_path: Path, serve: Serve, traced: bool) -> None:
    module = Net().eval()
    made = torch.jit.trace(module, torch.zeros(2, 4)) if traced else torch.jit.script(torch.nn.Sequential(module.layer))
    made.save(str(tmp_path / "m.pt"))
    server = serve("torch", "m.pt", inputs={"lengths": {"tensor": "FP32[4]"}})
    assert inputs(server) == [("lengths", "FP32", [-1, 4])]
    assert predictions(server, {"lengths": FLOWERS[0]})[0] == pytest.approx(want(FLOWERS)[0], abs=1e-5)


@pytest.mark.parametrize("file", ["m.pt2", "m.pt"])
def test_columns_are_the_one_input(tmp_path: Path, serve: Serve, file: str) -> None:
    if file == "m.pt2":
        save(Net(), tmp_path / file, torch.zeros(2, 4))
    else:
        torch.jit.trace(Net().eval(), torch.zeros(2, 4)).save(str(tmp_path / file))
    server = serve("torch", file, columns={name: "FP64" for name in "abcd"})
    rows = [dict(zip("abcd", flower, strict=True)) for flower in FLOWERS]
    assert predictions(server, *rows) == [pytest.approx(row, abs=1e-5) for row in want(FLOWERS)]


def described(path: Path, monkeypatch: pytest.MonkeyPatch, *, inputs: tuple[str, ...] = ()) -> None:
    monkeypatch.setenv("CHASSIS_DATA", str(path.parent))
    framework_model(Framework("torch", path.name, (), inputs, ("results.json",)))


def test_a_file_of_weights_alone_is_an_error_of_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(Net().state_dict(), tmp_path / "m.pt")
    with pytest.raises(
        EntryPointError, match=r"m\.pt: neither a program of TorchScript nor a \.pt2; to save one: torch"
    ):
        described(tmp_path / "m.pt", monkeypatch)


def test_torchscript_without_a_declaration_names_what_to_declare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.jit.trace(Net().eval(), torch.zeros(2, 4)).save(str(tmp_path / "m.pt"))
    with pytest.raises(EntryPointError, match=r"shapes of lengths: declare tensors = \{'input': 'FP32\[4\]'\}"):
        described(tmp_path / "m.pt", monkeypatch)


def test_a_first_axis_that_counts_nothing_is_an_error_of_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(Net(), tmp_path / "m.pt2", torch.zeros(3, 4), many=False)
    with pytest.raises(EntryPointError, match=r"'output_0' is float32 \[3, 2\], expected numbers whose first axis"):
        described(tmp_path / "m.pt2", monkeypatch)
