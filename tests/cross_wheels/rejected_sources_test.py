"""Sources that cannot be built here: each error says what is wrong and what to do, and no wheel is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cross_wheels.builds import build, make_sdist

_EXTENSION = "from setuptools import Extension, setup\nsetup(name='small', version='1.0', ext_modules=[{extension}])\n"

_HELPER = """\
    import os, subprocess
    from setuptools import setup
    open("helper.c", "w").write("int main(void) { return 0; }")
    subprocess.run([os.environ.get("CC", "cc"), "helper.c", "-o", "helper"], check=True)
    subprocess.run(["./helper"], check=True)
    setup(name="small", version="1.0")
"""

_SETUP_REQUIRES = """\
    from setuptools import setup
    setup(name="small", version="1.0", setup_requires=["nose>=1.0"])
"""

_OPTIONAL = _EXTENSION.format(extension="Extension('small', ['small.c'], optional=True)")

# Name to the sdist's files and to what the error says.
_CASES: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "wants the network": (
        {"setup.py": "import urllib.request\nurllib.request.urlopen('http://localhost.invalid/x')\n"},
        ("it wants the network", "`build_requires`", "the last 25 of", "urlopen error"),
    ),
    "runs what it compiled": (
        {"setup.py": _HELPER},
        ("it runs a program that it has just compiled, and that program is for aarch64", "Exec format error"),
    ),
    "has no backend": (
        {"pyproject.toml": "[build-system]\nrequires = ['flit_core>=3']\nbuild-backend = 'flit_core.buildapi'\n"},
        ("its pyproject.toml asks for flit_core>=3", "setuptools", "build_hub"),
    ),
    "names a backend that is not there": (
        {"pyproject.toml": "[build-system]\nrequires = []\nbuild-backend = 'absent_backend'\n"},
        ("its build imports absent_backend", "`build_deps`", "ModuleNotFoundError"),
    ),
    "asks for more while building": (
        {"setup.py": _SETUP_REQUIRES},
        ("its build asks for nose>=1.0", "`build_requires`"),
    ),
    "is for another machine": (
        {
            "setup.py": _EXTENSION.format(extension="Extension('small', ['small.c'])"),
            "setup.cfg": "[bdist_wheel]\nplat_name = linux_x86_64\n",
            "small.c": "int x;\n",
        },
        ("its tag says linux_x86_64, and the target is manylinux_2_28_aarch64", "the last", "build backend printed"),
    ),
    "leaves its extension out": (
        {"setup.py": _OPTIONAL, "small.c": "#include <absent.h>\n"},
        ("it holds no compiled file", "it includes absent.h", "`cc_deps`"),
    ),
    "lacks a header": (
        {"setup.py": _EXTENSION.format(extension="Extension('small', ['small.c'])"), "small.c": "#include <zlib.h>\n"},
        ("it includes zlib.h", "cc_library", "fatal error: 'zlib.h' file not found"),
    ),
    "lacks a library": (
        {
            "setup.py": _EXTENSION.format(extension="Extension('small', ['small.c'], libraries=['absent'])"),
            "small.c": "int x;\n",
        },
        ("it links with libabsent, of which there is none for aarch64",),
    ),
    "uses what nothing defines": (
        {
            "setup.py": _EXTENSION.format(extension="Extension('small', ['small.c'])"),
            "small.c": "int absent_function(void);\nint PyInit_small(void) { return absent_function(); }\n",
        },
        ("uses absent_function, which nothing that it is linked with defines",),
    ),
    "is Rust": (
        {"pyproject.toml": "[build-system]\nrequires = ['maturin>=1.0,<2.0']\nbuild-backend = 'maturin'\n"},
        ("is built with maturin", "Rust", "crates", "no network"),
    ),
    "says nothing of how to build it": (
        {"small.py": ""},
        ("has neither a pyproject.toml nor a setup.py",),
    ),
    "is another distribution": (
        {"setup.py": "from setuptools import setup\nsetup(name='other', version='1.0')\n"},
        ("it is a wheel of other, and small was asked for",),
    ),
    "has a malformed pyproject.toml": (
        {"pyproject.toml": "[build-system\n"},
        ("pyproject.toml is malformed",),
    ),
}


@pytest.mark.parametrize("name", _CASES)
def test_a_source_that(name: str, tmp_path: Path) -> None:
    files, wanted = _CASES[name]
    outcome = build(make_sdist(tmp_path / "sdist", files), tmp_path / "build")
    assert outcome.status == 1, outcome.said
    assert not outcome.wheel.exists()
    assert outcome.said.startswith("error: small: "), outcome.said
    assert "build_wheel.py" not in outcome.said, "a traceback of the tool's own"
    for words in wanted:
        assert words in outcome.said, outcome.said


def test_an_sdist_that_leaves_its_directory_is_refused(tmp_path: Path) -> None:
    sdist = make_sdist(tmp_path / "sdist", {"../../escape": "x"})
    outcome = build(sdist, tmp_path / "build")
    assert outcome.status == 1
    assert "leaves the directory" in outcome.said


def test_a_damaged_sdist_is_named(tmp_path: Path) -> None:
    sdist = make_sdist(tmp_path / "sdist", {"setup.py": "x" * 10000})
    sdist.write_bytes(sdist.read_bytes()[:60])
    outcome = build(sdist, tmp_path / "build")
    assert outcome.status == 1
    assert "sdist small-1.0.tar.gz: cannot be unpacked" in outcome.said
