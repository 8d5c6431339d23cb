"""Debian packages that tests put together, and the base layers that become of them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import lzma
import random
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import zstandard

from chassis.oci.layer.debian_base import BaseOptions, add_base
from chassis.oci.layer.outputs import LayerOutputs, write_layer

CERTIFICATE = b"-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n"
NOISE = random.Random(4).randbytes(700_000)


def tar(entries: Mapping[str, bytes | tarfile.TarInfo]) -> bytes:
    """A tar of files and of what `entry` makes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, given in entries.items():
            info = given if isinstance(given, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.name = name
            info.mtime = 1_600_000_000
            if isinstance(given, bytes):
                info.size = len(given)
                archive.addfile(info, io.BytesIO(given))
            else:
                data = getattr(given, "content", b"")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


class _Entry(tarfile.TarInfo):
    content: bytes


def entry(kind: bytes = tarfile.REGTYPE, mode: int = 0o644, link: str = "", content: bytes = b"") -> tarfile.TarInfo:
    """An entry of a tar that is not a plain file, or has a mode of its own."""

    info = _Entry()
    info.type, info.mode, info.linkname, info.content = kind, mode, link, content
    return info


def ar(members: dict[str, bytes]) -> bytes:
    """The archive that a package is."""
    out = b"!<arch>\n"
    for name, data in members.items():
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode()
        out += data + b"\n" * (len(data) % 2)
    return out


def _compressed(data: bytes, form: str) -> bytes:
    forms: dict[str, Callable[[bytes], bytes]] = {
        "zst": zstandard.ZstdCompressor().compress,
        "xz": lzma.compress,
        "gz": gzip.compress,
        "": bytes,
    }
    return forms[form](data)


def control_paragraph(name: str, architecture: str, version: str = "1.0-1") -> bytes:
    """What a package says of itself."""
    lines = (
        f"Package: {name}",
        f"Version: {version}",
        f"Architecture: {architecture}",
        "Description: a test",
        " more",
    )
    return "".join(f"{line}\n" for line in lines).encode()


def deb(
    directory: Path,
    name: str,
    entries: Mapping[str, bytes | tarfile.TarInfo],
    architecture: str = "amd64",
    form: str = "xz",
    postinst: str = "",
    **members: bytes,
) -> Path:
    """Writes a package, with members that replace or add to those that it has; returns its path."""
    sums = "".join(
        f"{hashlib.md5(data).hexdigest()}  {path.removeprefix('./')}\n"
        for path, data in entries.items()
        if isinstance(data, bytes)
    )
    suffix = f".{form}" if form else ""
    control = {"./control": control_paragraph(name, architecture), "./md5sums": sums.encode()}
    if postinst:
        control["./postinst"] = postinst.encode()
    parts = {
        "debian-binary": b"2.0\n",
        f"control.tar{suffix}": _compressed(tar(control), form),
        f"data.tar{suffix}": _compressed(tar(entries), form),
    }
    path = directory / f"{name}_1.0-1_{architecture}.deb"
    path.write_bytes(ar(parts | members))
    return path


def base_layer(out: Path, packages: list[Path], **options: Any) -> tuple[dict[str, dict[str, Any]], dict[str, bytes]]:
    """Makes a base's layer in `out`; returns what it lists and what its files hold, by path."""
    outputs = LayerOutputs(out / "blob", out / "descriptor", out / "files")
    chosen = BaseOptions("amd64", **options)
    layer = write_layer(outputs, lambda writer: add_base(writer, packages, chosen))
    blob = outputs.blob.read_bytes()
    content = gzip.decompress(blob)
    assert layer.diff_id == "sha256:" + hashlib.sha256(content).hexdigest()
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        contents = {m.name: file.read() for m in archive if m.isfile() and (file := archive.extractfile(m))}
        assert {(m.mtime, m.uname) for m in archive} == {(0, "")}
    return {file["path"]: file for file in json.loads(outputs.files.read_bytes())}, contents


def sample_packages(directory: Path, form: str = "xz") -> list[Path]:
    """Two packages with something of everything."""
    return [
        deb(
            directory,
            "libdemo1",
            {
                "./": entry(tarfile.DIRTYPE, 0o755),
                "./lib/": entry(tarfile.DIRTYPE, 0o755),
                "./lib/x86_64-linux-gnu/libdemo.so.1.2": b"\x7fELF" + NOISE,
                "./lib/x86_64-linux-gnu/libdemo.so.1": entry(tarfile.SYMTYPE, link="libdemo.so.1.2"),
                "./lib64/ld-demo.so.2": entry(tarfile.SYMTYPE, link="/lib/x86_64-linux-gnu/libdemo.so.1"),
                "./usr/share/doc/libdemo1/copyright": b"MIT",
                "./usr/share/doc/libdemo1/changelog.gz": b"long story",
                "./usr/share/doc/libdemo-dev": entry(tarfile.SYMTYPE, link="libdemo1"),
                "./usr/share/man/man1/demo.1.gz": b"manual",
                "./usr/share/locale/de/demo.mo": b"deutsch",
            },
            form=form,
        ),
        deb(
            directory,
            "demo",
            {
                "./bin/": entry(tarfile.DIRTYPE, 0o755),
                "./bin/demo": entry(mode=0o4755, content=b"#!/bin/sh\n"),
                "./bin/demo2": entry(tarfile.LNKTYPE, link="./bin/demo"),
                "./etc/demo.conf": entry(mode=0o664, content=b"conf"),
                "./etc/secret": entry(mode=0o640, content=b"s"),
                "./tmp/": entry(tarfile.DIRTYPE, 0o1777),
                "./var/mail/": entry(tarfile.DIRTYPE, 0o2775),
                "./usr/share/zoneinfo/Etc/UTC": b"TZif",
                "./usr/share/ca-certificates/mozilla/B.crt": CERTIFICATE % b"BB",
                "./usr/share/ca-certificates/mozilla/Főtan.crt": (CERTIFICATE % b"AA").rstrip(b"\n"),
                "./usr/share/base-passwd/passwd.master": b"root:*:0:0:root:/root:/bin/bash\n",
                "./usr/share/" + "long/" * 40 + "name": b"long",
            },
            form=form,
        ),
    ]
