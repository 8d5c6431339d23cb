"""Each field of a model's declaration reaches the image: none is dropped on the way."""

from __future__ import annotations

import ast
import json
import os
from pathlib import Path

import pytest

from chassis.declaration.declared import Field
from chassis.declaration.model import ModelMetadata
from chassis.declaration.model_io import ModelInput, ModelOutput
from chassis.declaration.model_json import read_served
from chassis.packaging.description import status_response
from chassis.packed_model.build_file import build_file
from chassis.runtime import omi_pb2

EVERYTHING = ModelMetadata(
    "everything",
    model_name="Every Thing",
    model_version="1.2.3",
    author="a team",
    source="of a test",
    model_type="search",
    summary="a model that says all",
    details="more",
    technical="it compares",
    performance="good",
    batch_size=4,
    inputs=(ModelInput("row", "application/x-row", "10M", "", "a row of pixels"),),
    outputs=(ModelOutput("nearest", "application/x-nearest", "1K", "INT64[]", "the nearest row", ("the only one",)),),
    columns={"red": "FP32", "name": "TEXT?"},
    required_ram="1G",
    num_cpus=0.5,
    num_gpus=1,
    status_timeout="6s",
    run_timeout="1500ms",
    load_timeout="5m",
    drain_timeout="11s",
    max_wait_ms=2.5,
    queue_size=7,
    request_headers=("x-tenant", "accept-language"),
    servers=("omi", "v2-http"),
)

OF_AN_IMAGE = {"servers"}
"""Fields that are not an attribute of chassis_model: several images of one model may start different front ends."""

OF_A_MODEL = [one for one in ModelMetadata.FIELDS if one.name not in OF_AN_IMAGE]
PART_ATTRIBUTES = {"media_type": ("chassis_model.inputs", "chassis_model.outputs")}


def _rules(text: str) -> dict[str, dict[str, object]]:
    """Attributes of the rules of a BUILD file, by rule; Starlark's calls of literals are Python's."""
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            name = ast.unparse(node.value.func)
            if name in ("chassis_model", "chassis_image"):
                found[name] = {str(key.arg): ast.literal_eval(key.value) for key in node.value.keywords}
    return found


WRITTEN = _rules(build_file(EVERYTHING, (), (), "json"))
BUILT = _rules(Path(os.environ["BUILD_FILE"]).read_text())


def model_file(name: str) -> bytes:
    return Path(os.environ["MODEL_PICKLE"]).with_name(name).read_bytes()


@pytest.mark.parametrize("field", ModelMetadata.FIELDS, ids=lambda field: field.name)
def test_the_model_of_this_test_says_something_in_every_field(field: Field) -> None:
    assert getattr(EVERYTHING, field.name) != field.default, f"give {field.name} a value in EVERYTHING and BUILD.bazel"
    assert field.doc


@pytest.mark.parametrize("field", OF_A_MODEL, ids=lambda field: field.name)
def test_a_field_is_an_attribute_of_chassis_model(field: Field) -> None:
    rule, _, attribute = field.attribute.partition(".")
    assert rule == "chassis_model"
    assert attribute in WRITTEN[rule]


@pytest.mark.parametrize("name", sorted(OF_AN_IMAGE))
def test_a_field_that_is_none_is_an_attribute_of_chassis_image(name: str) -> None:
    (field,) = (one for one in ModelMetadata.FIELDS if one.name == name)
    rule, _, attribute = field.attribute.partition(".")
    assert rule == "chassis_image"
    assert attribute in WRITTEN[rule]


@pytest.mark.parametrize("field", ModelOutput.FIELDS[1:], ids=lambda field: field.name)
def test_what_is_said_of_an_output_is_an_attribute_of_chassis_model(field: Field) -> None:
    for attribute in PART_ATTRIBUTES.get(field.name, (field.attribute,)):
        assert attribute.partition(".")[2] in WRITTEN["chassis_model"]


def test_the_build_file_here_says_what_the_sdk_writes() -> None:
    code = ("srcs", "entry_point", "pickle", "deps")
    for rule, attributes in WRITTEN.items():
        assert {key: value for key, value in BUILT[rule].items() if key not in code} == {
            key: value for key, value in attributes.items() if key not in code
        }


def test_every_served_field_is_in_the_image() -> None:
    document = json.loads(model_file("model.json"))
    served = read_served(document)
    for one in ModelMetadata.FIELDS:
        if one.served and one.name not in OF_AN_IMAGE:
            assert one.kind.served(getattr(EVERYTHING, one.name)) == document[one.served], one.name
    for key, parts in (("inputs", EVERYTHING.inputs), ("outputs", EVERYTHING.outputs)):
        # A description is in the Status alone.
        assert served[key] == tuple(part.replace(description="") for part in parts)
    assert document["signature"] == "json"


def test_every_field_with_a_place_in_the_status_is_there() -> None:
    status = omi_pb2.StatusResponse.FromString(model_file("status.pb"))
    assert status == status_response(EVERYTHING)
    for one in ModelMetadata.FIELDS:
        message, _, key = one.status.partition(".")
        if key:
            assert getattr(getattr(status, message), key) == getattr(EVERYTHING, one.name), one.name
    assert [(part.filename, part.description) for part in (*status.inputs, *status.outputs)] == [
        ("row", "a row of pixels"),
        ("nearest", "the nearest row"),
    ]


def test_a_field_reaches_the_server_or_the_status() -> None:
    assert not [one.name for one in ModelMetadata.FIELDS if not one.served and not one.status]


def test_the_image_starts_the_front_ends_that_were_declared() -> None:
    layout = Path(os.environ["IMAGE"])

    def blob(digest: str) -> dict[str, object]:
        return json.loads((layout / "blobs" / digest.replace(":", "/")).read_bytes())

    index = json.loads((layout / "index.json").read_bytes())
    config = blob(blob(index["manifests"][0]["digest"])["config"]["digest"])  # type: ignore[index]
    assert f"CHASSIS_SERVERS={','.join(EVERYTHING.servers)}" in config["config"]["Env"]  # type: ignore[index]


def test_what_travels_as_json_comes_back() -> None:
    assert ModelMetadata.parse(json.loads(json.dumps(EVERYTHING.document()))) == EVERYTHING
