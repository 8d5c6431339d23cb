"""The build backends that are not setuptools, and sources that compile nothing."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from elftools.elf.elffile import ELFFile

from chassis.declaration.pythons import DEFAULT_PYTHON
from tests.cross_wheels.builds import Outcome, build, make_sdist

_MODULE = """\
    #define PY_SSIZE_T_CLEAN
    #include <Python.h>
    static PyObject *answer(PyObject *self, PyObject *none) { return PyLong_FromLong(42); }
    static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, ""}, {NULL}};
    static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "small", "", -1, methods};
    PyMODINIT_FUNC PyInit_small(void) { return PyModule_Create(&module); }
"""

_MESON = {
    "pyproject.toml": """\
        [build-system]
        requires = ["meson-python>=0.15"]
        build-backend = "mesonpy"
        [project]
        name = "small"
        version = "1.0"
    """,
    "meson.build": """\
        project('small', 'c', version: '1.0')
        py = import('python').find_installation(pure: false)
        py.extension_module('small', 'small.c', install: true)
    """,
    "small.c": _MODULE,
}

_SCIKIT_BUILD = {
    "pyproject.toml": """\
        [build-system]
        requires = ["scikit-build-core>=0.10"]
        build-backend = "scikit_build_core.build"
        [project]
        name = "small"
        version = "1.0"
    """,
    "CMakeLists.txt": """\
        cmake_minimum_required(VERSION 3.18)
        project(small LANGUAGES C)
        find_package(Python COMPONENTS Interpreter Development.Module REQUIRED)
        python_add_library(small MODULE small.c WITH_SOABI)
        install(TARGETS small DESTINATION .)
    """,
    "small.c": _MODULE,
}

_DIGITS = DEFAULT_PYTHON.replace(".", "")

_PURE = {
    "setup.py": "from setuptools import setup\nsetup(name='small', version='1.0', py_modules=['small'])\n",
    "small.py": "answer = 42\n",
}


def _check_extension(outcome: Outcome) -> None:
    assert outcome.status == 0, outcome.said
    with zipfile.ZipFile(outcome.wheel) as archive:
        tags = archive.read("small-1.0.dist-info/WHEEL").decode()
        (name,) = [name for name in archive.namelist() if name.endswith(".so")]
        elf = ELFFile(io.BytesIO(archive.read(name)))
        assert elf["e_machine"] == "EM_AARCH64"
        # Stripped, so that nothing of where it was built is in it.
        assert elf.get_section_by_name(".symtab") is None
    assert name == f"small.cpython-{_DIGITS}-aarch64-linux-gnu.so"
    assert f"Tag: cp{_DIGITS}-cp{_DIGITS}-manylinux_2_28_aarch64\n" in tags


def test_meson_python_builds_for_the_target(tmp_path: Path) -> None:
    _check_extension(build(make_sdist(tmp_path / "sdist", _MESON), tmp_path / "build", with_=("meson",)))


def test_scikit_build_core_builds_for_the_target(tmp_path: Path) -> None:
    _check_extension(build(make_sdist(tmp_path / "sdist", _SCIKIT_BUILD), tmp_path / "build", with_=("scikit",)))


def test_pure_python_stays_for_any_machine(tmp_path: Path) -> None:
    outcome = build(make_sdist(tmp_path / "sdist", _PURE), tmp_path / "build")
    assert outcome.status == 0, outcome.said
    with zipfile.ZipFile(outcome.wheel) as archive:
        assert b"Tag: py3-none-any\n" in archive.read("small-1.0.dist-info/WHEEL")
