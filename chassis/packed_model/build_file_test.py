"""The BUILD and MODULE files of a saved model."""

import ast
from pathlib import Path

from chassis.declaration.model import ModelMetadata
from chassis.declaration.model_io import ModelInput
from chassis.packed_model.build_file import build_file, module_file, pickle_place


def _calls(text: str) -> dict[str, dict[str, object]]:
    """Name of a target to the literal attributes of its rule; Starlark's calls of literals are Python's."""
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and node.value.keywords:
            attributes = {keyword.arg: ast.literal_eval(keyword.value) for keyword in node.value.keywords}
            found[attributes.get("name", ast.unparse(node.value.func))] = attributes
    return found


def test_a_plain_model_has_what_differs_from_the_defaults():
    text = build_file(ModelMetadata("digits", model_version="0.0.1"), ["numpy==2.4.6", "Scikit_Learn"], ["w.npz"])
    assert _calls(text)["digits"] == {
        "name": "digits",
        "data": ["w.npz"],
        "inputs": {"input": "application/octet-stream"},
        "outputs": {"results.json": "application/json"},
        "model_name": "digits",
        "pickle": "model.pkl",
        "version": "0.0.1",
        "deps": ["@pypi//numpy", "@pypi//scikit_learn"],
    }
    assert _calls(text)["image"] == {"name": "image", "model": ":digits"}
    assert text.count("load(") == 1


def test_every_field_that_a_target_takes_is_written():
    metadata = ModelMetadata(
        "m",
        model_name="M",
        model_version="1.2",
        author="a team",
        summary="s",
        queue_size=7,
        details="d",
        batch_size=4,
        inputs=(ModelInput("image", "image/jpeg", "10M", tensor="FP32[3,-1]"),),
        required_ram="1G",
        num_cpus=2,
        num_gpus=1,
        run_timeout="5s",
        status_timeout="6s",
    )
    attributes = _calls(build_file(metadata, [], [], "mapping", "wheels"))["m"]
    for name, value in {
        "author": "a team",
        "batch_size": 4,
        "details": "d",
        "max_sizes": {"image": "10M"},
        "num_cpus": 2,
        "num_gpus": 1,
        "required_ram": "1G",
        "queue_size": 7,
        "run_timeout": "5s",
        "signature": "mapping",
        "status_timeout": "6s",
        "summary": "s",
        "tensors": {"image": "FP32[3,-1]"},
        "deps": [],
    }.items():
        assert attributes[name] == value


def test_texts_stay_texts_whatever_they_hold():
    hostile = '"]) + native.genrule(cmd="touch /x") # \\" \n\r\t\x00\x7f é 漢'
    metadata = ModelMetadata(
        "m", model_name=hostile, summary=hostile, inputs=(ModelInput(hostile, description=hostile),)
    )
    text = build_file(metadata, ["numpy"], [])
    attributes = _calls(text)["m"]
    assert attributes["model_name"] == attributes["summary"] == hostile
    assert attributes["inputs"] == {hostile: "application/octet-stream"}
    assert attributes["descriptions"] == {hostile: hostile}
    assert set(_calls(text)) == {"m", "image", "push", "package"}
    assert "\\x" not in text
    assert "\\u" not in text


def test_images_of_platforms_have_targets_of_their_own():
    calls = _calls(build_file(ModelMetadata("m"), [], [], platforms=["arm64", "arm64_gpu"]))
    assert calls["image_arm64_gpu"]["platform"] == "@chassis//platforms:arm64_gpu"
    assert "image_amd64" not in calls


def test_a_workspace_names_chassis_and_its_locks():
    calls = _calls(module_file(["linux_arm64", "linux_amd64"], Path("/opt/chassis"), "wheels"))
    assert calls["local_path_override"] == {"module_name": "chassis", "path": "/opt/chassis"}
    assert calls["wheels"]["locks"] == {
        "//requirements:linux_amd64.txt": "linux_amd64",
        "//requirements:linux_arm64.txt": "linux_arm64",
    }
    assert "local_path_override" not in module_file([], None)


CUDA = "torch==2.9.1 --hash=sha256:0\n# a wheel\nnvidia-cublas-cu12==12.8.4.1 --hash=sha256:0\n"
PICKLED = {
    (("arm64",), CUDA): "target",
    (("arm64", "arm64_gpu"), CUDA): "target",
    (("amd64", "arm64"), CUDA): "exec",
    (("amd64_gpu",), CUDA): "exec",
    (("arm64",), "numpy==2.4.6\n    # via nvidia-cublas-cu12\n"): "exec",
}


def test_no_cuda_is_fetched_for_the_build_machine_that_no_image_has():
    for (platforms, lock), place in PICKLED.items():
        assert pickle_place(platforms, lock) == place, platforms
        attributes = _calls(build_file(ModelMetadata("m"), [], [], pickle_on=place))["m"]
        assert attributes.get("pickle_on", "exec") == place
