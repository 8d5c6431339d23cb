"""Tests of the metadata file, and of what its values may be."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from chassis.declaration.kinds import MetadataError
from chassis.declaration.metadata_file import read_metadata
from chassis.declaration.model_io import ModelInput, ModelOutput
from chassis.declaration.quantity import parse_duration, parse_size
from chassis.declaration.tensor import parse_tensor

SIZES = {"10M": 10 << 20, "10 MB": 10 << 20, "1.5GiB": 3 << 29, "512k": 512 << 10, "100": 100, "7B": 7, "": None}
DURATIONS = {"60s": 60, "500ms": 0.5, "2m": 120, "1h": 3600, "60": 60, "1.5s": 1.5}


@pytest.mark.parametrize("text", SIZES)
def test_sizes(text: str) -> None:
    assert parse_size(text) == SIZES[text]


@pytest.mark.parametrize("text", DURATIONS)
def test_durations(text: str) -> None:
    assert parse_duration(text) == DURATIONS[text]


TENSORS = {
    "FP32[3,-1]": ("FP32", (3, -1)),
    "INT64[ 2, 2 ]": ("INT64", (2, 2)),
    "BOOL[]": ("BOOL", ()),
    "UINT8": ("UINT8", ()),
    "BYTES": ("BYTES", ()),
    "": ("BYTES", ()),
}


@pytest.mark.parametrize("text", TENSORS)
def test_tensors(text: str) -> None:
    assert parse_tensor(text) == TENSORS[text]


@pytest.mark.parametrize(
    "text", ["float32", "FP32[", "FP32[3,]", "FP32[0]", "FP32[-2]", "FP32[-1,-1]", "BYTES[1]", "[3]"]
)
def test_what_is_no_tensor_is_named(text: str) -> None:
    with pytest.raises(MetadataError, match=f"inputs: '{re.escape(text)}' is not a tensor"):
        parse_tensor(text, "inputs")


@pytest.mark.parametrize("text", ["M", "-1M", "10X", "1e3", "ten"])
def test_what_is_no_size_is_named(text: str) -> None:
    with pytest.raises(MetadataError, match=f"max_size: '{text}' is not a size"):
        parse_size(text, "max_size")


@pytest.mark.parametrize("text", ["", "s", "-1s", "0s", "1 day"])
def test_what_is_no_duration_is_named(text: str) -> None:
    with pytest.raises(MetadataError, match=r"run_timeout: .* is not a duration"):
        parse_duration(text, "run_timeout")


def test_a_file_is_read_with_its_order(tmp_path: Path) -> None:
    path = tmp_path / "metadata.json"
    path.write_text(
        json.dumps(
            {
                "name": "m",
                "batch_size": 4,
                "inputs": {"z": {"media_type": "image/png", "max_size": "10M"}, "a": {}},
                "num_cpus": 0.5,
                "servers": ["omi"],
            }
        )
    )
    metadata = read_metadata(path)
    assert metadata.inputs == (ModelInput("z", "image/png", "10M"), ModelInput("a"))
    assert metadata.outputs == (ModelOutput("results.json", "application/json"),)
    assert (metadata.num_cpus, metadata.servers) == (0.5, ("omi",))


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({}, "name is missing"),
        ({"name": ""}, "name is empty"),
        ({"name": "m", "versoin": "1"}, "unknown key 'versoin'"),
        ({"name": "m", "batch_size": "4"}, "batch_size: '4' is of the wrong type"),
        ({"name": "m", "batch_size": True}, "batch_size: True is of the wrong type"),
        ({"name": "m", "batch_size": -1}, "batch_size is -1"),
        ({"name": "m", "inputs": {}}, "inputs: a model needs at least one"),
        ({"name": "m", "inputs": {"x": {"max_size": "huge"}}}, "inputs, 'x': max_size: 'huge' is not a size"),
        ({"name": "m", "inputs": {"x": {"size": "1M"}}}, "inputs, 'x': unknown key 'size'"),
        ({"name": "m", "inputs": {"x": {"tensor": "FP8[2]"}}}, "inputs, 'x': tensor: 'FP8\\[2\\]' is not a tensor"),
        ({"name": "m", "queue_size": 0}, "queue_size is 0"),
        ({"name": "m", "max_wait_ms": -1}, "max_wait_ms is -1"),
        ({"name": "m", "outputs": {"error": {}}}, "the name under which OMI reports a failed item"),
        ({"name": "m", "run_timeout": "soon"}, "run_timeout: 'soon' is not a duration"),
        ({"name": "m", "servers": ["omi", "v3"]}, "servers: 'v3' is not one of omi, v2-grpc, v2-http, v1-http"),
        ({"name": "m", "servers": []}, "servers: name at least one"),
        ({"name": "m", "num_cpus": float("inf")}, "num_cpus is inf"),
        ({"name": "m", "num_gpus": 1 << 31}, "num_gpus is 2147483648"),
        ({"name": "m", "inputs": {"": {}}}, "inputs, '': the name is empty"),
        ({"name": "m", "inputs": {"x": {"media_type": 1}}}, "inputs, 'x': media_type: 1 is of the wrong type"),
        (
            {"name": "m", "inputs": {"x": {"max_size": "1M"}}, "outputs": {"x": {}}},
            "'x' is an input and an output, of which max_size is '1M' and ''",
        ),
        ([], "expected an object"),
    ],
)
def test_a_defect_names_file_and_key(tmp_path: Path, document: object, reason: str) -> None:
    path = tmp_path / "metadata.json"
    path.write_text(json.dumps(document))
    with pytest.raises(MetadataError, match=reason) as caught:
        read_metadata(path)
    assert str(path) in str(caught.value)
