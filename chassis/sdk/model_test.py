"""ChassisModel: tried with every kind of input, described, packed."""

import importlib.metadata
import json
import sys
import threading
from pathlib import Path

import cloudpickle
import numpy as np
import pytest

import chassis
from chassis.declaration.kinds import MetadataError
from chassis.packaging.errors import EntryPointError
from chassis.packed_model.model import PackedModelError
from chassis.packed_model.requirements import RequirementError
from chassis.packed_model.saved_package import SaveError
from chassis.sdk.model import ChassisModel, slug
from chassis.sdk.trial import ModelError, ModelTestError

LOADED = []
_SCALE = np.float64(2.0)


def process(content):
    return {"mean": np.frombuffer(content, np.uint8).mean() * _SCALE}


def batch_process(contents):
    return [{"size": len(content), "of": len(contents)} for content in contents]


def mapping_process(item: dict[str, bytes]) -> dict[str, bytes]:
    return {"joined": item["a"] + item["b"]}


def letters(content: bytes):
    yield from content.decode()


async def letters_later(content: bytes):
    for letter in content.decode():
        yield letter


def pieces_of_mappings(item: dict[str, bytes]):
    for word in item["text"].split():
        yield {"word": word}


@pytest.fixture
def sample(tmp_path) -> Path:
    path = tmp_path / "sample.bin"
    path.write_bytes(bytes([1, 3]))
    return path


def test_a_function_of_one_input_is_tried_with_every_kind(sample):
    model = ChassisModel(process_fn=process)
    for given in (sample, str(sample), b"\x01\x03", {"input": sample}):
        assert model.test(given) == [{"results.json": b'{"mean":4.0}'}]
    assert len(model.test([{"input": b"a"}, {"input": b"b"}])) == 2


def test_a_batch_function_is_tried_with_one_and_with_a_batch(sample):
    model = ChassisModel(batch_process_fn=batch_process, batch_size=4)
    assert [json.loads(output["results.json"]) for output in model.test(sample)] == [{"size": 2, "of": 1}]
    assert [json.loads(output["results.json"])["of"] for output in model.test_batch(sample)] == [4, 4, 4, 4]
    five = model.test_batch([{"input": b"x"}] * 5)
    assert [json.loads(output["results.json"])["of"] for output in five] == [4, 4, 4, 4, 1]


def test_a_mapping_function_gets_the_mapping(sample):
    model = ChassisModel(process_fn=mapping_process)
    assert model.test({"a": sample, "b": "!"}) == [{"joined": b"\x01\x03!"}]


def test_a_function_that_streams_is_tried_whole():
    for function in (letters, letters_later):
        assert ChassisModel(process_fn=function).test(b"abc") == [{"results.json": b'["a","b","c"]'}]
    assert ChassisModel(process_fn=pieces_of_mappings).test({"text": b"one two"}) == [{"word": b"onetwo"}]


def test_with_both_functions_each_has_its_test(sample):
    model = ChassisModel(process_fn=process, batch_process_fn=batch_process, batch_size=2)
    assert b"mean" in model.test(sample)[0]["results.json"]
    assert b"size" in model.test_batch(sample)[0]["results.json"]
    assert model.pack().metadata.batch_size == 2


def test_a_model_that_cannot_be_is_refused():
    table = [
        ({}, "needs process_fn, batch_process_fn or both"),
        ({"process_fn": 3}, "process_fn is a int"),
        ({"process_fn": process, "batch_size": 2}, "batch_size is for a batch_process_fn"),
        ({"batch_process_fn": batch_process}, "batch_size is None"),
        ({"batch_process_fn": batch_process, "batch_size": 0}, "batch_size is 0"),
        ({"batch_process_fn": batch_process, "batch_size": True}, "batch_size is True"),
        (
            {"process_fn": mapping_process, "batch_process_fn": batch_process, "batch_size": 2},
            "take different inputs",
        ),
    ]
    for arguments, message in table:
        with pytest.raises(ModelError, match=message):
            ChassisModel(**arguments)


def test_failures_say_the_function_and_keep_their_cause(sample):
    def fails(content):
        raise KeyError("weights")

    with pytest.raises(ModelTestError, match="fails failed: KeyError: 'weights'") as error:
        ChassisModel(process_fn=fails).test(sample)
    assert isinstance(error.value.__cause__, KeyError)
    with pytest.raises(ModelTestError, match="NaN or an infinity"):
        ChassisModel(process_fn=lambda content: float("nan")).test(sample)
    with pytest.raises(ModelTestError, match="returned 1 results for 2 inputs"):
        ChassisModel(batch_process_fn=lambda contents: [1], batch_size=2).test_batch(sample)
    with pytest.raises(ModelTestError, match="no input 'input'; given: 'image'"):
        ChassisModel(process_fn=process).test({"image": sample})
    with pytest.raises(ModelError, match="no batch_process_fn"):
        ChassisModel(process_fn=process).test_batch(sample)


def test_metadata_is_described():
    model = ChassisModel(process_fn=process)
    assert model.metadata.name == "process"
    model.describe(model_name="PyTorch ResNet50 Image Classification", author="a team", required_ram="1G")
    assert model.metadata.name == "pytorch-resnet50-image-classification"
    with pytest.raises(ModelError, match="no 'colour' to set"):
        model.describe(colour="red")
    with pytest.raises(MetadataError, match="required_ram"):
        model.describe(required_ram="much")


def test_names_become_names_of_images():
    table = {
        "PyTorch ResNet50 Image Classification": "pytorch-resnet50-image-classification",
        "batch_process": "batch-process",
        "Digits (v2)!": "digits-v2",
        "  a  b ": "a-b",
        "Image": "image-model",
        "<lambda>": "lambda",
        "Süße Krüge": "sue-kruge",
    }
    for name, expected in table.items():
        assert slug(name) == expected
    with pytest.raises(ModelError, match="at least one letter or digit"):
        slug("→ ✓")


def test_requirements_are_detected_and_added():
    model = ChassisModel(process_fn=process)
    numpy = f"numpy=={importlib.metadata.version('numpy')}"
    assert model.requirements() == [numpy]
    model.add_requirements(["numpy>=2,<3"])
    model.add_requirements("# of the image\npillow==12.0\n")
    assert model.requirements() == ["numpy>=2,<3", "pillow==12.0"]
    with pytest.raises(RequirementError, match="are both for numpy"):
        model.add_requirements("numpy==1")
    assert model.pack().requirements == ("numpy>=2,<3", "pillow==12.0")


def test_a_model_is_shown_as_what_it_is(tmp_path):
    model = ChassisModel(batch_process_fn=batch_process, batch_size=4)
    model.describe(model_name="Sizes", model_version="1.2")
    assert repr(model) == "ChassisModel(sizes 1.2, batches of 4)"
    (tmp_path / "labels.txt").write_text("")
    model.add_file(tmp_path / "labels.txt")
    assert repr(model) == "ChassisModel(sizes 1.2, batches of 4, files labels.txt)"
    assert repr(ChassisModel(process)) == "ChassisModel(process 0.0.1)"


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"inputs": {"input": "json"}}, "'json' is not a media type, expected such as application/json"),
        ({"model_version": "1 0"}, "model_version: '1 0' is not a version, expected letters, digits and . _ + -"),
    ],
)
def test_fields_that_no_image_can_have_say_what_is_right(fields, error):
    with pytest.raises(MetadataError) as raised:
        ChassisModel(process).describe(**fields)
    assert error in str(raised.value)


def test_a_workspace_needs_what_makes_locks_and_says_so(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "packaging", None)
    for name in [name for name in sys.modules if name.startswith(("chassis.locking", "chassis.packed_model.locks"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "packaging.utils", None)
    monkeypatch.setitem(sys.modules, "packaging.tags", None)
    with pytest.raises(SaveError, match="pip install uv packaging"):
        ChassisModel(process).save(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def test_additional_files_are_found_by_data_path(tmp_path, monkeypatch):
    monkeypatch.delenv("CHASSIS_DATA", raising=False)
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "names.txt").write_text("cat\n")

    def named(content):
        return chassis.data_path("labels/names.txt").read_text()

    model = ChassisModel(process_fn=named)
    with pytest.raises(
        ModelTestError, match=r"no data 'labels/names\.txt'(.|\n)*add_file\(…, key='labels/names\.txt'\)"
    ):
        model.test(b"")
    model.add_file(tmp_path / "labels")
    assert model.test(b"") == [{"results.json": b'"cat\\n"'}]
    assert list(model.pack().files) == ["labels/names.txt"]
    with pytest.raises(ModelError, match="no such file"):
        model.add_file(tmp_path / "absent")
    for key in ("../up", "/etc/passwd", "BUILD.bazel", "a/BUILD", "model.pkl", "a b", 'x"]', ".hidden"):
        with pytest.raises(PackedModelError):
            model.add_file(tmp_path / "labels" / "names.txt", key)


def test_only_a_client_publishes():
    with pytest.raises(ModelError, match="has no client"):
        ChassisModel(process_fn=process).publish("A", "0.0.1")


def test_a_function_that_takes_the_request_is_tried_with_one():
    def top(content, request):
        return chassis.Result([request.parameters.get("top", 1), request.id], {"used": True})

    def tops(contents, requests):
        return [request.parameters.get("top", 1) for request in requests]

    model = ChassisModel(process_fn=top, batch_process_fn=tops, batch_size=2)
    asked = chassis.Request("mine", {"top": 3})
    assert model.test(b"x") == [{"results.json": b'[1,""]'}]
    assert model.test(b"x", request=asked) == [{"results.json": b'[3,"mine"]'}]
    assert model.test_batch(b"x", request=asked) == [{"results.json": b"3"}] * 2
    assert ChassisModel(process_fn=top).pack().signature == "bytes"
    with pytest.raises(ModelError, match="process takes no request: give it a second parameter called `request`"):
        ChassisModel(process_fn=process).test(b"x", request=asked)


@pytest.mark.parametrize("loaded", [None, "something"])
def test_a_function_that_is_loaded_first_takes_the_request_too(loaded):
    def top(found, content, request):
        return [found, request.parameters.get("top")]

    model = ChassisModel(top, load_fn=lambda: loaded)
    expected = json.dumps([loaded, 3], separators=(",", ":")).encode()
    assert model.test(b"x", request=chassis.Request(parameters={"top": 3})) == [{"results.json": expected}]


class LoadingWithRequest:
    def predict(self, content, request=None):
        return request.id


def test_a_class_whose_predict_takes_the_request():
    model = ChassisModel(LoadingWithRequest)
    assert model.test(b"x", request=chassis.Request("mine")) == [{"results.json": b'"mine"'}]


def loaded_once():
    LOADED.append(1)
    return {"guard": threading.Lock(), "add": len(LOADED)}


def process_loaded(loaded, content):
    with loaded["guard"]:
        return len(content) + loaded["add"]


def batch_loaded(loaded, contents):
    return [process_loaded(loaded, content) for content in contents]


class Loading:
    """A model that is a class."""

    def load(self):
        self.path = chassis.data_path("word.txt")

    def predict(self, content):
        return self.path.read_text()


def test_what_load_fn_returned_is_what_the_functions_get_first():
    LOADED.clear()
    model = ChassisModel(process_loaded, batch_loaded, 2, load_fn=loaded_once)
    assert model.test(b"ab") == model.test(b"ab") == [{"results.json": b"3"}]
    assert [json.loads(output["results.json"]) for output in model.test_batch(b"ab")] == [4, 4]
    assert len(LOADED) == 2  # for each function once
    assert model.metadata.name == "batch-loaded"
    packed = model.pack()
    assert not [line for line in packed.requirements if line.startswith("chassis")]
    assert cloudpickle.loads(packed.pickle).loaded()([b"abc"]) == [6]  # once more, of what was pickled


def test_a_class_is_made_and_loaded_where_its_data_is(tmp_path):
    (tmp_path / "word.txt").write_text("hello")
    model = ChassisModel(Loading)
    model.add_file(tmp_path / "word.txt")
    assert model.test(b"") == [{"results.json": b'"hello"'}]
    assert model.metadata.name == "loading"


def test_a_load_that_fails_or_does_not_fit_is_named():
    with pytest.raises(
        EntryPointError, match=r"process takes one argument .content., but the model has a function that loads"
    ):
        ChassisModel(process, load_fn=loaded_once)
    with pytest.raises(EntryPointError, match="process must take nothing; it wants: content"):
        ChassisModel(process_loaded, load_fn=process)
    with pytest.raises(EntryPointError, match="what loads is a dict, expected a function"):
        ChassisModel(process_loaded, load_fn={})
    with pytest.raises(ModelTestError, match=r"Loading failed to load: .*word.txt"):
        ChassisModel(Loading).test(b"")
