"""Large contents are lifted out of a message before protobuf reads it, and nothing else changes."""

from __future__ import annotations

import random

import pytest
from google.protobuf.message import DecodeError, Message

from chassis.runtime import inference_pb2, omi_pb2
from chassis.runtime.rpc.wire import Lifted, Schema

LEAST = 100


def _run(choices: random.Random) -> omi_pb2.RunRequest:
    request = omi_pb2.RunRequest(explain=bool(choices.getrandbits(1)))
    for _ in range(choices.randrange(4)):
        item = request.inputs.add()
        for name in choices.sample(["a", "b", "é" * 200], choices.randrange(4)):
            item.input[name] = choices.randbytes(choices.choice([0, 5, LEAST, LEAST + 1, 70_000]))
    return request


def _infer(choices: random.Random) -> inference_pb2.ModelInferRequest:
    request = inference_pb2.ModelInferRequest(model_name="m" * choices.choice([1, 300]), id="x")
    for _ in range(choices.randrange(3)):
        given = request.inputs.add(name="input", datatype="BYTES", shape=[choices.randrange(1 << 40)] * 3)
        given.parameters["p"].double_param = 0.5
        contents = [choices.randbytes(choices.choice([0, LEAST, 500])) for _ in range(choices.randrange(3))]
        given.contents.bytes_contents.extend(contents)
        given.contents.fp32_contents.extend([0.5] * choices.choice([0, 200]))
    request.raw_input_contents.extend([choices.randbytes(choices.choice([3, 9000]))] * choices.randrange(3))
    return request


def _put_back(message: Message, lifted: dict[bytes, memoryview]) -> Message:
    if isinstance(message, omi_pb2.RunRequest):
        for item in message.inputs:
            for name in list(item.input):
                item.input[name] = bytes(lifted.pop(item.input[name], item.input[name]))
    else:
        assert isinstance(message, inference_pb2.ModelInferRequest)
        fields = [message.raw_input_contents, *(given.contents.bytes_contents for given in message.inputs)]
        for contents in fields:
            contents[:] = [bytes(lifted.pop(content, content)) for content in contents]
    return message


@pytest.mark.parametrize("made", [_run, _infer])
def test_a_message_without_its_large_contents_and_with_them_again_is_the_same(made) -> None:
    schema = Schema(made(random.Random()).DESCRIPTOR)
    lifted_some = 0
    for seed in range(300):
        message = made(random.Random(seed))
        data = message.SerializeToString()
        found = Lifted(data, schema, LEAST)
        lifted_some += bool(found.contents)
        assert all(len(content) > LEAST for content in found.contents.values())
        assert _put_back(type(message).FromString(found.message), found.contents) == message
        assert not found.contents
    assert lifted_some > 100


@pytest.mark.parametrize("made", [_run, _infer])
def test_what_is_cut_off_is_left_to_the_parser(made) -> None:
    message = next(found for seed in range(100) if 500 < (found := made(random.Random(seed))).ByteSize() < 5000)
    data, schema = message.SerializeToString(), Schema(message.DESCRIPTOR)
    for end in range(len(data)):
        cut = data[:end]
        try:
            expected = type(message).FromString(cut)
        except DecodeError:
            assert Lifted(cut, schema, LEAST).message == cut
        else:
            found = Lifted(cut, schema, LEAST)
            assert _put_back(type(message).FromString(found.message), found.contents) == expected


def test_of_a_name_that_comes_twice_the_last_content_counts() -> None:
    first, second = (omi_pb2.InputItem(input={"a": bytes([number]) * 200}).SerializeToString() for number in (1, 2))
    inner = first + second
    data = b"\x0a" + bytes([len(inner) & 0x7F | 0x80, len(inner) >> 7]) + inner
    found = Lifted(data, Schema(omi_pb2.RunRequest.DESCRIPTOR), LEAST)
    (item,) = omi_pb2.RunRequest.FromString(found.message).inputs
    assert len(found.contents) == 2
    assert bytes(found.contents[item.input["a"]]) == bytes([2]) * 200
