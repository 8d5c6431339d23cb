"""A framework's file is a model by itself: packaged as the build does, and asked over every protocol."""

from __future__ import annotations

import base64
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import joblib
import lightgbm
import numpy as np
import onnx
import onnx.helper
import pandas as pd
import pytest
import xgboost
from PIL import Image
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.preprocessing import StandardScaler

from chassis.declaration.model import ModelMetadata
from chassis.new_workspace.origin import Origin
from chassis.new_workspace.plan import plan, write
from chassis.packaging.errors import EntryPointError, MissingDependencyError
from chassis.packaging.framework_model import Framework, framework_model
from chassis.packaging.packager import Model, package_model
from tests.frameworks.served_file import Serve, infer, inputs, packaged, predictions
from tests.support.http_client import call
from tests.support.running_server import RunningServer

FRAME = pd.DataFrame({"a": [0.0, 1.0, 2.0, np.nan, 4.0] * 20, "b": [1.0, 0.0, 3.0, 2.0, 1.0] * 20})
TARGET = FRAME["a"].fillna(0) * 2 + FRAME["b"]


def test_an_estimator_gives_what_its_methods_give(tmp_path: Path, serve: Serve) -> None:
    rows = FRAME.fillna(0)
    model = LogisticRegression().fit(rows[["b", "a"]], TARGET > 3)
    joblib.dump(model, tmp_path / "m.joblib")
    server = serve(
        "sklearn",
        "m.joblib",
        columns={"a": "FP64", "b": "FP64"},
        outputs={"predict": {"tensor": "BOOL[]"}, "predict_proba": {"tensor": "FP64[2]"}},
    )
    (high, low) = predictions(server, {"a": 9, "b": 9}, [0, 0])
    assert (high["predict"], low["predict"]) == (True, False)
    wanted = model.predict_proba(pd.DataFrame({"b": [9.0], "a": [9.0]}))[0]
    assert high["predict_proba"] == pytest.approx(wanted, abs=1e-12)
    assert infer(server, "input", "FP32", [[9, 9], [0, 0]])["predict"] == [True, False]


def test_an_estimator_of_arrays_has_a_declared_tensor(tmp_path: Path, serve: Serve) -> None:
    joblib.dump(StandardScaler().fit(FRAME.fillna(0).to_numpy()), tmp_path / "m.joblib")
    server = serve("sklearn", "m.joblib", inputs={"x": {"tensor": "FP64[2]"}})
    wanted = StandardScaler().fit(FRAME.fillna(0).to_numpy()).transform([[1, 2]])
    assert predictions(server, [1, 2])[0] == pytest.approx(wanted[0])


def test_a_booster_of_xgboost_says_its_columns(tmp_path: Path, serve: Serve) -> None:
    booster = xgboost.train({"max_depth": 2, "nthread": 1}, xgboost.DMatrix(FRAME, TARGET), 20)
    booster.save_model(tmp_path / "m.ubj")
    server = serve("xgboost", "m.ubj")
    assert inputs(server) == [("a", "FP32", [-1]), ("b", "FP32", [-1])]
    wanted = booster.predict(xgboost.DMatrix(pd.DataFrame({"a": [2, np.nan], "b": [1.0, 2.0]}))).tolist()
    assert predictions(server, {"b": 1, "a": 2}, {"a": None, "b": 2}) == pytest.approx(wanted)
    assert [json.loads(text) for text in infer(server, "input", "FP32", [[2, 1]])["results.json"]] == pytest.approx(
        wanted[:1]
    )


def test_a_booster_of_xgboost_without_names_takes_an_array(tmp_path: Path, serve: Serve) -> None:
    booster = xgboost.train({"max_depth": 2, "nthread": 1}, xgboost.DMatrix(FRAME.to_numpy(), TARGET), 20)
    booster.save_model(tmp_path / "m.json")
    server = serve("xgboost", "m.json", environment={"OMP_NUM_THREADS": "2,1"})
    assert inputs(server) == [("input", "FP32", [-1, 2])]
    wanted = booster.predict(xgboost.DMatrix(np.array([[2.0, 1.0]]))).tolist()
    assert predictions(server, [2, 1]) == pytest.approx(wanted)


def test_a_booster_of_lightgbm_says_its_columns(tmp_path: Path, serve: Serve) -> None:
    parameters = {"min_data_in_leaf": 1, "verbose": -1, "num_threads": 1}
    frame = FRAME.rename(columns={"b": "b c"})
    booster = lightgbm.train(parameters, lightgbm.Dataset(frame, TARGET), 20)
    booster.save_model(tmp_path / "m.txt")
    server = serve("lightgbm", "m.txt")
    assert inputs(server) == [("a", "FP64", [-1]), ("b_c", "FP64", [-1])]
    wanted = booster.predict(np.array([[2.0, 1.0], [np.nan, 2.0]])).tolist()
    assert predictions(server, {"b_c": 1, "a": 2}, {"a": None, "b_c": 2}) == pytest.approx(wanted)


def scaled(shape: Sequence[object], *, second: bool = False) -> bytes:
    """ONNX: `x` times two, and with `second` the same with `y` added."""
    helper = onnx.helper
    kind = onnx.TensorProto.FLOAT
    given = [helper.make_tensor_value_info(name, kind, shape) for name in ("x", "y")[: 1 + second]]
    nodes = [helper.make_node("Add", ["x", "x"], ["double"])]
    results = [helper.make_tensor_value_info("double", kind, shape)]
    if second:
        nodes.append(helper.make_node("Add", ["double", "y"], ["sum"]))
        results.append(helper.make_tensor_value_info("sum", kind, shape))
    model = helper.make_model(
        helper.make_graph(nodes, "g", given, results), opset_imports=[helper.make_opsetid("", 17)], ir_version=9
    )
    return model.SerializeToString()


@pytest.mark.parametrize("first", ["N", 1])
def test_a_model_of_onnx_says_what_it_takes_and_gives(tmp_path: Path, serve: Serve, first: object) -> None:
    (tmp_path / "m.onnx").write_bytes(scaled([first, 3]))
    server = serve("onnx", "m.onnx")
    assert inputs(server) == [("x", "FP32", [-1, 3])]
    assert predictions(server, [1, 2, 3], {"x": [4, 5, 6]}) == [[2, 4, 6], [8, 10, 12]]
    assert infer(server, "x", "INT64", [[1, 2, 3], [4, 5, 6]]) == {"double": [2, 4, 6, 8, 10, 12]}


def test_a_model_of_onnx_with_several_inputs_and_outputs(tmp_path: Path, serve: Serve) -> None:
    (tmp_path / "m.onnx").write_bytes(scaled(["N", "length"], second=True))
    server = serve("onnx", "m.onnx", environment={"OMP_NUM_THREADS": "2,1"})
    instances = [{"x": [1, 2], "y": [1, 1]}, {"x": [1], "y": [5]}]
    assert predictions(server, *instances) == [{"double": [2, 4], "sum": [3, 5]}, {"double": [2], "sum": [7]}]


def test_columns_are_the_one_input_of_a_model_of_onnx(tmp_path: Path, serve: Serve) -> None:
    (tmp_path / "m.onnx").write_bytes(scaled(["N", 2]))
    server = serve("onnx", "m.onnx", columns={"a": "FP64?", "b": "INT64"})
    assert predictions(server, {"a": 1.5, "b": 3}) == [[3, 6]]


@pytest.mark.parametrize(
    ("framework", "content", "fields", "message"),
    [
        ("onnx", scaled(["N", "h", "w"]), {}, "has shape .*: its first axis has to count items, and at most one more"),
        ("onnx", scaled([4]), {}, "has shape .*: its first axis has to count items"),
        ("onnx", b"no", {}, "framework 'onnx', m.file: "),
        ("xgboost", b"no", {}, "framework 'xgboost', m.file: "),
        ("lightgbm", b"no", {}, "framework 'lightgbm', m.file: "),
        ("sklearn", b"no", {}, "framework 'sklearn', m.file: "),
        ("sklearn", None, {}, "declare `columns`.*it was fitted with columns: a, b"),
        ("sklearn", None, {"columns": ("a",)}, "`columns` lacks b; the estimator was fitted with a, b"),
        (
            "sklearn",
            None,
            {"columns": ("a", "b"), "outputs": ("predict", "predict_proba")},
            "a LinearRegression has the methods predict; name outputs as those",
        ),
    ],
)
def test_a_file_that_is_not_what_is_declared_is_an_error_of_the_build(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    framework: str,
    content: bytes | None,
    fields: dict[str, tuple[str, ...]],
    message: str,
) -> None:
    file = tmp_path / "m.file"
    if content is None:
        joblib.dump(LinearRegression().fit(FRAME.fillna(0), TARGET), file)
    else:
        file.write_bytes(content)
    monkeypatch.setenv("CHASSIS_DATA", str(tmp_path))
    declared = {"columns": (), "tensors": (), "outputs": ("results.json",), **fields}
    with pytest.raises(EntryPointError, match=f"(?s){message}"):
        framework_model(Framework(framework, "m.file", **declared))


def test_an_estimator_of_a_class_of_the_training_script_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "m.pkl").write_bytes(b"\x80\x04\x8c\x08__main__\x8c\x05Scale\x93.")
    with pytest.raises(
        EntryPointError, match=r"(?s)m.pkl: Can't .*'Scale'.*put Scale into a module of its own, a py_lib"
    ):
        packaged("sklearn", tmp_path / "m.pkl", columns={"a": "FP64"})


@pytest.mark.parametrize(
    ("framework", "module", "distribution"),
    [
        ("sklearn", "joblib", "joblib"),
        ("sklearn", "sklearn", "scikit_learn"),
        ("xgboost", "xgboost", "xgboost"),
        ("lightgbm", "lightgbm", "lightgbm"),
        ("onnx", "onnxruntime", "onnxruntime"),
    ],
)
def test_a_package_that_is_not_among_deps_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, framework: str, module: str, distribution: str
) -> None:
    joblib.dump(LinearRegression().fit(FRAME.fillna(0), TARGET), tmp_path / "m")
    monkeypatch.setenv("CHASSIS_DATA", str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == module or "chassis.frameworks." in name]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=f'add it to `deps` of the chassis_model: "@pypi//{distribution}"'):
        framework_model(Framework(framework, "m", ("a", "b"), (), ("results.json",)))


_INVERTED = """
from PIL import Image, ImageOps

def predict(pictures: list[Image.Image]) -> list[Image.Image]:
    return [ImageOps.invert(picture.convert("RGB")) for picture in pictures]
"""


def test_a_picture_is_an_image_of_pillow(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(_INVERTED)
    made = package_model(
        Model(
            metadata=ModelMetadata("m", batch_size=4, outputs={"inverted.png": "image/png"}),
            entry_point="model:predict",
            pickle=None,
            package_dir="",
            sources={"model.py": tmp_path / "model.py"},
            data={},
            import_paths=[Path(path) for path in sys.path if path],
        )
    )
    for name, content in (("model.pkl", made.pickle), ("status.pb", made.status), ("model.json", made.settings)):
        (tmp_path / name).write_bytes(content)
    pixels = np.random.default_rng(1).integers(0, 256, (20, 30, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    text = base64.b64encode(buffer.getvalue()).decode()
    with RunningServer(tmp_path) as server:
        server.wait_health("SERVING")
        (found,) = predictions(server, {"b64": text})
        raw = {"name": "input", "datatype": "UINT8", "shape": [1, 20, 30, 3], "data": pixels.flatten().tolist()}
        coded = {"name": "input", "datatype": "BYTES", "shape": [1], "data": [text]}
        coded["parameters"] = {"content_type": "base64"}
        answers = [found["b64"]]
        for tensor in (raw, coded):
            answer = call(server.http_port, "POST", "/v2/models/m/infer", {"inputs": [tensor]})
            assert answer.status == 200, answer.body
            answers += answer.json()["outputs"][0]["data"]
        item, half, no = server.run(buffer.getvalue(), buffer.getvalue()[:900], b"no picture").outputs
    answers.append(base64.b64encode(item.output["inverted.png"]).decode())
    for answer in answers:
        picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(answer))))
        assert (picture == 255 - pixels).all()
    assert b"is not a whole picture" in half.output["error"]
    assert no.output["error"].startswith(b"the input is not a picture of ")


@pytest.mark.parametrize(
    ("framework", "file"), [("lightgbm", "widths.txt"), ("onnx", "iris.onnx"), ("xgboost", "widths.json")]
)
def test_what_a_new_workspace_starts_with_answers_as_its_cases_say(
    tmp_path: Path, serve: Serve, framework: str, file: str
) -> None:
    write(plan(tmp_path / "team", framework, lambda _: Origin("0.1.0", "")).changes)
    package = tmp_path / "team/model"
    (package / file).rename(tmp_path / file)
    server = serve(framework, file)
    (case,) = (json.loads(path.read_text()) for path in package.glob("cases/*.json"))
    if "input" in case:
        assert predictions(server, case["input"]) == pytest.approx([case["output"]])
    else:
        for given, wanted in zip(predictions(server, *case["inputs"]), case["outputs"], strict=True):
            assert given["label"] == wanted["label"]
            assert given["probabilities"] == pytest.approx(wanted["probabilities"], abs=1e-6)
