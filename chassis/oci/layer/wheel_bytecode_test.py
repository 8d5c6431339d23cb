"""What of a wheel is compiled, and what is left out of its layer: in the files and in RECORD."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from chassis.oci.layer.bytecode import BytecodeCompiler
from chassis.oci.layer.outputs import LayerOutputs, write_layer
from chassis.oci.layer.sample_wheels import INFO, SITE, demo_wheel, extracted
from chassis.oci.layer.wheel import add_wheel


def _written(wheel: Path, out: Path, compiler: BytecodeCompiler | None, *exclude: str) -> dict[str, tuple[bytes, int]]:
    out.mkdir()
    outputs = LayerOutputs(out / "blob", out / "descriptor", out / "files")
    write_layer(outputs, lambda writer: add_wheel(writer, wheel, "opt/venv", "3.11", compiler, exclude))
    return extracted(outputs.blob.read_bytes())


def _with_bytecode(wheel: Path, out: Path, *exclude: str) -> dict[str, tuple[bytes, int]]:
    with BytecodeCompiler("3.11") as compiler:
        return _written(wheel, out, compiler, *exclude)


def test_bytecode_is_all_that_is_added_and_record_lists_it(tmp_path):
    wheel = demo_wheel(tmp_path, **{"demo_pkg/template.py": b"this is {no} Python\n"})
    plain, compiled = _written(wheel, tmp_path / "plain", None), _with_bytecode(wheel, tmp_path / "compiled")
    place = f"{SITE}/demo_pkg/__pycache__/__init__.cpython-311.pyc"
    record, table = f"{SITE}/{INFO}/RECORD", "stargz.index.json"
    assert compiled.keys() - plain.keys() == {place}
    assert plain.keys() <= compiled.keys()
    assert {path for path in plain if plain[path] != compiled[path]} == {record, table}
    data, mode = compiled[place]
    assert mode == 0o644
    value = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
    row = f"demo_pkg/__pycache__/__init__.cpython-311.pyc,sha256={value},{len(data)}"
    assert set(compiled[record][0].decode().splitlines()) - set(plain[record][0].decode().splitlines()) == {row}


_SUITE = {
    "demo_pkg/tests/__init__.py": b"",
    "demo_pkg/tests/test_demo.py": b"x = 1\n",
    "demo_pkg/testing.py": b"x = 1\n",
    "tests.py": b"x = 1\n",
}


def test_the_test_suite_of_a_wheel_is_not_compiled(tmp_path):
    compiled = _with_bytecode(demo_wheel(tmp_path, **_SUITE), tmp_path / "compiled")
    assert f"{SITE}/demo_pkg/tests/test_demo.py" in compiled
    names = {path.rpartition("/")[2] for path in compiled if path.endswith(".pyc")}
    assert names == {"__init__.cpython-311.pyc", "testing.cpython-311.pyc", "tests.cpython-311.pyc"}


def test_what_is_left_out_is_in_no_layer_and_in_no_record(tmp_path):
    wheel = demo_wheel(tmp_path, **_SUITE)
    whole = _with_bytecode(wheel, tmp_path / "whole")
    less = _with_bytecode(wheel, tmp_path / "less", "*/tests/*", "*.txt", "demo_pkg/testing.py")
    gone = {
        *(f"demo_pkg/{name}" for name in ("tests/__init__.py", "tests/test_demo.py", "text.txt", "testing.py")),
        "demo_pkg/__pycache__/testing.cpython-311.pyc",
    }
    assert whole.keys() - less.keys() == {f"{SITE}/{path}" for path in gone}
    record = f"{SITE}/{INFO}/RECORD"
    rows = {kind: set(files[record][0].decode().splitlines()) for kind, files in (("whole", whole), ("less", less))}
    assert {row.partition(",")[0] for row in rows["whole"] - rows["less"]} == gone
    assert rows["less"] < rows["whole"]
    assert f"{SITE}/{INFO}/entry_points.txt" in less  # what describes the distribution stays, whatever it matches
