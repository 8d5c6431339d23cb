"""Prints what the compressors of this machine make of `vectors.py`, and a layer of it, as a JSON object of SHA-256.

It runs on any Python that has `deflate`, `isal` and `zstandard`: on the tools' own, and on that of another machine
under its emulator. `./bazelw run //tests/compression:digests > tests/compression/digests.json` records anew.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from deflate import deflate_compress

from chassis.compression.compressor import deflated
from chassis.compression.wheel_writer import write_wheel
from chassis.oci.descriptor import Origin
from chassis.oci.layer.deflate_source import DeflateSource
from chassis.oci.layer.writer import Compression, LayerWriter
from tests.compression.vectors import noise, vectors, weights

_COMPRESSIONS: tuple[Compression, ...] = ("estargz", "zstd")
_SPLICED_LEVELS = (1, 12)
_CHUNK_BYTES = 1 << 16
_ONE_IN = 3


def digests() -> dict[str, str]:
    """By what was compressed: the SHA-256 of the stream, of the layer in each form, or of the wheel."""
    contents = dict(vectors())
    found = {f"deflate: {name}": _sha256(deflated(_anywhere(name, data))) for name, data in contents.items()}
    with tempfile.TemporaryDirectory() as directory:
        some = dict(itertools.islice(contents.items(), None, None, _ONE_IN))
        for compression in _COMPRESSIONS:
            found[f"layer: {compression}"] = _layer(Path(directory, compression), some, compression)
        wheel = Path(directory, "wheel")
        write_wheel(wheel, {f"small/{name}": data for name, data in contents.items()}, "small-1.0.dist-info")
        found["wheel"] = _sha256(wheel.read_bytes())
    return found


def _anywhere(name: str, data: bytes) -> memoryview:
    """The same bytes, at an address that is aligned to nothing and that differs from run to run."""
    before = (len(name) + os.getpid()) % 64
    return memoryview(noise("before", before) + data + noise("after", 64))[before : before + len(data)]


def _layer(blob: Path, contents: dict[str, bytes], compression: Compression) -> str:
    with LayerWriter(blob, compression, _CHUNK_BYTES if compression == "estargz" else 0) as writer:
        for name, data in contents.items():
            writer.add_bytes(f"bytes/{name}", data)
            for level in _SPLICED_LEVELS if 0 < len(data) < 1 << 15 else ():
                writer.add_deflated(f"spliced/{level}/{name}", _spliced(data, level))
        sampled = weights("sampled", 1 << 20)
        writer.add_stream("sampled", io.BytesIO(sampled), len(sampled))
        return writer.finish(Origin("code", "vectors")).layer.descriptor.digest.removeprefix("sha256:")


def _spliced(data: bytes, level: int) -> DeflateSource:
    raw = bytes(deflate_compress(data, level))
    return DeflateSource(io.BytesIO(raw).read, len(raw), len(data), zlib.crc32(data))


def _sha256(data: bytes | bytearray) -> str:
    return hashlib.sha256(data).hexdigest()


def _rows(found: dict[str, str]) -> Iterator[str]:
    return (f"  {json.dumps(name)}: {json.dumps(digest)}" for name, digest in found.items())


if __name__ == "__main__":
    sys.stdout.write("{\n" + ",\n".join(_rows(digests())) + "\n}\n")
