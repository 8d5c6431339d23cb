"""Tests of what chassis.packaging.packager says of models that cannot be packaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from chassis.packaging import errors
from chassis.packaging.sample_models import package

DEFECTS: dict[str, tuple[type[Exception], str, str, dict]] = {
    "missing attribute": (
        errors.EntryPointError,
        "def proces(content): pass",
        r"has no 'process'\n  there are: proces",
        {},
    ),
    "missing module": (
        errors.EntryPointError,
        "x = 1",
        "no source is the module 'modle'",
        {"entry_point": "modle:process"},
    ),
    "no colon": (errors.EntryPointError, "x = 1", "not of the form module:attribute", {"entry_point": "model"}),
    "not callable": (errors.EntryPointError, "process = {}", "is a dict, expected a function", {}),
    "syntax": (errors.EntryPointError, "def process(:\n", "ml/model.py, line 1: invalid syntax", {}),
    "raises": (errors.EntryPointError, "\n1 / 0", "ml/model.py, line 2: importing it failed: ZeroDivisionError", {}),
    "exits": (errors.EntryPointError, "raise SystemExit(3)", "importing it failed: SystemExit: 3", {}),
    "class": (errors.EntryPointError, "class process:\n  def __init__(self, a): pass", "is a class", {}),
    "async": (
        errors.EntryPointError,
        "async def process(a): pass",
        "is a coroutine, which answers one input, but batch_size is 4",
        {"batch_size": 4},
    ),
    "generator": (
        errors.EntryPointError,
        "def process(a): yield a",
        "is a generator, which answers one input, but batch_size is 4",
        {"batch_size": 4},
    ),
    "two arguments": (errors.EntryPointError, "def process(a, b): pass", "one argument, the input.*wants: a, b", {}),
    "no argument": (errors.EntryPointError, "def process(): pass", "must take one argument, the input", {}),
    "batch_size without batch function": (
        errors.EntryPointError,
        "def process(inputs: bytes): pass",
        r"takes one input \(inputs: bytes\), but batch_size is 4",
        {"batch_size": 4},
    ),
    "batch function without batch_size": (
        errors.EntryPointError,
        "def process(inputs: list[bytes]): pass",
        r"takes a list \(inputs: list\[bytes\]\), but the model has no batch_size",
        {},
    ),
    "signature": (
        errors.EntryPointError,
        "def process(item: dict[str, bytes]): pass",
        "takes mapping .* but signature is 'bytes'",
        {"signature": "bytes"},
    ),
    "import at the top": (
        errors.MissingDependencyError,
        "\nimport absl.flags\ndef process(a): pass",
        r"ml/model.py, line 2: no module named 'absl' among the model's dependencies\n  add what brings it to `deps`",
        {},
    ),
    "import in the function": (
        errors.MissingDependencyError,
        "def process(a):\n  import google.protobuf.message",
        "ml/model.py, line 2: no module named 'google.protobuf.message'",
        {},
    ),
    "source imported in a function": (
        errors.EntryPointError,
        "def process(a):\n  from ml import extra",
        "ml/model.py, line 2: ml.extra is imported inside a function",
        {"more": {"extra.py": ""}},
    ),
    "source imported relatively in a function": (
        errors.EntryPointError,
        "def process(a):\n  from . import extra",
        "ml/model.py, line 2: ml.extra is imported inside a function",
        {"more": {"extra.py": ""}},
    ),
    "source imported by its short name in a function": (
        errors.EntryPointError,
        "def process(a):\n  import extra",
        "ml/model.py, line 2: extra is imported inside a function",
        {"more": {"extra.py": ""}},
    ),
    "import of the builder": (
        errors.MissingDependencyError,
        "from chassis.packaging.signature import resolve_signature\ndef process(a): resolve_signature(a)",
        "imports 'chassis.packaging",
        {},
    ),
    "missing data": (
        errors.EntryPointError,
        "import chassis\nW = chassis.data_path('w.npz')\ndef process(a): pass",
        "ml/model.py, line 2: .*has no data 'w.npz'",
        {},
    ),
    "path of the machine": (
        errors.UnreproducibleError,
        "import chassis\nW = str(chassis.data_path('w'))\ndef process(a): return W",
        r"holds a path of the build machine, '/.*/w'",
        {"data": {"w": b""}},
    ),
    "lock": (
        errors.UnpicklableError,
        "import threading\nGUARD = threading.Lock()\ndef helper():\n  with GUARD: pass\ndef process(a): helper()",
        r"global 'GUARD' \(a _thread.lock\) cannot be pickled: TypeError(.|\n)*"
        "held by: process -> helper -> global 'GUARD'",
        {},
    ),
    "open file": (
        errors.UnpicklableError,
        "import os\nclass Net:\n  def __init__(self): self.log = open(os.devnull, 'rb')\n"
        "NET = Net()\ndef process(a): return NET",
        "attribute 'log' .* cannot be pickled",
        {},
    ),
    "closure": (
        errors.UnpicklableError,
        "import threading\ndef make():\n  seen = [threading.Lock()]\n  return lambda a: seen\nprocess = make()",
        "element 0 .*cannot be pickled(.|\n)*variable 'seen' -> element 0",
        {},
    ),
    "crash": (errors.PackagingError, "import os\nprint('so long')\nos._exit(9)", r"ended with status 9\n.*", {}),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_is_named(tmp_path: Path, defect: str) -> None:
    kind, source, message, arguments = DEFECTS[defect]
    arguments = dict(arguments)
    with pytest.raises(kind, match=message) as caught:
        package(tmp_path, {"model.py": source + "\n", **arguments.pop("more", {})}, **arguments)
    assert type(caught.value) is kind
    assert str(tmp_path) not in str(caught.value)
