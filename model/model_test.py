"""Tests of the digits model and its training."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import train

import model as digits

WEIGHTS = "bf7eee1438f2c3fa9092a5ae5eb3a93f99a0a8b1e11065c84e7bc526b32f1f53"
"""SHA-256 of weights.npz: the same on every CPU and with every NumPy."""


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory with weights.npz and accuracy.json, as the build makes them."""
    directory = tmp_path_factory.mktemp("trained")
    _train(directory, {})
    return directory


@pytest.fixture(autouse=True)
def _loaded(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CHASSIS_DATA", str(trained))
    monkeypatch.setattr(digits, "_classifier", None)
    yield


def _train(directory: Path, environment: dict[str, str]) -> None:
    command = [sys.executable, train.__file__, "--output=weights.npz", "--cases_output=accuracy.json"]
    variables = {"PYTHONPATH": ":".join(sys.path), **environment}
    subprocess.run(command, cwd=directory, env=variables, check=True, timeout=120)


def _predictions(answer: object) -> list[dict]:
    return [row["data"]["result"]["classPredictions"][0] for row in answer]  # type: ignore[attr-defined]


def test_training_gives_the_same_bytes_whatever_the_cpu_can_do(trained: Path, tmp_path: Path) -> None:
    assert hashlib.sha256((trained / "weights.npz").read_bytes()).hexdigest() == WEIGHTS
    _train(tmp_path, {"NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F", "OMP_NUM_THREADS": "1", "TZ": "Asia/Tokyo"})
    for name in ("weights.npz", "accuracy.json"):
        assert (tmp_path / name).read_bytes() == (trained / name).read_bytes()


def test_the_held_out_digits_are_recognised(trained: Path) -> None:
    case = json.loads((trained / "accuracy.json").read_text())
    answers = digits.batch_process([json.dumps(item["input"]).encode() for item in case["inputs"]])
    guesses = [[prediction["class"] for prediction in _predictions(answer)] for answer in answers]
    pairs = [
        pair
        for row, labels in zip(guesses, case["accuracy"]["labels"], strict=True)
        for pair in zip(row, labels, strict=True)
    ]
    assert len(pairs) > 300
    assert sum(guess == label for guess, label in pairs) / len(pairs) > 0.96


def test_held_out_digits_are_not_trained_on() -> None:
    pixels, _, held_out, _ = train.split()
    assert len(pixels) + len(held_out) == 1797
    assert len(held_out) == 359


def test_the_answer_has_the_documented_form() -> None:
    (answer,) = digits.batch_process([json.dumps([0] * 64).encode()])
    assert list(answer[0]) == ["data"]
    (prediction,) = _predictions(answer)
    assert isinstance(prediction["class"], int)
    assert 0 < prediction["score"] <= 1
    assert prediction["score"] == round(prediction["score"], 4)


def test_each_input_has_a_prediction_for_each_of_its_rows() -> None:
    _, _, pixels, labels = train.split()
    one, three = pixels[0].tolist(), pixels[1:4].tolist()
    first, second = digits.batch_process([json.dumps(one).encode(), json.dumps(three).encode()])
    assert [prediction["class"] for prediction in _predictions(first) + _predictions(second)] == labels[:4].tolist()


def test_a_batch_gives_what_its_inputs_give_alone() -> None:
    _, _, pixels, _ = train.split()
    inputs = [json.dumps((row + 0.25).tolist()).encode() for row in pixels[:20]]
    assert digits.batch_process(inputs) == [digits.batch_process([content])[0] for content in inputs]


DEFECTS = {
    b"{": "the input is not JSON",
    b"\xff\xfe": "the input is not JSON",
    b"": "the input is not JSON",
    b"3": "expected a list of 64 numbers or a list of such lists, got 3",
    b"[]": "expected a list of 64 numbers",
    b'{"a": 1}': "expected a list of 64 numbers",
    b"[1, 2]": "row 0 has 2 numbers, expected 64",
    json.dumps([[0] * 64, [0] * 65]).encode(): "row 1 has 65 numbers, expected 64",
    json.dumps([[0] * 64, 5]).encode(): "row 1: expected a list of 64 numbers, got 5",
    json.dumps([0] * 63 + ["x"]).encode(): 'row 0, pixel 63: expected a number, got "x"',
    json.dumps([0] * 63 + [True]).encode(): "row 0, pixel 63: expected a number, got true",
    json.dumps([None] + [0] * 63).encode(): "row 0, pixel 0: expected a number, got null",
    json.dumps([float("nan")] + [0] * 63).encode(): "row 0, pixel 0 is NaN, expected 0 to 16",
    json.dumps([float("inf")] + [0] * 63).encode(): "row 0, pixel 0 is Infinity",
    json.dumps([1e300] + [0] * 63).encode(): r"row 0, pixel 0 is 1e\+300",
    b"[" * 100_000: "the input is not JSON",
}


@pytest.mark.parametrize("content", DEFECTS, ids=lambda content: content[:20].decode("latin-1"))
def test_a_malformed_input_is_a_value_error_that_names_the_defect(content: bytes) -> None:
    with pytest.raises(ValueError, match=DEFECTS[content]):
        digits.batch_process([content])


def test_numpy_computes_where_no_gpu_answers_and_the_log_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    try:
        import cupy

        if cupy.cuda.runtime.getDeviceCount():
            pytest.skip("a GPU answers here")
    except Exception:
        pass
    with caplog.at_level("INFO", "digits"):
        for _ in range(3):
            digits.batch_process([json.dumps([0] * 64).encode()])
    assert len([record for record in caplog.records if "NumPy computes" in record.message]) == 1


def test_the_classifier_takes_any_array_module() -> None:
    """The operations that a CuPy lacks, or that want cuBLAS, are not among those that are used."""
    used = set()

    class Recording:
        def __getattr__(self, name: str) -> object:
            used.add(name)
            return getattr(np, name)

    with np.load(digits.chassis.data_path("weights.npz")) as weights:
        classifier = digits.Classifier(Recording(), dict(weights))  # type: ignore[arg-type]
    classifier.classify(np.zeros((2, 64)))
    assert used <= {"asarray", "stack", "exp"}
