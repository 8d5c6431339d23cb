"""Files and directories made into layers, as Bazel lays its inputs out."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from chassis.oci.descriptor import Origin
from chassis.oci.layer.bytecode import BytecodeCompiler, bytecode_path, running_version
from chassis.oci.layer.error import LayerError
from chassis.oci.layer.files import Entry, Link, add_files
from chassis.oci.layer.outputs import LayerOutputs, write_layer


def _layer(out: Path, entries: list[Entry], links: tuple[Link, ...] = ()) -> tuple[dict[str, dict], bytes]:
    outputs = LayerOutputs(out / "blob", out / "descriptor", out / "files")

    def fill(writer):
        add_files(writer, entries, links)
        return Origin("code", "test")

    write_layer(outputs, fill)
    return {file["path"]: file for file in json.loads(outputs.files.read_bytes())}, outputs.blob.read_bytes()


def _tree(root: Path) -> Path:
    tree = root / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "void").mkdir()
    (tree / "a.py").write_bytes(b"print(1)\n")
    (tree / "sub" / "run.sh").write_bytes(b"#!/bin/sh\n")
    (tree / "sub" / "lib.so").write_bytes(b"\x7fELF...")
    (tree / "sub" / "big.bin").write_bytes(b"big" * 5000)
    (tree / "copy.bin").write_bytes(b"big" * 5000)
    return tree


def test_trees_are_walked_in_order_with_modes_made_from_content(tmp_path):
    tree = _tree(tmp_path)
    for path in tree.rglob("*"):
        path.chmod(0o555)
    files, _ = _layer(tmp_path / "out", [Entry("app/code", tree)])
    assert list(files) == sorted(files)
    modes = {path: file["mode"] for path, file in files.items() if file["type"] == "file"}
    assert modes == {
        "app/code/a.py": 0o644,
        "app/code/copy.bin": 0o644,
        "app/code/sub/lib.so": 0o755,
        "app/code/sub/run.sh": 0o755,
    }
    assert "app/code/void" not in files, "a sandbox would not have it either"
    assert {file["mode"] for file in files.values() if file["type"] == "dir"} == {0o755}


def test_identical_files_are_written_once(tmp_path):
    files, blob = _layer(tmp_path / "out", [Entry("d", _tree(tmp_path))])
    assert files["d/sub/big.bin"]["type"] == "hardlink"
    assert files["d/sub/big.bin"]["link"] == "d/copy.bin"
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob))) as archive:
        assert archive.extractfile("d/sub/big.bin").read() == b"big" * 5000


def test_links_are_followed_to_their_content(tmp_path):
    tree = _tree(tmp_path)
    sandbox = tmp_path / "sandbox"
    (sandbox / "d").mkdir(parents=True)
    (sandbox / "a.py").symlink_to(tree / "a.py")
    (sandbox / "d" / "sub").symlink_to(tree / "sub")
    (sandbox / "d" / "again").symlink_to(tree / "sub")
    files, _ = _layer(tmp_path / "out", [Entry("x.py", sandbox / "a.py"), Entry("d", sandbox / "d")])
    assert files["x.py"]["type"] == files["d/sub/run.sh"]["type"] == files["d/again/run.sh"]["type"] == "file"


def test_symbolic_links_are_made(tmp_path):
    links = (Link("bin/python", "/usr/bin/python3.11"), Link("bin/python3", "python"))
    files, _ = _layer(tmp_path / "out", [Entry("bin/x", _tree(tmp_path) / "a.py")], links)
    assert files["bin/python"]["link"] == "/usr/bin/python3.11"
    assert list(files) == ["bin", "bin/python", "bin/python3", "bin/x"]


def test_the_order_and_form_of_inputs_do_not_change_the_layer(tmp_path):
    tree = _tree(tmp_path)
    entries = [Entry(f"d/{path.relative_to(tree)}", path) for path in tree.rglob("*") if path.is_file()]
    entries.append(Entry("d", tree / "void"))
    _, first = _layer(tmp_path / "1", entries)
    _, second = _layer(tmp_path / "2", entries[::-1])
    _, third = _layer(tmp_path / "3", [Entry("/d/", tree)])
    assert first == second == third


def test_one_path_given_twice_must_agree(tmp_path):
    tree = _tree(tmp_path)
    entries = [
        Entry("x", tree / "copy.bin"),
        Entry("x", tree / "sub" / "big.bin"),
        Entry("x", tree / "copy.bin"),
    ]
    files, _ = _layer(tmp_path / "1", entries)
    assert files["x"]["size"] == 15000
    with pytest.raises(LayerError, match="'x' is to hold both"):
        _layer(tmp_path / "2", [Entry("x", tree / "copy.bin"), Entry("x", tree / "a.py")])
    with pytest.raises(LayerError, match="'x' is to link to both"):
        _layer(tmp_path / "3", [], (Link("x", "a"), Link("x", "b")))
    with pytest.raises(LayerError, match="'x' is there twice"):
        _layer(tmp_path / "4", [Entry("x", tree / "a.py")], (Link("x", "b"),))
    for out in "234":
        assert list((tmp_path / out).iterdir()) == []


def test_bad_sources_are_refused(tmp_path):
    tree = _tree(tmp_path)
    (tree / "sub" / "loop").symlink_to(tree)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to("nowhere")
    cases = {
        "leads back": Entry("d", tree),
        "neither a file nor": Entry("p", tmp_path / "pipe"),
        "a link to 'nowhere'": Entry("l", tmp_path / "dangling"),
        "is missing": Entry("m", tmp_path / "missing"),
        "climbs out": Entry("../x", tree / "a.py"),
        "table of contents": Entry("stargz.index.json", tree / "a.py"),
    }
    for message, entry in cases.items():
        with pytest.raises(Exception, match=message):
            _layer(tmp_path / "out", [entry])
    assert list((tmp_path / "out").iterdir()) == []


def test_modules_bring_their_bytecode_where_the_entries_have_none(tmp_path):
    tree = _tree(tmp_path)
    (tree / "sub" / "own.py").write_bytes(b"VALUE = 1\n")
    own = tree / bytecode_path("sub/own.py", running_version())
    own.parent.mkdir()
    own.write_bytes(b"as it is")
    outputs = LayerOutputs(tmp_path / "blob", tmp_path / "descriptor", tmp_path / "files")

    def fill(writer):
        with BytecodeCompiler(running_version()) as compiler:
            add_files(writer, [Entry("app/code", tree)], bytecode=compiler)
        return Origin("code", "test")

    write_layer(outputs, fill)
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(outputs.blob.read_bytes()))) as archive:
        found = {m.name: archive.extractfile(m).read() for m in archive if m.name.endswith(".pyc")}
    assert found.keys() == {
        bytecode_path("app/code/a.py", running_version()),
        bytecode_path("app/code/sub/own.py", running_version()),
    }
    assert found[bytecode_path("app/code/sub/own.py", running_version())] == b"as it is"
    assert b"/app/code/a.py" in found[bytecode_path("app/code/a.py", running_version())]


def test_an_empty_directory_that_is_named_itself_is_there(tmp_path):
    (tmp_path / "empty").mkdir()
    files, _ = _layer(tmp_path / "out", [Entry("app/data/empty", tmp_path / "empty")])
    assert files["app/data/empty"]["type"] == "dir"


def test_modes_and_dates_of_the_inputs_do_not_change_the_layer(tmp_path):
    layers = []
    for number, (mode, date) in enumerate([(0o755, 1), (0o644, 1_700_000_000), (0o500, 1_800_000_000)]):
        tree = _tree(tmp_path / str(number))
        for path in tree.rglob("*"):
            path.chmod(mode if path.is_file() else 0o755)
            os.utime(path, (date, date))
        layers.append(_layer(tmp_path / f"out{number}", [Entry("d", tree)])[1])
    assert layers[0] == layers[1] == layers[2]
