"""Wheels made into layers: what is installed where, and what is refused."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import posixpath
import random
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from chassis.errors import ChassisError
from chassis.oci.layer.outputs import LayerOutputs, write_layer
from chassis.oci.layer.sample_wheels import FILES, INFO, NOISE, SITE, demo_wheel, extracted, record_of
from chassis.oci.layer.wheel import add_wheel
from chassis.oci.layer.wheel_source import WheelError, machine


def _layer(wheel: Path, out: Path, python: str = "3.11", **options) -> tuple[dict, list, bytes]:
    outputs = LayerOutputs(out / "blob", out / "descriptor", out / "files")
    write_layer(outputs, lambda writer: add_wheel(writer, wheel, "opt/venv", python), **options)
    return (
        json.loads(outputs.descriptor.read_bytes()),
        json.loads(outputs.files.read_bytes()),
        outputs.blob.read_bytes(),
    )


def test_every_scheme_lands_in_the_virtual_environment(tmp_path):
    descriptor, files, blob = _layer(demo_wheel(tmp_path), tmp_path / "out")
    found = extracted(blob)
    found.pop("stargz.index.json")
    assert descriptor["origin"] == {"kind": "wheel", "name": "demo-pkg", "version": "1.2"}
    assert found[f"{SITE}/demo_pkg/__init__.py"] == (FILES["demo_pkg/__init__.py"], 0o644)
    assert found[f"{SITE}/demo_pkg/noise.bin"] == (NOISE, 0o644)
    assert found[f"{SITE}/demo_pkg/text.txt"] == (FILES["demo_pkg/text.txt"], 0o644)
    assert found[f"{SITE}/demo_native.so"] == (b"\x7fELF library", 0o755)
    assert found["opt/venv/share/demo.txt"] == (b"data", 0o644)
    assert found["opt/venv/include/site/python3.11/demo_pkg/demo.h"] == (b"#pragma once\n", 0o644)
    assert found["opt/venv/bin/run-demo"] == (b"#!/opt/venv/bin/python\nimport demo_pkg\n", 0o755)
    assert found["opt/venv/bin/tool"] == (b"\x7fELF tool", 0o755)
    script, mode = found["opt/venv/bin/demo"]
    assert script.startswith(b"#!/opt/venv/bin/python\n") and b"from demo_pkg import main" in script and mode == 0o755
    assert found[f"{SITE}/{INFO}/INSTALLER"] == (b"chassis\n", 0o644)
    assert not any("__pycache__" in path for path in found)
    assert {file["path"] for file in files if file["type"] == "file"} == set(found)
    assert {file["mode"] for file in files if file["type"] == "dir"} == {0o755}


def test_the_installed_record_lists_every_file_with_its_digest(tmp_path):
    _, _, blob = _layer(demo_wheel(tmp_path), tmp_path / "out")
    found = extracted(blob)
    found.pop("stargz.index.json")
    rows = [line.split(",") for line in found[f"{SITE}/{INFO}/RECORD"][0].decode().splitlines()]
    assert len(rows) == len(found)
    for path, digest, size in rows:
        place = posixpath.normpath(f"{SITE}/{path}")
        data, _ = found.pop(place)
        if path == f"{INFO}/RECORD":
            assert (digest, size) == ("", "")
            continue
        assert size == str(len(data))
        assert digest == "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
    assert not found


def test_deflate_streams_are_copied_as_they_are(tmp_path):
    wheel = demo_wheel(tmp_path)
    _, _, blob = _layer(wheel, tmp_path / "out")
    with zipfile.ZipFile(wheel) as archive:
        info = archive.getinfo("demo_pkg/text.txt")
    start = info.header_offset + 30 + len(info.filename)
    assert wheel.read_bytes()[start : start + info.compress_size] in blob


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
def test_other_forms_hold_the_same_files(tmp_path, compression):
    wheel = demo_wheel(tmp_path)
    expected, files, _ = _layer(wheel, tmp_path / "estargz")
    descriptor, others, blob = _layer(wheel, tmp_path / compression, compression=compression)
    assert others == files
    if compression == "none":
        assert descriptor["digest"] == descriptor["diff_id"] == "sha256:" + hashlib.sha256(blob).hexdigest()
    assert descriptor["diff_id"] != expected["diff_id"]  # The table of contents is part of an eStargz tar.


def test_chunked_layers_hold_the_same_files(tmp_path):
    wheel = demo_wheel(tmp_path)
    _, files, blob = _layer(wheel, tmp_path / "1")
    descriptor, chunked_files, chunked = _layer(wheel, tmp_path / "2", chunk_size=1 << 16)
    assert chunked_files == files and chunked != blob
    assert descriptor["diff_id"] == "sha256:" + hashlib.sha256(gzip.decompress(chunked)).hexdigest()


def test_pip_installs_the_same_packages(tmp_path):
    pytest.importorskip("pip", reason="the comparison needs pip")
    wheel = demo_wheel(tmp_path)
    target = tmp_path / "target"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "-q",
            "--no-index",
            "--no-deps",
            "--no-compile",
            "--target",
            target,
            wheel,
        ],
        check=True,
    )
    found = {
        path.removeprefix(SITE + "/"): data
        for path, (data, _) in extracted(_layer(wheel, tmp_path / "out")[2]).items()
        if path.startswith(SITE)
    }
    for path in sorted(target.rglob("*")):
        name = str(path.relative_to(target))
        documented = (
            name.startswith(("bin/", "include/", "share/"))
            or "__pycache__" in name
            or (path.name in ("INSTALLER", "RECORD", "REQUESTED", "direct_url.json"))
        )
        if path.is_file() and not documented:
            assert found[name] == path.read_bytes(), name


# What pip takes, however odd it is: changes of the wheel, and then paths with the content that they have.
_TAKEN = {
    "data directory spelled otherwise": (
        {"Demo.Pkg-1.2.data/data/share/odd.txt": b"odd"} | {k: None for k in FILES if ".data/" in k},
        {"opt/venv/share/odd.txt": b"odd"},
    ),
    "launcher of an entry point": (
        {f"demo_pkg-1.2.data/scripts/{name}": b"old" for name in ("demo", "demo-script.py", "demo.exe")},
        {"opt/venv/bin/demo": b"from demo_pkg import main"},
    ),
    "option twice": (
        {f"{INFO}/entry_points.txt": b"[console_scripts]\ndemo = a:b\n  demo = demo_pkg:main\n[other]\nx y z =\n"},
        {"opt/venv/bin/demo": b"from demo_pkg import main"},
    ),
    "section twice, and both kinds": (
        {
            f"{INFO}/entry_points.txt": b"[gui_scripts]\ndemo=a:b\n[console_scripts]\ndemo=c:d\n"
            b"[gui_scripts]\nx = demo_pkg:main [e]"
        },
        {"opt/venv/bin/demo": b"from a import b", "opt/venv/bin/x": b"from demo_pkg import main"},
    ),
    "names that differ by case": (
        {"demo_pkg/Empty.py": b"X = 1\n", "DEMO_pkg/x.py": b""},
        {f"{SITE}/demo_pkg/Empty.py": b"X = 1\n", f"{SITE}/DEMO_pkg/x.py": b"", f"{SITE}/demo_pkg/empty.py": b""},
    ),
}


@pytest.mark.parametrize("case", _TAKEN)
def test_what_pip_takes_is_taken(tmp_path, case):
    changes, expected = _TAKEN[case]
    found = extracted(_layer(demo_wheel(tmp_path, **changes), tmp_path / "out")[2])
    for path, content in expected.items():
        assert content in found[path][0] if content else found[path][0] == b""
    assert not [path for path in found if ".data/" in path]
    assert "opt/venv/bin/demo.exe" not in found and "opt/venv/bin/demo-script.py" not in found


_REFUSED = {
    "other cpu": (
        {
            "name": "demo_pkg-1.2-py3-none-manylinux_2_17_x86_64.whl",
            f"{INFO}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: py3-none-manylinux_2_17_aarch64\n",
        },
        "WHEEL file says py3-none-many",
    ),
    "other python": (
        {"name": "demo_pkg-1.2-cp312-cp312-any.whl"},
        "built for cp312-cp312, but the image has Python 3.11",
    ),
    "no wheel name": ({"name": "demo.whl"}, "not named as a wheel"),
    "other distribution": ({"name": "other-1.2-py3-none-any.whl"}, "belongs to another distribution"),
    "no WHEEL": ({f"{INFO}/WHEEL": None}, "has no demo_pkg-1.2.dist-info/WHEEL"),
    "wheel version 2": ({f"{INFO}/WHEEL": b"Wheel-Version: 2.0\n"}, "Wheel-Version '2.0'"),
    "two dist-infos": ({"x-1.dist-info/METADATA": b""}, "2 .dist-info directories"),
    "record lies": (
        {"record": record_of(FILES | {"demo_pkg/__init__.py": b"else"})},
        "differs from its SHA-256 in RECORD",
    ),
    "record is not a table": ({"record": b"a,b,c,d\n"}, "RECORD is malformed"),
    "record is binary": ({"record": b"\xff\xfe\n"}, "is not UTF-8"),
    "bad data scheme": ({"demo_pkg-1.2.data/nowhere/x": b""}, "none of the schemes"),
    "scheme file itself": ({"demo_pkg-1.2.data/platlib": b""}, "none of the schemes"),
    "data directory is a file": (
        {"demo_pkg-1.2.data": b""} | {k: None for k in FILES if ".data/" in k},
        "none of the",
    ),
    "entry point climbs": (
        {f"{INFO}/entry_points.txt": b"[console_scripts]\n../x = a:b\n"},
        "entry point '../x'",
    ),
    "entry point malformed": (
        {f"{INFO}/entry_points.txt": b"[console_scripts]\nx = not a module!\n"},
        "entry_points.txt, line 2: 'x = not a module!' is not a script's `name = module:attribute`",
    ),
    "entry points no ini": (
        {f"{INFO}/entry_points.txt": b"nothing\n"},
        "entry_points.txt, line 1: 'nothing' is in no section",
    ),
    "file under a file": ({"demo_pkg/empty.py/x": b"x"}, "not a directory"),
    "two data directories": ({"Demo.Pkg-1.2.data/data/x": b""}, "has 2 .data directories"),
    "another's data directory": (
        {"other-1.2.data/data/x": b""} | {k: None for k in FILES if ".data/" in k},
        "other-1.2.data belongs to another distribution",
    ),
}


@pytest.mark.parametrize("case", _REFUSED)
def test_bad_wheels_are_refused_by_name_and_leave_nothing(tmp_path, case):
    changes, message = _REFUSED[case]
    wheel = demo_wheel(tmp_path, **changes)
    out = tmp_path / "out"
    with pytest.raises(WheelError, match=message) as caught:
        _layer(wheel, out)
    assert wheel.name in str(caught.value)
    assert list(out.iterdir()) == []


def test_damage_in_the_data_is_refused(tmp_path):
    wheel = demo_wheel(tmp_path)
    data = bytearray(wheel.read_bytes())
    position = data.index(NOISE) + 1000
    data[position] ^= 1
    wheel.write_bytes(data)
    with pytest.raises(WheelError, match=r"demo_pkg/noise\.bin' has CRC-32"):
        _layer(wheel, tmp_path / "out")


def test_random_damage_is_refused_or_harmless(tmp_path):
    wheel = demo_wheel(tmp_path, **{"demo_pkg/text.txt": b"short", "demo_pkg/noise.bin": b"noise"})
    data = wheel.read_bytes()
    rng = random.Random(3)
    for turn in range(150):
        damaged = bytearray(data)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        wheel.write_bytes(damaged)
        out = tmp_path / str(turn)
        try:
            _, files, _ = _layer(wheel, out)
        except ChassisError as error:
            assert wheel.name in str(error)
            assert list(out.iterdir()) == []
        else:
            assert all(file["path"].startswith("opt") for file in files)


@pytest.mark.parametrize(
    ("tags", "fits"),
    {
        "py3-none-any": True,
        "py2.py3-none-any": True,
        "py2-none-any": False,
        "cp311-cp311-manylinux_2_17_x86_64": True,
        "cp311-none-any": True,
        "cp310-cp310-linux_x86_64": False,
        "cp37-abi3-linux_x86_64": True,
        "cp312-abi3-linux_x86_64": False,
        "py311-none-any": True,
        "py312-none-any": False,
        "pp310-pypy310_pp73-any": False,
    }.items(),
)
def test_wheels_are_taken_for_the_python_that_they_fit(tmp_path, tags, fits):
    inside = "".join(f"Tag: {tags.split('-')[0]}-{tags.split('-')[1]}-{tags.split('-')[2]}\n")
    wheel = demo_wheel(
        tmp_path,
        name=f"demo_pkg-1.2-{tags}.whl",
        **{f"{INFO}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\n{inside}".encode()},
    )
    if fits:
        _layer(wheel, tmp_path / "out")
    else:
        with pytest.raises(WheelError, match="but the image has Python"):
            _layer(wheel, tmp_path / "out")


def test_machines_of_platform_tags():
    expected = {
        "cp311-cp311-manylinux_2_17_x86_64": "x86_64",
        "cp311-cp311-manylinux2014_aarch64": "aarch64",
        "cp311-cp311-musllinux_1_2_aarch64": "aarch64",
        "py3-none-manylinux2014_sbsa": "aarch64",
        "py3-none-linux_armv7l": "armv7l",
        "py3-none-any": "any",
        "cp311-cp311-macosx_11_0_arm64": "macosx_11_0_arm64",
    }
    assert {tag: machine(tag) for tag in expected} == expected
