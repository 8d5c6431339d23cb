"""The same sdist gives the same wheel, wherever and by whomever it is built."""

from __future__ import annotations

import os
import zipfile
from importlib.util import MAGIC_NUMBER, cache_from_source
from pathlib import Path

from chassis.declaration.pythons import DEFAULT_PYTHON
from tests.cross_wheels.builds import build

_DIGITS = DEFAULT_PYTHON.replace(".", "")


def test_a_wheel_is_bit_identical_when_built_in_another_directory(tmp_path: Path) -> None:
    sdist = Path(os.environ["CRCMOD_SDIST"])
    changed = {"TZ": "Asia/Tokyo", "LC_ALL": "C", "CFLAGS": "-O0", "PYTHONHASHSEED": "7"}
    first = build(sdist, tmp_path / "one", name="crcmod", version="1.7")
    second = build(
        sdist, tmp_path / "another/directory", name="crcmod", version="1.7", environment=changed, umask=0o077
    )
    assert first.status == second.status == 0, first.said + second.said
    assert first.wheel.read_bytes() == second.wheel.read_bytes()
    assert first.wheel.read_bytes() == Path(os.environ["CRCMOD_WHEEL"]).read_bytes()


def test_the_wheel_is_tagged_for_the_target_and_holds_no_path_of_the_build() -> None:
    wheel = Path(os.environ["CRCMOD_WHEEL"])
    assert wheel.name == f"crcmod-1.7-cp{_DIGITS}-cp{_DIGITS}-manylinux_2_28_aarch64.whl"
    with zipfile.ZipFile(wheel) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    assert f"Tag: cp{_DIGITS}-cp{_DIGITS}-manylinux_2_28_aarch64\n".encode() in contents["crcmod-1.7.dist-info/WHEEL"]
    assert [name for name in contents if name.endswith(f".cpython-{_DIGITS}-aarch64-linux-gnu.so")]
    for name, content in contents.items():
        assert b"/chassis/" not in content and b"sandbox" not in content, name


def test_what_wheels_are_built_with_is_compiled_beforehand() -> None:
    root = Path(os.environ["BUILD_SETUPTOOLS"])
    modules = [module for module in root.rglob("*.py") if module.parent.name == "command"]
    assert modules
    for module in modules:
        header = Path(cache_from_source(str(module))).read_bytes()[:8]
        # PEP 552: by its hash, unchecked, so that a file's date in a sandbox does not count.
        assert header == MAGIC_NUMBER + b"\1\0\0\0", module
