"""Small archives of every kind that layers are made of, put together byte by byte so that each part can lie."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import lzma
import struct
import tarfile
import zlib
from dataclasses import dataclass, field, replace

WHEEL_NAME = "demo_pkg-1.2-py3-none-any.whl"
DIST_INFO = "demo_pkg-1.2.dist-info"
DEB_NAME = "demo_1.0-1_amd64.deb"
STORED, DEFLATED = 0, 8

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")


@dataclass(frozen=True, slots=True)
class Member:
    """A file of a zip archive; what is None is what it should be.

    `flags`, `crc`, `stored_size` and `size` are stated in both headers; `local` names fields of the local header that
    differ from the central one, by their position in it.
    """

    name: bytes
    data: bytes = b""
    method: int = DEFLATED
    flags: int = 0
    mode: int = 0o100644
    crc: int | None = None
    stored_size: int | None = None
    size: int | None = None
    raw: bytes | None = None
    local: dict[int, int | bytes] = field(default_factory=dict)
    extra: bytes = b""
    local_extra: bytes = b""

    def stored(self) -> bytes:
        """The data as they lie in the archive."""
        if self.raw is not None:
            return self.raw
        return zlib.compress(self.data, 6, -15) if self.method == DEFLATED else self.data


def zip_archive(members: list[Member], comment: bytes = b"", count: int | None = None) -> bytes:
    """A zip archive without zip64 records."""
    out, directory = bytearray(), bytearray()
    for member in members:
        stored = member.stored()
        crc = zlib.crc32(member.data) if member.crc is None else member.crc
        stored_size = len(stored) if member.stored_size is None else member.stored_size
        size = len(member.data) if member.size is None else member.size
        fields = [20, member.flags, member.method, 0, 0x21, crc, stored_size, size, len(member.name)]
        local: list[int | bytes] = [b"PK\3\4", *fields, len(member.local_extra)]
        for position, value in member.local.items():
            local[position] = value
        offset = len(out)
        out += _LOCAL.pack(*local) + member.name + member.local_extra + stored
        directory += _CENTRAL.pack(
            b"PK\1\2", 0x314, *fields, len(member.extra), 0, 0, 0, member.mode << 16, offset
        )  # fmt: skip
        directory += member.name + member.extra
    number = len(members) if count is None else count
    end = _END.pack(b"PK\5\6", 0, 0, number, number, len(directory), len(out), len(comment))
    return bytes(out + directory + end + comment)


def wheel_files() -> dict[str, bytes]:
    """The files of a small wheel that has a bit of everything, without its RECORD."""
    return {
        "demo_pkg/__init__.py": b"def main():\n    print('hello')\n",
        "demo_pkg/data/table.bin": bytes(range(256)) * 20,
        "demo_pkg/empty.py": b"",
        "demo_pkg-1.2.data/scripts/run": b"#!python\nimport demo_pkg\n",
        "demo_pkg-1.2.data/data/share/demo.txt": b"demo",
        f"{DIST_INFO}/METADATA": b"Metadata-Version: 2.1\nName: demo-pkg\nVersion: 1.2\n",
        f"{DIST_INFO}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{DIST_INFO}/entry_points.txt": b"[console_scripts]\ndemo = demo_pkg:main\n",
    }


def wheel_members(files: dict[str, bytes] | None = None) -> list[Member]:
    """The members of the small wheel, RECORD last."""
    files = wheel_files() if files is None else files
    members = [Member(name.encode(), data) for name, data in files.items()]
    return [*members, Member(f"{DIST_INFO}/RECORD".encode(), record(members))]


def record(members: list[Member]) -> bytes:
    """A RECORD of these members (PyPA, "Recording installed projects")."""
    rows = []
    for member in members:
        digest = base64.urlsafe_b64encode(hashlib.sha256(member.data).digest()).decode().rstrip("=")
        rows.append(f"{member.name.decode('utf-8', 'replace')},sha256={digest},{len(member.data)}\n")
    return "".join([*rows, f"{DIST_INFO}/RECORD,,\n"]).encode()


def wheel_with(*more: Member, name: bytes = b"", **changes: object) -> bytes:
    """The small wheel with further members, or with fields of the member `name` changed."""
    changed = [replace(member, **changes) if member.name == name else member for member in wheel_members()]  # type: ignore[arg-type]
    return zip_archive([*changed[:-1], *more, changed[-1]])


def tar_header(
    name: bytes,
    kind: bytes = b"0",
    size: int = 0,
    link: bytes = b"",
    mode: int = 0o644,
    magic: bytes = b"ustar\0" + b"00",
    checksum: int | None = None,
) -> bytes:
    """One header block."""
    block = bytearray(512)
    block[:100] = name[:100].ljust(100, b"\0")
    block[100:148] = b"%07o\0%07o\0%07o\0%011o\0%011o\0" % (mode, 0, 0, size, 0)
    block[148:156] = b" " * 8
    block[156:157] = kind
    block[157:257] = link[:100].ljust(100, b"\0")
    block[257:265] = magic
    block[148:156] = b"%06o\0 " % (sum(block) if checksum is None else checksum)
    return bytes(block)


def base256_size(name: bytes, size: int) -> bytes:
    """A header whose size is in GNU's base 256, which octal digits cannot hold."""
    block = bytearray(tar_header(name))
    block[124:136] = (size & (1 << 96) - 1).to_bytes(12, "big")
    block[124] |= 0x80
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def tar_entry(name: bytes, data: bytes = b"", kind: bytes = b"0", **fields: object) -> bytes:
    """A header with its data, padded to whole blocks."""
    return tar_header(name, kind, fields.pop("size", len(data)), **fields) + data + bytes(-len(data) % 512)  # type: ignore[arg-type]


def pax_entry(name: bytes, data: bytes = b"", **records: bytes) -> bytes:
    """A file with a PAX header before it."""
    body = b"".join(pax_record(key.replace("__", ".").encode(), value) for key, value in records.items())
    return tar_entry(b"pax", body, b"x") + tar_entry(name, data)


def pax_record(key: bytes, value: bytes) -> bytes:
    """`<length> key=value`, the length counting itself."""
    body = b" " + key + b"=" + value + b"\n"
    length = len(body) + 1
    while length != len(body) + len(str(length)):
        length = len(body) + len(str(length))
    return str(length).encode() + body


TAR_END = bytes(1024)


def tar_archive(entries: dict[str, bytes]) -> bytes:
    """A tar of files, as Python writes it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, data in entries.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def ar_archive(members: list[tuple[bytes, bytes]]) -> bytes:
    """An ar archive."""
    return b"!<arch>\n" + b"".join(ar_member(name, data) for name, data in members)


def ar_member(name: bytes, data: bytes, size: bytes | None = None, end: bytes = b"`\n") -> bytes:
    """A member with its header."""
    stated = b"%d" % len(data) if size is None else size
    header = name.ljust(16) + b"0".ljust(12) + b"0".ljust(6) + b"0".ljust(6) + b"100644".ljust(8) + stated.ljust(10)
    return header + end + data + b"\n" * (len(data) % 2)


CONTROL = b"Package: demo\nVersion: 1.0-1\nArchitecture: amd64\nDescription: a test\n"


def deb_members(data_tar: bytes, form: str = "xz") -> list[tuple[bytes, bytes]]:
    """The members of a package with that data.tar, plain or compressed as `form` says (xz, gz, empty for not)."""
    compress = {"xz": lzma.compress, "gz": lambda data: gzip.compress(data, mtime=0), "": bytes}[form]
    suffix = f".{form}".encode() if form else b""
    return [
        (b"debian-binary", b"2.0\n"),
        (b"control.tar" + suffix, compress(tar_archive({"./control": CONTROL}))),
        (b"data.tar" + suffix, compress(data_tar)),
    ]


def deb(*entries: bytes, form: str = "xz") -> bytes:
    """A package whose data.tar is these entries and an end."""
    return ar_archive(deb_members(b"".join(entries) + TAR_END, form))


def sample_deb(form: str = "xz") -> bytes:
    """A small package with links, a script that nobody runs, and documentation."""
    return deb(
        tar_entry(b"./", kind=b"5", mode=0o755),
        tar_entry(b"./usr/bin/demo", b"#!/bin/sh\n", mode=0o755),
        tar_entry(b"./lib/demo.so.1", b"\x7fELF" + bytes(2000)),
        tar_entry(b"./lib/demo.so", kind=b"2", link=b"demo.so.1"),
        tar_entry(b"./usr/bin/again", kind=b"1", link=b"./usr/bin/demo"),
        tar_entry(b"./usr/share/doc/demo/copyright", b"MIT"),
        form=form,
    )
