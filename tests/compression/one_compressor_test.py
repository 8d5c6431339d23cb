"""Nothing of the tools compresses but with the compressor whose bytes depend on the content alone.

zlib's differ between versions, which come with Python; ISA-L's and others' between processors. zstd is used by
the one encoder whose layers `processors_test.py` compares. What a server answers has no digest: `chassis/runtime` may
compress as it likes.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

_CHASSIS = Path(__file__).parents[2] / "chassis"
_COMPRESSES = {
    "BZ2Compressor",
    "LZMACompressor",
    "ZIP_BZIP2",
    "ZIP_DEFLATED",
    "ZIP_LZMA",
    "ZstdCompressor",
    "compress",
    "compressobj",
    "deflate_compress",
    "gzip_compress",
    "make_archive",
    "zlib_compress",
}
_ALLOWED = {
    ("compression/compressor.py", "deflate_compress"),
    ("oci/layer/members.py", "ZstdCompressor"),
    ("oci/layer/members.py", "compressobj"),
    ("oci/layer/members.py", "compress"),
    # Compares the method of what it reads.
    ("oci/layer/zip_index.py", "ZIP_DEFLATED"),
}


def compressing(source: str) -> Iterator[str]:
    """The names in a module that compress."""
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Attribute):
            names = [node.attr]
        elif isinstance(node, ast.ImportFrom):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names = [node.value] if node.value.startswith(("w:", "w|", "x:")) and node.value[2:] else []
        yield from (name for name in names if name in _COMPRESSES or name.startswith(("w:", "w|", "x:")))


def _own() -> dict[str, str]:
    modules = [path for path in _CHASSIS.rglob("*.py") if path.relative_to(_CHASSIS).parts[0] != "runtime"]
    modules = [path for path in modules if not path.name.endswith("_test.py") and "sample_" not in path.name]
    return {path.relative_to(_CHASSIS).as_posix(): path.read_text() for path in modules}


def test_one_module_compresses_and_one_writes_zstd() -> None:
    modules = _own()
    some = {"cross/wheel_archive.py", "oci/archive.py", "packed_model/saved_package.py", "tools/pack_wheel.py"}
    assert some <= modules.keys()
    found = {(path, name) for path, source in modules.items() for name in compressing(source)}
    assert found == _ALLOWED


def test_what_compresses_is_seen() -> None:
    for line in (
        "from zlib import compress",
        "isal_zlib.compressobj(2)",
        "archive = zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED)",
        "tarfile.open(path, mode='w:gz')",
        "tarfile.open(fileobj=stream, mode='w|gz')",
        "shutil.make_archive('a', 'gztar')",
    ):
        assert list(compressing(line)), line
