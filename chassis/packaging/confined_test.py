"""A model's code that attacks while it is pickled and checked, and is confined."""

from __future__ import annotations

import json
import os
import pickle
import socket
import time
from pathlib import Path

import pytest

from chassis.declaration.model import ModelMetadata
from chassis.packaging.errors import PackagingError
from chassis.packaging.packager import Model, PackagedModel, package_model
from chassis.packaging.sample_models import written

_TIMEOUT_S = 60.0


class Run:
    """What runs Python's source when it is loaded."""

    def __init__(self, source: str) -> None:
        self._source = source

    def __reduce__(self) -> tuple[object, ...]:
        return exec, (self._source, {})


def _package(root: Path, source: str, *, confined: bool = True) -> PackagedModel:
    """Packages a pickle that runs `source`, with the directory `inputs` for what an action is given."""
    inputs = root / "inputs"
    inputs.mkdir(exist_ok=True)
    model = written(inputs / "evil.pkl", pickle.dumps(Run(source)))
    return package_model(
        Model(ModelMetadata(name="evil"), None, model, "", {}, {}, []),
        timeout=_TIMEOUT_S,
        inputs=inputs if confined else None,
    )


def test_a_pickle_reads_no_secret_and_says_none(tmp_path: Path) -> None:
    secret = written(tmp_path / "home" / "token", b"open-sesame")
    with pytest.raises(PackagingError, match="PermissionError"):
        _package(tmp_path, f"raise Exception(open({str(secret)!r}).read())")
    with pytest.raises(PackagingError, match="open-sesame"):
        _package(tmp_path, f"raise Exception(open({str(secret)!r}).read())", confined=False)


def test_the_answer_of_a_model_is_no_link_to_a_file_of_the_machine(tmp_path: Path) -> None:
    secret = written(tmp_path / "home" / "answer", json.dumps({"signature": "open-sesame", "notes": []}).encode())
    source = f"import os, sys; os.{{}}({str(secret)!r}, sys.argv[2]); os._exit(0)"
    for link in ("symlink", "link"):
        with pytest.raises(PackagingError) as error:
            _package(tmp_path, source.format(link))
        assert "open-sesame" not in str(error.value)
    # Nor if the model may read what it links to.
    with pytest.raises(PackagingError) as error:
        _package(tmp_path, source.format("symlink"), confined=False)
    assert "open-sesame" not in str(error.value)
    with pytest.raises(PackagingError, match="ended with status 0"):
        _package(tmp_path, "import os, sys; os.mkfifo(sys.argv[2]); os._exit(0)")


def test_an_answer_that_a_model_makes_up_is_refused(tmp_path: Path) -> None:
    for answer in (
        '{"signature": "root", "notes": []}',
        "{",
        "[]",
        '{"error": ["ChassisError", "x"]}',
        '{"error": 1}',
        '{"signature": 1, "notes": []}',
    ):
        source = f"import os, sys; open(sys.argv[2], 'w').write({answer!r}); os._exit(0)"
        with pytest.raises(PackagingError):
            _package(tmp_path, source)


def test_what_is_packaged_is_what_was_checked(tmp_path: Path) -> None:
    secret = written(tmp_path / "home" / "key", b"open-sesame")
    source = f"""
import os, sys
try:
    os.unlink(sys.argv[1])
    os.symlink({str(secret)!r}, sys.argv[1])
except OSError:
    pass
open(sys.argv[2], "w").write('{{"signature": "bytes", "notes": []}}')
os._exit(0)
"""
    for confined in (True, False):
        assert b"open-sesame" not in _package(tmp_path, source, confined=confined).pickle.replace(source.encode(), b"")


def test_a_process_that_a_model_leaves_behind_is_gone(tmp_path: Path) -> None:
    source = """
import os, sys, time
if not os.fork():
    os.setsid()
    time.sleep(600)
open(sys.argv[2], "w").write('{"signature": "bytes", "notes": []}')
os._exit(0)
"""
    start = time.monotonic()
    _package(tmp_path, source)
    assert time.monotonic() - start < _TIMEOUT_S / 2
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_pickle_connects_to_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PackagingError, match="PermissionError"):
            _package(tmp_path, f"import socket; socket.create_connection(('127.0.0.1', {port}))")
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_an_entry_point_is_pickled_from_its_inputs_alone(tmp_path: Path) -> None:
    inputs = tmp_path / "inputs"
    source = written(tmp_path / "real" / "model.py", b"import helper\ndef process(a):\n    return helper.VALUE\n")
    helper = written(tmp_path / "real" / "deps" / "helper.py", b"VALUE = 42\n")
    (inputs / "deps").mkdir(parents=True)
    (inputs / "model.py").symlink_to(source)
    (inputs / "deps" / "helper.py").symlink_to(helper)
    model = Model(
        ModelMetadata(name="good"), "model:process", None, "", {"model.py": inputs / "model.py"}, {}, [inputs / "deps"]
    )
    confined = package_model(model, timeout=_TIMEOUT_S, inputs=inputs)
    assert confined.pickle == package_model(model, timeout=_TIMEOUT_S).pickle
    source.write_text(f"KEY = open({str(written(tmp_path / 'key', b'open-sesame'))!r}).read()\ndef process(a): ...\n")
    with pytest.raises(PackagingError, match="PermissionError"):
        package_model(model, timeout=_TIMEOUT_S, inputs=inputs)
