"""Every kind of input that a model can be tried with."""

import io

import pytest

from chassis.sdk.inputs import TestInputError, items


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "seven.bin"
    path.write_bytes(b"\x00seven")
    return path


def test_every_kind_gives_the_content_under_the_first_inputs_name(file):
    kinds = {
        "path": file,
        "text that names a file": str(file),
        "bytes": b"\x00seven",
        "bytearray": bytearray(b"\x00seven"),
        "open file": io.BytesIO(b"\x00seven"),
        "text": "\x00seven",
        "open text file": io.StringIO("\x00seven"),
        "mapping": {"image": b"\x00seven"},
        "mapping of a path": {"image": file},
        "list of mappings": [{"image": "\x00seven"}],
    }
    for kind, given in kinds.items():
        assert items(given, "image") == [{"image": b"\x00seven"}], kind


def test_a_list_keeps_its_order_and_its_names():
    assert items([{"a": b"1", "b": "2"}, {"a": "3"}], "input") == [{"a": b"1", "b": b"2"}, {"a": b"3"}]


def test_text_that_can_be_no_path_is_content():
    assert items("x" * 5000, "input") == [{"input": b"x" * 5000}]
    assert items("a\0b", "input") == [{"input": b"a\0b"}]


def test_a_path_without_a_file_is_an_error_and_a_text_that_only_looks_a_little_like_one_is_not(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for path in ("missing.json", "./missing", "../cases/one.png", "cases/one.json", "/no/such/file"):
        with pytest.raises(TestInputError) as raised:
            items(path, "input")
        assert f"{path!r} looks like a path, and there is no such file in {tmp_path}" in str(raised.value)
        assert f"if the text itself is the input: b'{path}'" in str(raised.value)
    for text in ("and/or", "1.5", "read a.json", '{"a": "b.json"}', "example.com", "v1.0", "/", "Mr. Jones"):
        assert items(text, "input") == [{"input": text.encode()}]


def test_what_is_no_input_is_named(tmp_path):
    refusals = [
        (3, "a int is not an input"),
        ([], "the list of inputs is empty"),
        ([b"x"], "input 0 of the list is a bytes"),
        ({}, "the mapping has no input"),
        ({1: b"x"}, "the input name 1 is a int"),
        ({"input": None}, "a NoneType is not an input"),
        (tmp_path / "absent.jpg", "absent.jpg: No such file"),
    ]
    for given, message in refusals:
        with pytest.raises(TestInputError, match=message):
            items(given, "input")
