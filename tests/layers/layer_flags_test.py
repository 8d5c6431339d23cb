"""What the flags of //rules make of an image: bytecode, the form of its layers, and what its target's files are."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from chassis.declaration.pythons import DEFAULT_PYTHON
from chassis.oci.layout_reader import LayoutReader
from chassis.oci.rootfs import unpack

_SITE = f"opt/venv/lib/python{DEFAULT_PYTHON}/site-packages"
_MODULES = {f"{name}/__init__.py" for name in ("shared_by_all", "tiny_0", "tiny_1", "tiny_2")} | {
    f"shared_by_all/tiny_{number}.py" for number in range(3)
}


def _layout(name: str) -> Path:
    return Path(os.environ[name])


def _files(name: str, folder: Path) -> dict[str, bytes]:
    """What is installed, by its path in site-packages."""
    unpack(LayoutReader(_layout(name)), folder / name)
    site = folder / name / _SITE
    return {str(path.relative_to(site)): path.read_bytes() for path in site.rglob("*") if path.is_file()}


def _bytecode(files: dict[str, bytes]) -> set[str]:
    return {path for path in files if path.endswith(".pyc")}


def _expected(module: str) -> str:
    folder, _, name = module.rpartition("/")
    return f"{folder}/__pycache__/{name.removesuffix('.py')}.cpython-{DEFAULT_PYTHON.replace('.', '')}.pyc"


def test_every_module_that_is_not_empty_has_its_bytecode(tmp_path: Path) -> None:
    assert _bytecode(_files("THREE", tmp_path)) == {
        _expected(path) for path in _MODULES - {"shared_by_all/__init__.py"}
    }


def test_python_runs_the_bytecode_and_never_looks_at_the_source(tmp_path: Path) -> None:
    _files("THREE", tmp_path)
    site = tmp_path / "THREE" / _SITE
    (site / "tiny_1/__init__.py").write_text("raise ImportError('the source was compiled')\n")
    program = "import tiny_1, sys; print(tiny_1.VERSION, tiny_1.__cached__ == sys.argv[1])"
    done = subprocess.run(
        [os.environ["PYTHON_OF_IMAGE"], "-c", program, str(site / _expected("tiny_1/__init__.py"))],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.returncode) == ("1.0 True\n", 0), done.stderr


def test_bytecode_false_leaves_it_out_and_nothing_else(tmp_path: Path) -> None:
    compiled, plain = _files("THREE", tmp_path), _files("IN_ZSTD_WITHOUT_BYTECODE", tmp_path)
    assert _bytecode(plain) == set()
    assert compiled.keys() - plain.keys() == _bytecode(compiled)
    # RECORD lists the bytecode.
    assert all(plain[path] == compiled[path] for path in plain if not path.endswith("/RECORD"))


def test_compression_is_the_form_of_every_layer() -> None:
    manifest, _ = LayoutReader(_layout("IN_ZSTD_WITHOUT_BYTECODE")).image()
    found = [(layer.media_type, dict(layer.annotations)) for layer in manifest.blobs[1:]]
    assert found == [("application/vnd.oci.image.layer.v1.tar+zstd", {})] * 2


def test_chunk_size_cuts_larger_files(tmp_path: Path) -> None:
    assert _files("IN_CHUNKS", tmp_path) == _files("THREE", tmp_path)
    chunked, whole = _tables("IN_CHUNKS"), _tables("THREE")
    assert [entry for entry in whole if entry["type"] == "chunk"] == []
    sizes = [
        entry["chunkSize"]
        for entry in chunked
        if entry["name"] == f"{_SITE}/tiny_1/__init__.py" and "chunkSize" in entry
    ]
    assert sizes[0] == 8
    assert len([entry for entry in chunked if entry["type"] == "chunk"]) > 20


def test_files_without_layouts_are_documents_of_the_same_image() -> None:
    documents = _layout("AS_DOCUMENTS")
    assert (documents / "index.json").read_bytes() == (_layout("THREE") / "index.json").read_bytes()
    manifest, _ = LayoutReader(_layout("THREE")).image()
    names = {path.name for path in (documents / "blobs/sha256").iterdir()}
    digest = json.loads((documents / "index.json").read_bytes())["manifests"][0]["digest"]
    assert names == {value.removeprefix("sha256:") for value in (digest, manifest.blobs[0].digest)}
    layers = {layer.digest.removeprefix("sha256:") for layer in manifest.blobs[1:]}
    assert len(layers) == 2
    assert layers <= {path.name for path in (_layout("THREE") / "blobs/sha256").iterdir()}


def _tables(name: str) -> list[dict]:
    """The entries of all layers' tables of contents."""
    reader = LayoutReader(_layout(name))
    manifest, _ = reader.image()
    entries = []
    for layer in manifest.blobs[1:]:
        done = subprocess.run(
            ["tar", "--extract", "--gzip", "--to-stdout", f"--file={reader.blob_path(layer)}", "stargz.index.json"],
            capture_output=True,
            check=True,
            timeout=60,
        )
        entries += json.loads(done.stdout)["entries"]
    return entries
