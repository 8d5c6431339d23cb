"""Functions of a running Python pickled: what they import is found, local modules go with them."""

import json
import subprocess
import sys
import threading

import cloudpickle
import numpy as np
import pytest

from chassis.packaging.errors import UnpicklableError
from chassis.sdk import pickled
from chassis.sdk.pickled import pickle_function

_WEIGHTS = np.arange(3.0)
_LOCK = threading.Lock()


def _helper(content):
    import zlib

    from packaging.version import Version

    return [float(value) for value in _WEIGHTS], zlib.crc32(content), str(Version(content.decode()))


def process(content):
    return json.dumps(_helper(content))


def locked(content):
    with _LOCK:
        return content


def _called(content: bytes, folder) -> str:
    """The result of the function in an interpreter that has none of this one's modules."""
    (folder / "function.pkl").write_bytes(content)
    code = "import cloudpickle; print(cloudpickle.load(open('function.pkl', 'rb'))(b'7'))"
    site = [path for path in sys.path if "site-packages" in path or "chassis_tools" in path]
    command = [sys.executable, "-P", "-c", f"import sys; sys.path += {site!r}; {code}"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=60, env={}).stdout


def test_globals_and_imports_inside_functions_are_found():
    found = pickle_function(process).imports
    names = [pin.partition("==")[0] for pin in found.pins]
    assert names == ["numpy", "packaging"]


def test_a_local_module_goes_with_the_function(tmp_path, monkeypatch):
    (tmp_path / "local_words.py").write_text(
        "import local_more\ndef word(content): return local_more.SOUND * len(content)\n"
    )
    (tmp_path / "local_more.py").write_text("SOUND = 'moo'\n")
    monkeypatch.syspath_prepend(tmp_path)
    import local_words

    def speak(content):
        return local_words.word(content)

    packed = pickle_function(speak)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert _called(packed.content, elsewhere) == "moo\n"
    assert "local_words" not in cloudpickle.list_registry_pickle_by_value()


def test_the_same_function_gives_the_same_bytes():
    assert pickle_function(process).content == pickle_function(process).content


def test_what_cannot_be_pickled_is_named():
    with pytest.raises(UnpicklableError, match=r"global '_LOCK' \(a _thread.lock\) cannot be pickled") as error:
        pickle_function(locked)
    assert "make it in a function that you give as `load_fn`" in str(error.value)


def test_another_python_than_the_images_is_refused(monkeypatch):
    monkeypatch.setattr(pickled, "PYTHONS", ("3.2",))
    with pytest.raises(UnpicklableError, match=r"images have 3\.2"):
        pickle_function(process)
