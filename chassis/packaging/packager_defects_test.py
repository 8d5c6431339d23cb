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
    "class": (
        errors.EntryPointError,
        "class process:\n  def __init__(self, a): pass",
        "is a class without `predict`",
        {},
    ),
    "class that wants more": (
        errors.EntryPointError,
        "class process:\n  def __init__(self, path): pass\n  def predict(self, a): pass",
        "process.__init__ must take nothing but `self`; it wants: path",
        {},
    ),
    "class whose load wants more": (
        errors.EntryPointError,
        "class process:\n  def load(self, path): pass\n  def predict(self, a): pass",
        "process.load must take nothing but `self`; it wants: path",
        {},
    ),
    "class whose predict takes nothing": (
        errors.EntryPointError,
        "class process:\n  def predict(self): pass",
        "process must take exactly one argument, the input; it wants: none",
        {},
    ),
    "abstract class": (
        errors.EntryPointError,
        "import abc\nclass process(abc.ABC):\n  @abc.abstractmethod\n  def predict(self, a): pass",
        "process cannot be made an instance of",
        {},
    ),
    "class and load": (
        errors.EntryPointError,
        "class process:\n  def predict(self, a): pass\ndef load(): pass",
        "process is a class, whose own method `load` is called",
        {"loader": "model:load"},
    ),
    "no load": (
        errors.EntryPointError,
        "def process(s, a): pass",
        "loader model:load: ml.model has no",
        {"loader": "model:load"},
    ),
    "load in no source": (
        errors.EntryPointError,
        "def process(s, a): pass",
        "loader: no source is the module 'loading'",
        {"loader": "loading:load"},
    ),
    "load that wants more": (
        errors.EntryPointError,
        "def process(s, a): pass\ndef load(path): pass",
        "load must take nothing; it wants: path",
        {"loader": "model:load"},
    ),
    "load whose result is not taken": (
        errors.EntryPointError,
        "def process(a): pass\ndef load(): pass",
        r"process takes one argument \(a\), but the model has a function that loads\n  let it take two",
        {"loader": "model:load"},
    ),
    "load of a batch function without batch_size": (
        errors.EntryPointError,
        "def process(s, inputs: list[bytes]): pass\ndef load(): pass",
        r"takes a list \(inputs: list\[bytes\]\), but the model has no batch_size",
        {"loader": "model:load"},
    ),
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
    "two arguments": (errors.EntryPointError, "def process(a, b): pass", "exactly one argument.*wants: a, b", {}),
    "no argument": (errors.EntryPointError, "def process(): pass", "exactly one argument", {}),
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
    "file beside the source": (
        errors.EntryPointError,
        "from pathlib import Path\nW = (Path(__file__).parent / 'w.txt').read_text()\ndef process(a): return W",
        r"ml/model.py, line 2: .*FileNotFoundError(.|\n)*find it with chassis.data_path",
        {},
    ),
    "object of a script": (
        errors.EntryPointError,
        "import pickle\nM = pickle.loads(b'\\x80\\x04\\x8c\\x08__main__\\x8c\\x05Scale\\x93.')\ndef process(a): pass",
        r"Can't get attribute 'Scale'(.|\n)*put Scale into a module of its own, a py_library among `deps`",
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
        "held by: process -> helper -> global 'GUARD'\n  make it in a function that `loader` of the chassis_model",
        {},
    ),
    "lock behind load": (
        errors.UnpicklableError,
        "import threading\nGUARD = threading.Lock()\ndef load(): return GUARD\ndef process(s, a): pass",
        "held by: process -> load -> global 'GUARD'",
        {"loader": "model:load"},
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
