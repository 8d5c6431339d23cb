"""Bytecode in layers: where it lies, that Python takes it, and that it is the same each time."""

from __future__ import annotations

import importlib.util
import marshal
import platform
import random
import subprocess
import sys
from pathlib import Path

import pytest

from chassis.oci.layer import bytecode_worker
from chassis.oci.layer.bytecode import BytecodeCompiler, BytecodeError, bytecode_path, is_module, running_version

_TAG = sys.implementation.cache_tag


def _compiled(modules: dict[str, bytes], jobs: int = 2) -> list[tuple[str, bytes]]:
    found = []
    with BytecodeCompiler(running_version(), jobs) as compiler:
        for path, source in modules.items():
            found += compiler.submit(path, source)
        found += compiler.drain()
    return found


def _modules(count: int) -> dict[str, bytes]:
    """Modules of very different lengths, so that they are compiled in another order than they are given."""
    random_ = random.Random(5)
    return {
        f"site/m{number}.py": b"".join(
            b"def f%d(self, name='x%d'):\n    return {name, 'a', 'b', (1, 2.5)} | {%d}\n" % (i, i, i)
            for i in range(random_.choice((1, 5, 400)))
        )
        for number in range(count)
    }


def test_bytecode_lies_beside_the_source_and_names_it():
    source = b"# -*- coding: latin-1 -*-\nNAME = '\xe9'\n\ndef f(): return 1\n"
    ((path, data),) = _compiled({"opt/pkg/mod.py": source})
    assert path == f"opt/pkg/__pycache__/mod.{_TAG}.pyc" == bytecode_path("opt/pkg/mod.py", running_version())
    assert data[:4] == importlib.util.MAGIC_NUMBER
    assert data[4:8] == b"\1\0\0\0"  # PEP 552: hash-based, unchecked
    assert data[8:16] == importlib.util.source_hash(source)
    code = marshal.loads(data[16:])
    assert code.co_filename == "/opt/pkg/mod.py"
    assert {const.co_filename for const in code.co_consts if hasattr(const, "co_filename")} == {"/opt/pkg/mod.py"}


def test_python_imports_it_in_place_of_the_source(tmp_path: Path):
    ((path, data),) = _compiled({"mod.py": b"VALUE = 'bytecode'\n"})
    (tmp_path / "mod.py").write_bytes(b"VALUE = 'source'\n")
    (tmp_path / path).parent.mkdir()
    (tmp_path / path).write_bytes(data)
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import mod; print(mod.VALUE)"
    assert subprocess.check_output([sys.executable, "-I", "-c", code], text=True) == "bytecode\n"


def test_what_is_no_python_of_this_version_is_left_out():
    modules = {
        "a.py": b"print 'of old'\n",
        "b.py": b"{{ template }} is\n",
        "c.py": b"\xff\xfe",
        "d.py": b"null = '\0'\n",
        "e.py": b"(" * 5000,
        "f.py": b"VALUE = 1\n",
    }
    assert [path for path, _ in _compiled(modules)] == [bytecode_path("f.py", running_version())]


def test_one_process_and_eight_give_the_same_in_the_same_order():
    modules = _modules(150)
    one = _compiled(modules, jobs=1)
    assert [path for path, _ in one] == [bytecode_path(path, running_version()) for path in modules]
    assert _compiled(modules, jobs=8) == one
    backwards = _compiled(dict(reversed(modules.items())), jobs=3)
    assert sorted(backwards) == sorted(one)


def test_how_far_bytecode_comes_after_its_source_depends_on_no_clock():
    def steps(jobs: int) -> list[int]:
        with BytecodeCompiler(running_version(), jobs) as compiler:
            return [len(list(compiler.submit(path, source))) for path, source in _modules(100).items()]

    assert steps(1) == steps(8)
    assert sum(steps(1)) == 36


def test_another_minor_version_is_refused():
    with pytest.raises(BytecodeError, match=r"the image has Python 3\.99.* is Python 3\.(?s:.*)image_python"):
        BytecodeCompiler("3.99")


def _interpreter(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_an_interpreter_of_another_version_compiles_nothing(tmp_path: Path):
    other = _interpreter(tmp_path / "python", f'exec {sys.executable} "$@"')
    with (
        pytest.raises(BytecodeError, match=rf"the image has Python 3\.99.* is Python {running_version()} \("),
        BytecodeCompiler("3.99", interpreter=other) as compiler,
    ):
        list(compiler.submit("a.py", b"A = 1\n"))
        list(compiler.drain())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("exit 3", "ended with status 3"),
        ("echo nonsense", "says"),
        ("exit 126", "ended with status 126: .* not for this machine"),
    ],
)
def test_a_program_that_is_no_python_is_named(tmp_path: Path, content: str, said: str):
    other = _interpreter(tmp_path / "python", content)
    with (
        pytest.raises(BytecodeError, match=f"does not run: {other}: it {said}(?s:.*)image_python"),
        BytecodeCompiler("3.99", interpreter=other) as compiler,
    ):
        list(compiler.submit("a.py", b"A = 1\n"))
        list(compiler.drain())


def test_a_program_for_another_cpu_is_named(tmp_path: Path):
    other = tmp_path / "python"
    cpu, number = ("x86_64", 62) if platform.machine() == "aarch64" else ("aarch64", 183)
    other.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + bytes([2, 0, number, 0]) + bytes(44))
    other.chmod(0o755)
    with (
        pytest.raises(
            BytecodeError, match=f"does not run: {other}: it is for {cpu}, and this machine is (?s:.*)image_python"
        ),
        BytecodeCompiler("3.99", interpreter=other) as compiler,
    ):
        list(compiler.submit("a.py", b"A = 1\n"))
        list(compiler.drain())


def test_a_program_whose_loader_is_missing_and_a_machine_that_starts_none_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    other = tmp_path / "python"
    other.write_text("#!/nonexistent/loader\n")
    other.chmod(0o755)
    with (
        pytest.raises(BytecodeError, match=f"does not run: {other}: it is there, and what it is started by is not"),
        BytecodeCompiler("3.99", interpreter=other) as compiler,
    ):
        list(compiler.submit("a.py", b"A = 1\n"))
        list(compiler.drain())
    monkeypatch.setenv("PATH", "/usr/bin" + ":/nonexistent" * 20_000)
    with (
        pytest.raises(BytecodeError, match="cannot be started now: Argument list too long") as error,
        BytecodeCompiler("3.99", interpreter=other) as compiler,
    ):
        list(compiler.submit("a.py", b"A = 1\n"))
        list(compiler.drain())
    assert "image_python" not in str(error.value)


def test_another_interpreter_compiles_what_this_one_would(tmp_path: Path):
    other = _interpreter(tmp_path / "python", f'test -z "$PYTHONHOME" && exec {sys.executable} "$@"')
    with BytecodeCompiler(running_version(), interpreter=other) as compiler:
        found = [*compiler.submit("a.py", b"A = 1\n"), *compiler.drain()]
    with BytecodeCompiler(running_version()) as compiler:
        assert found == [*compiler.submit("a.py", b"A = 1\n"), *compiler.drain()]


def test_a_module_that_kills_the_compiler_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    worker = tmp_path / "worker.py"
    worker.write_text("import os, sys\nsys.stdin.buffer.read(8)\nos.abort()\n")
    monkeypatch.setattr(bytecode_worker, "__file__", str(worker))
    with pytest.raises(BytecodeError, match=r"/app/bad\.py: Python's compiler ended with status -6"):
        _compiled({"app/bad.py": b"x = 1\n"})


def test_modules_are_python_sources_with_something_in_them():
    assert is_module("a/b.py", 10)
    assert not is_module("a/b.py", 0)
    assert not is_module("a/b.pyi", 10)
    assert not is_module("a/b.py", 1 << 30)
