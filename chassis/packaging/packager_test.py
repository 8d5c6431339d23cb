"""Tests of chassis.packaging.packager: from sources and data to the files of a model directory."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import cloudpickle
import pytest

from chassis.declaration.model import ModelMetadata
from chassis.declaration.model_io import ModelInput
from chassis.packaging import errors
from chassis.packaging.packager import Model, package_model
from chassis.packaging.sample_models import call, package, package_pickle, written
from chassis.runtime import omi_pb2

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


def test_a_function_that_takes_the_request_says_so_to_the_server(tmp_path: Path) -> None:
    source = """
from chassis import Request, Result

def process(content: bytes, request: Request) -> object:
    return Result(request.parameters["top"], {"id": request.id}).value
"""
    packaged = package(tmp_path, {"model.py": source})
    assert json.loads(packaged.settings)["takes_request"] is True
    request = "__import__('chassis').Request('a', {'top': 3})"
    assert call(packaged, tmp_path, f"b'', request={request}") == "3"
    plain = package(tmp_path / "plain", {"model.py": "def process(content, threshold=1): return threshold"})
    assert "takes_request" not in json.loads(plain.settings)


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
        inputs=(ModelInput("input", "application/json, text/json", "10M", description="pixels"),),
        num_gpus=1,
    )
    from chassis.packaging.description import server_settings, status_response

    status = omi_pb2.StatusResponse.FromString(status_response(metadata).SerializeToString())
    assert status.status_code == 200
    assert status.model_info.model_version == "0.0.1"
    assert status.features.batch_size == 16
    assert list(status.inputs[0].accepted_media_types) == ["application/json", "text/json"]
    assert (status.inputs[0].max_size, status.resources.num_gpus, status.timeout.run) == ("10M", 1, "60s")
    assert json.loads(server_settings(metadata, "bytes", "3.11"))["inputs"][0]["max_bytes"] == 10 << 20


def test_a_declared_tensor_is_in_the_settings_of_a_mapping_function(tmp_path: Path) -> None:
    sources = {"ml/model.py": written(tmp_path / "model.py", b"def process(item: dict[str, bytes]): return item")}
    metadata = ModelMetadata(name="tested", inputs=(ModelInput("row", tensor="FP32[3,-1]"), ModelInput("note")))
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
    path = written(tmp_path / "ready.pkl", cloudpickle.dumps(process))
    packaged = package_pickle(path)
    assert packaged.pickle == path.read_bytes()
    assert json.loads(packaged.settings)["signature"] == "bytes"


def test_a_ready_pickle_that_wants_a_module_names_it(tmp_path: Path) -> None:
    path = written(tmp_path / "ready.pkl", b"\x80\x04\x8c\x0csome_library\x8c\x04func\x93.")
    with pytest.raises(errors.MissingDependencyError, match="imports 'some_library'"):
        package_pickle(path)


def test_a_ready_pickle_of_no_function_says_what_it_is(tmp_path: Path) -> None:
    path = written(tmp_path / "ready.pkl", cloudpickle.dumps({"a": 1}))
    with pytest.raises(errors.EntryPointError, match="the pickled function is a dict, expected a function"):
        package_pickle(path)


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
    source = written(tmp_path / "model.py", b"import time\ntime.sleep(60)\ndef process(a): pass\n")
    with pytest.raises(errors.PackagingError, match=r"took more than 1 s"):
        package_model(
            Model(ModelMetadata(name="m"), "model:process", None, "", {"model.py": source}, {}, []), timeout=0.5
        )


def test_a_model_with_pickle_and_entry_point_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.EntryPointError, match="either an entry point, a ready pickle or a framework"):
        package_model(Model(ModelMetadata(name="m"), "a:b", tmp_path / "p.pkl", "", {}, {}, []))


def _package_with(
    interpreter: Path,
    root: Path,
    python: str,
    *,
    confined: bool = False,
    code: bytes = b"def process(content: bytes): return 1\n",
) -> str:
    source = written(root / "model.py", code)
    model = Model(ModelMetadata(name="tested"), "model:process", None, "ml", {"ml/model.py": source}, {}, [])
    inputs = root if confined else None
    settings = package_model(model, timeout=60, interpreter=interpreter, python=python, inputs=inputs).settings
    return json.loads(settings)["python"]


def _program(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_the_interpreter_of_the_image_pickles_and_is_named_to_the_server(tmp_path):
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    own = _program(tmp_path / "python", f'test -z "$PYTHONHOME" && exec {sys.executable} "$@"')
    assert _package_with(own, tmp_path, running) == running


def test_an_interpreter_of_another_version_pickles_nothing(tmp_path):
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    with pytest.raises(errors.PackagingError, match=rf"the image has Python 3\.99, (?s:.*) is Python {running} \("):
        _package_with(Path(sys.executable), tmp_path, "3.99")


@pytest.mark.parametrize("confined", [False, True])
def test_a_program_that_does_not_run_here_is_named(tmp_path, confined):
    foreign = tmp_path / "python"
    cpu, number = ("x86_64", 62) if platform.machine() == "aarch64" else ("aarch64", 183)
    foreign.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + bytes([2, 0, number, 0]) + bytes(44))
    foreign.chmod(0o755)
    expected = f"Python 3.99 does not run: {foreign}: it is for {cpu}, and this machine is {platform.machine()} "
    with pytest.raises(errors.PackagingError, match=re.escape(expected) + "(?s:.*)image_python"):
        _package_with(foreign, tmp_path, "3.99", confined=confined)


@pytest.mark.parametrize("confined", [False, True])
def test_a_program_that_starts_what_does_not_run_here_is_named(tmp_path, confined):
    launcher = _program(tmp_path / "python", "echo ld-linux-foreign.so.1: Exec format error >&2; exit 126")
    expected = f"Python 3.99 does not run: {launcher}: ld-linux-foreign.so.1: Exec format error"
    with pytest.raises(errors.PackagingError, match=re.escape(expected)):
        _package_with(launcher, tmp_path, "3.99", confined=confined)


@pytest.mark.parametrize("confined", [False, True])
def test_an_interpreter_whose_loader_is_missing_is_named(tmp_path, confined):
    program = tmp_path / "python"
    program.write_text("#!/nonexistent/loader\n")
    program.chmod(0o755)
    expected = f"Python 3.99 does not run: {program}: it is there, and what it is started by is not: its loader"
    with pytest.raises(errors.PackagingError, match=re.escape(expected) + "(?s:.*)mend its `interpreter`"):
        _package_with(program, tmp_path, "3.99", confined=confined)
    program.unlink()
    with pytest.raises(errors.PackagingError, match=re.escape(f"{program}: No such file or directory")):
        _package_with(program, tmp_path, "3.99", confined=confined)


@pytest.mark.parametrize("confined", [False, True])
@pytest.mark.parametrize("status", [79, 126, 127])
def test_a_model_that_ends_with_any_status_is_not_taken_for_its_interpreter(tmp_path, status, confined):
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    code = f"import os\nprint('one moment', flush=True)\nos._exit({status})\ndef process(content: bytes): return 1\n"
    with pytest.raises(errors.PackagingError, match=f"ended with status {status}\none moment") as error:
        _package_with(Path(sys.executable), tmp_path, running, confined=confined, code=code.encode())
    assert "image_python" not in str(error.value)


@pytest.mark.parametrize("confined", [False, True])
def test_a_machine_that_starts_no_program_is_not_the_interpreters_fault(tmp_path, monkeypatch, confined):
    """Here for an environment that is too large; a lack of memory or processes is said alike."""
    monkeypatch.setenv("PATH", "/usr/bin" + ":/nonexistent" * 20_000)
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    with pytest.raises(errors.PackagingError, match="cannot be started now: Argument list too long") as error:
        _package_with(Path(sys.executable), tmp_path, running, confined=confined)
    assert sys.executable in str(error.value)
    assert "image_python" not in str(error.value)
