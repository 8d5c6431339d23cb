"""Tests of chassis.packaging.packager: from sources and data to the files of a model directory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import cloudpickle
import pytest

from chassis.metadata import ModelMetadata, Port
from chassis.packaging import errors
from chassis.packaging.packager import Model, PackagedModel, package_model
from chassis.runtime import omi_pb2


def package(
    root: Path,
    sources: Mapping[str, str],
    *,
    entry_point: str = "model:process",
    batch_size: int = 0,
    signature: str = "auto",
    data: Mapping[str, bytes] | None = None,
    deps: Mapping[str, str] | None = None,
) -> PackagedModel:
    """Packages sources of the workspace package `ml`, with data and the sources of dependencies."""
    return package_model(
        Model(
            metadata=ModelMetadata(name="tested", batch_size=batch_size),
            entry_point=entry_point,
            pickle=None,
            package_dir="ml",
            sources={f"ml/{name}": _written(root / "sources" / name, text.encode()) for name, text in sources.items()},
            data={key: _written(root / "data" / key, content) for key, content in (data or {}).items()},
            import_paths=[_written(root / "deps" / name, text.encode()).parent for name, text in (deps or {}).items()][
                :1
            ],
            signature=signature,
        ),
        timeout=60,
    )


def package_pickle(path: Path, **metadata: int) -> PackagedModel:
    """Packages a ready pickle."""
    described = ModelMetadata(name="tested", **metadata)
    return package_model(Model(described, None, path, "", {}, {}, []), timeout=60)


def call(packaged: PackagedModel, root: Path, argument: str, *paths: Path) -> str:
    """Loads the pickle in a new interpreter, as an image would, and returns the repr of its result."""
    (root / "called.pkl").write_bytes(packaged.pickle)
    code = f"import cloudpickle; print(repr(cloudpickle.load(open('called.pkl', 'rb'))({argument})))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        env={"PYTHONPATH": os.pathsep.join([*map(str, paths), *sys.path]), "CHASSIS_DATA": str(root / "data")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _written(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


RICH = '''
"""A module with what makes pickles differ between runs."""

from __future__ import annotations

import abc
import dataclasses
import enum
import functools
import logging
from typing import NamedTuple

import chassis

WEIGHTS = chassis.data_path("weights.bin")
KNOWN = {None, "a", "b", int, 3, ("x", None)}
_LOG = logging.getLogger(__name__)


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


@dataclasses.dataclass
class Point:
    """A point."""

    x: int
    colour: Colour = Colour.RED


class Pair(NamedTuple):
    first: int
    second: int


class Base(abc.ABC):
    @abc.abstractmethod
    def answer(self) -> int: ...


class Concrete(Base):
    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 42

    def answer(self) -> int:
        return self.value


class Lazy:
    @functools.cached_property
    def twice(self) -> int:
        return 2


LAZY = Lazy()
LAZY.twice
CONCRETE = Concrete()


@functools.lru_cache(maxsize=4)
def weights() -> bytes:
    return WEIGHTS.read_bytes()


weights()


def process(content: bytes) -> dict:
    """Answers."""
    if content in {None, b"a", ...}:
        return {}
    return {
        "weights": weights().decode(),
        "known": None in KNOWN and str in KNOWN or len(KNOWN),
        "point": dataclasses.asdict(Point(1))["x"],
        "colour": Colour.BLUE.name,
        "pair": Pair(1, 2).second,
        "answer": CONCRETE.answer(),
        "lazy": LAZY.twice + Lazy().twice,
    }
'''


def test_a_rich_module_works_where_its_source_is_not(tmp_path: Path) -> None:
    packaged = package(tmp_path, {"model.py": RICH}, data={"weights.bin": b"w"})
    result = call(packaged, tmp_path, "b'x'")
    assert result == ("{'weights': 'w', 'known': 6, 'point': 1, 'colour': 'BLUE', 'pair': 2, 'answer': 42, 'lazy': 4}")


def test_the_bytes_are_the_same_in_another_directory_under_another_umask_zone_and_seed(tmp_path: Path) -> None:
    made = []
    for number, (mask, zone, seed) in enumerate(
        [("0022", "UTC", "1"), ("0077", "Asia/Tokyo", "random"), ("0000", "", "77")]
    ):
        root = tmp_path / ("d" * (number * 40 + 1))
        root.mkdir()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TZ": zone, "PYTHONHASHSEED": seed}
        code = (
            "import os, sys, pathlib; os.umask(int(sys.argv[1], 8));"
            "from chassis.packaging.packager_test import RICH, package;"
            "made = package(pathlib.Path.cwd(), {'model.py': RICH}, data={'weights.bin': b'w'});"
            "pathlib.Path('out').write_bytes(made.pickle + made.status + made.settings)"
        )
        subprocess.run([sys.executable, "-c", code, mask], cwd=root, env=environment, check=True, timeout=120)
        made.append((root / "out").read_bytes())
    assert made[0] == made[1] == made[2]
    assert str(tmp_path).encode() not in made[0]
    assert b"ml/model.py" in made[0]


@pytest.mark.parametrize(
    ("parameter", "batch_size", "signature"),
    [
        ("content: bytes", 0, "bytes"),
        ("content", 0, "bytes"),
        ("contents: list[bytes]", 4, "bytes"),
        ("contents", 4, "bytes"),
        ("item: Mapping[str, bytes]", 0, "mapping"),
        ("items: Sequence[Mapping[str, bytes]]", 4, "mapping"),
    ],
)
def test_the_kind_follows_the_annotations(tmp_path: Path, parameter: str, batch_size: int, signature: str) -> None:
    source = f"from collections.abc import Mapping, Sequence\ndef process({parameter}): return 1\n"
    packaged = package(tmp_path, {"model.py": source}, batch_size=batch_size)
    settings = json.loads(packaged.settings)
    assert (settings["signature"], settings["batch_size"]) == (signature, batch_size)


def test_modules_beside_the_entry_module_go_with_it(tmp_path: Path) -> None:
    sources = {
        "model.py": "import scaling\nfrom ml.labels import NAMES\nfrom . import labels\n"
        "def process(content): return [NAMES[scaling.scale(len(content))], labels.NAMES is NAMES]\n",
        "scaling.py": "from ml import labels\ndef scale(n): return min(n * 2, len(labels.NAMES) - 1)\n",
        "labels.py": "NAMES = ['zero', 'one', 'two']\n",
    }
    assert call(package(tmp_path, sources), tmp_path, "b'abc'") == "['two', True]"


def test_dependencies_are_pickled_by_name(tmp_path: Path) -> None:
    packaged = package(
        tmp_path,
        {"model.py": "import prep\ndef process(content): return prep.clean(content)\n"},
        deps={"prep.py": "def clean(content): return content.strip()\n"},
    )
    assert b"strip" not in packaged.pickle
    assert call(packaged, tmp_path, "b' a '", tmp_path / "deps") == "b'a'"


def test_an_object_with_call_and_a_method_are_entry_points(tmp_path: Path) -> None:
    source = (
        "class M:\n  def __call__(self, content: bytes): return 1\n  def run(self, content): return 2\nmodel = M()\n"
    )
    assert call(package(tmp_path, {"model.py": source}, entry_point="model:model"), tmp_path, "b''") == "1"
    assert call(package(tmp_path, {"model.py": source}, entry_point="model:model.run"), tmp_path, "b''") == "2"


def test_status_and_settings_say_what_the_metadata_says() -> None:
    metadata = ModelMetadata(
        name="digits",
        model_name="Digits Classifier",
        model_version="0.0.1",
        author="A",
        summary="S",
        batch_size=16,
        inputs={"input": Port("application/json, text/json", "10M", "pixels")},
        num_gpus=1,
    )
    from chassis.packaging.description import server_settings, status_response

    status = omi_pb2.StatusResponse.FromString(status_response(metadata).SerializeToString())
    assert status.status_code == 200
    assert status.model_info.model_version == "0.0.1"
    assert status.features.batch_size == 16
    assert list(status.inputs[0].accepted_media_types) == ["application/json", "text/json"]
    assert (status.inputs[0].max_size, status.resources.num_gpus, status.timeout.run) == ("10M", 1, "60s")
    assert json.loads(server_settings(metadata, "bytes"))["inputs"][0]["max_bytes"] == 10 << 20


def test_a_declared_tensor_is_in_the_settings_of_a_mapping_function(tmp_path: Path) -> None:
    sources = {"ml/model.py": _written(tmp_path / "model.py", b"def process(item: dict[str, bytes]): return item")}
    metadata = ModelMetadata(name="tested", inputs={"row": Port(tensor="FP32[3,-1]"), "note": Port()})
    packaged = package_model(Model(metadata, "model:process", None, "ml", sources, {}, []), timeout=60)
    row, note = json.loads(packaged.settings)["inputs"]
    assert (row["datatype"], row["shape"]) == ("FP32", [3, -1])
    assert "datatype" not in note
    sources["ml/model.py"].write_bytes(b"def process(content: bytes): return 1")
    with pytest.raises(errors.EntryPointError, match=r"tensors are declared \(row\), but the function is one of bytes"):
        package_model(Model(metadata, "model:process", None, "ml", sources, {}, []), timeout=60)


def test_a_ready_pickle_is_taken_as_it_is(tmp_path: Path) -> None:
    offset = 3

    def process(content: bytes) -> int:
        return len(content) + offset

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    path = _written(tmp_path / "ready.pkl", cloudpickle.dumps(process))
    packaged = package_pickle(path)
    assert packaged.pickle == path.read_bytes()
    assert json.loads(packaged.settings)["signature"] == "bytes"


def test_a_ready_pickle_that_wants_a_module_names_it(tmp_path: Path) -> None:
    path = _written(tmp_path / "ready.pkl", b"\x80\x04\x8c\x0csome_library\x8c\x04func\x93.")
    with pytest.raises(errors.MissingDependencyError, match="imports 'some_library'"):
        package_pickle(path)


def test_a_ready_pickle_of_no_function_says_what_it_is(tmp_path: Path) -> None:
    path = _written(tmp_path / "ready.pkl", cloudpickle.dumps({"a": 1}))
    with pytest.raises(errors.EntryPointError, match="the pickled function is a dict, expected a function"):
        package_pickle(path)


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
    "async": (errors.EntryPointError, "async def process(a): pass", "coroutine", {}),
    "generator": (errors.EntryPointError, "def process(a): yield a", "generator", {}),
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


def test_an_import_that_is_guarded_is_not_required(tmp_path: Path) -> None:
    source = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import pandas
try:
    import cupy
except ImportError:
    cupy = None
def process(content):
    try:
        import torch
    except (ImportError, OSError):
        return 0
"""
    assert call(package(tmp_path, {"model.py": source}), tmp_path, "b''") == "0"


def test_work_at_the_top_of_a_module_is_bounded(tmp_path: Path) -> None:
    source = _written(tmp_path / "model.py", b"import time\ntime.sleep(60)\ndef process(a): pass\n")
    with pytest.raises(errors.PackagingError, match=r"took more than 0.5 s"):
        package_model(
            Model(ModelMetadata(name="m"), "model:process", None, "", {"model.py": source}, {}, []), timeout=0.5
        )


def test_a_model_with_pickle_and_entry_point_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.EntryPointError, match="either an entry point or a ready pickle"):
        package_model(Model(ModelMetadata(name="m"), "a:b", tmp_path / "p.pkl", "", {}, {}, []))
