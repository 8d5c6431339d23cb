"""Tests of models that load something in the image, and of what is said of those that should."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chassis.packaging.data_reads import MIN_BYTES
from chassis.packaging.sample_models import call, package

LOADING = """
import threading

import chassis


def load():
    return {"guard": threading.Lock(), "words": chassis.data_path("words.txt").read_text().split()}


def process(loaded, content: bytes):
    with loaded["guard"]:
        return loaded["words"].index(content.decode())


class Reader:
    def load(self):
        self.guard, self.words = load().values()

    def predict(self, content: bytes):
        return process(vars(self), content)


class InOne:
    def __init__(self):
        self.words = load()["words"]

    def predict(self, item: dict[str, bytes]) -> dict[str, bytes]:
        return {"n": b"%d" % self.words.index(item["word"].decode())}
"""


@pytest.mark.parametrize(
    ("entry_point", "loader", "argument", "result", "signature"),
    [
        ("model:process", "model:load", "b'two'", "1", "bytes"),
        ("model:Reader", None, "b'two'", "1", "bytes"),
        ("model:InOne", None, "{'word': b'two'}", "{'n': b'1'}", "mapping"),
    ],
)
def test_what_cannot_be_pickled_is_loaded_in_the_image(
    tmp_path: Path, entry_point: str, loader: str | None, argument: str, result: str, signature: str
) -> None:
    packaged = package(
        tmp_path, {"model.py": LOADING}, entry_point=entry_point, loader=loader, data={"words.txt": b"one two"}
    )
    assert json.loads(packaged.settings)["signature"] == signature
    assert call(packaged, tmp_path, argument) == result


def test_load_may_be_in_another_source(tmp_path: Path) -> None:
    sources = {"model.py": "def process(s, a): return s + len(a)", "loading.py": "def load(): return 40"}
    assert call(package(tmp_path, sources, loader="loading:load"), tmp_path, "b'ab'") == "42"


def test_statements_that_the_image_does_not_run_are_noted_with_their_line(tmp_path: Path) -> None:
    sources = {
        "model.py": "import os\nfrom ml import helper\nos.environ['A'] = '1'\ndef process(a): return helper.B",
        "helper.py": "import sys\nB = 2\nsys.setrecursionlimit(5000)",
    }
    notes = package(tmp_path, sources).notes
    assert [note.partition(" runs")[0] for note in notes] == [
        "ml/helper.py, line 3: `sys.setrecursionlimit(5000)`",
        "ml/model.py, line 3: `os.environ['A'] = '1'`",
    ]
    assert all("put it into the function that `loader` of the chassis_model names" in note for note in notes)


def test_what_is_printed_and_warned_of_while_pickling_is_shown(tmp_path: Path) -> None:
    source = "import warnings\nprint('hello')\nwarnings.warn('made by another version')\ndef process(a): return 1"
    packaged = package(tmp_path, {"model.py": source})
    assert "hello\n" in packaged.printed
    assert "ml/model.py:3: UserWarning: made by another version" in packaged.printed
    assert package(tmp_path, {"model.py": "def process(a): return 1"}).printed == ""


_KEPT = """
import chassis

WEIGHTS = chassis.data_path("weights.bin").read_bytes()


def process(data):
    return WEIGHTS[0]
"""


@pytest.mark.parametrize(
    ("source", "size", "said"),
    [
        (_KEPT, MIN_BYTES, True),
        (_KEPT, MIN_BYTES - 1000, False),
        (_KEPT.replace(".read_bytes()", ".read_bytes()[:9]"), MIN_BYTES, False),
        (_KEPT.replace("WEIGHTS =", "READ =").replace("WEIGHTS[0]", "1"), MIN_BYTES, False),
    ],
)
def test_weights_that_are_in_the_pickle_and_in_the_data_are_told(
    tmp_path: Path, source: str, size: int, said: bool
) -> None:
    notes = package(tmp_path, {"model.py": source}, data={"weights.bin": b"w" * size, "other.bin": b"o" * size}).notes
    assert [note.partition(":")[0] for note in notes] == (["weights.bin"] if said else [])
    if said:
        assert "10.0 MB of `data` are read where the model is pickled, and the pickle has 10.0 MB" in notes[0]
        assert "read them in the function that `loader` of the chassis_model names" in notes[0]
