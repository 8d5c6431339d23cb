"""Debian packages made into a base layer; the packages are put together here."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import lzma
import random
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from chassis.oci.layer.base import BaseOptions, add_base, add_base_layers
from chassis.oci.layer.bytecode import BytecodeCompiler, bytecode_path, running_version
from chassis.oci.layer.deb import DebError, open_package
from chassis.oci.layer.outputs import LayerOutputs, write_layer, write_layers

_CERTIFICATE = b"-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n"
_NOISE = random.Random(4).randbytes(700_000)


def _tar(entries: dict[str, bytes | tarfile.TarInfo]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, entry in entries.items():
            info = entry if isinstance(entry, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.name = name
            info.mtime = 1_600_000_000
            if isinstance(entry, bytes):
                info.size = len(entry)
                archive.addfile(info, io.BytesIO(entry))
            else:
                data = getattr(entry, "content", b"")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _entry(kind: bytes = tarfile.REGTYPE, mode: int = 0o644, link: str = "", content: bytes = b"") -> tarfile.TarInfo:
    class Info(tarfile.TarInfo):
        pass

    info = Info()
    info.type, info.mode, info.linkname, info.content = kind, mode, link, content
    return info


def _ar(members: dict[str, bytes]) -> bytes:
    out = b"!<arch>\n"
    for name, data in members.items():
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode()
        out += data + b"\n" * (len(data) % 2)
    return out


def _compressed(data: bytes, form: str) -> bytes:
    if form == "zst":
        return pytest.importorskip("zstandard", reason="only .zst needs it").ZstdCompressor().compress(data)
    return {"xz": lzma.compress, "gz": gzip.compress, "": lambda plain: plain}[form](data)


def _control(name: str, architecture: str, version: str = "1.0-1") -> bytes:
    lines = (
        f"Package: {name}",
        f"Version: {version}",
        f"Architecture: {architecture}",
        "Description: a test",
        " more",
    )
    return "".join(f"{line}\n" for line in lines).encode()


def _deb(
    directory: Path,
    name: str,
    entries: dict[str, bytes | tarfile.TarInfo],
    architecture: str = "amd64",
    form: str = "xz",
    postinst: str = "",
    **members: bytes,
) -> Path:
    sums = "".join(
        f"{hashlib.md5(data).hexdigest()}  {path.removeprefix('./')}\n"
        for path, data in entries.items()
        if isinstance(data, bytes)
    )
    suffix = f".{form}" if form else ""
    control = {"./control": _control(name, architecture), "./md5sums": sums.encode()}
    if postinst:
        control["./postinst"] = postinst.encode()
    parts = {
        "debian-binary": b"2.0\n",
        f"control.tar{suffix}": _compressed(_tar(control), form),
        f"data.tar{suffix}": _compressed(_tar(entries), form),
    }
    path = directory / f"{name}_1.0-1_{architecture}.deb"
    path.write_bytes(_ar(parts | members))
    return path


def _layer(out: Path, packages: list[Path], **options) -> tuple[dict[str, dict], dict[str, bytes]]:
    outputs = LayerOutputs(out / "blob", out / "descriptor", out / "files")
    chosen = BaseOptions("amd64", **options)
    layer = write_layer(outputs, lambda writer: add_base(writer, packages, chosen))
    blob = outputs.blob.read_bytes()
    tar = gzip.decompress(blob)
    assert layer.diff_id == "sha256:" + hashlib.sha256(tar).hexdigest()
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        contents = {m.name: archive.extractfile(m).read() for m in archive if m.isfile()}
        assert {(m.mtime, m.uname) for m in archive} == {(0, "")}
    return {file["path"]: file for file in json.loads(outputs.files.read_bytes())}, contents


def _sample(directory: Path, form: str = "xz") -> list[Path]:
    return [
        _deb(
            directory,
            "libdemo1",
            {
                "./": _entry(tarfile.DIRTYPE, 0o755),
                "./lib/": _entry(tarfile.DIRTYPE, 0o755),
                "./lib/x86_64-linux-gnu/libdemo.so.1.2": b"\x7fELF" + _NOISE,
                "./lib/x86_64-linux-gnu/libdemo.so.1": _entry(tarfile.SYMTYPE, link="libdemo.so.1.2"),
                "./lib64/ld-demo.so.2": _entry(tarfile.SYMTYPE, link="/lib/x86_64-linux-gnu/libdemo.so.1"),
                "./usr/share/doc/libdemo1/copyright": b"MIT",
                "./usr/share/doc/libdemo1/changelog.gz": b"long story",
                "./usr/share/doc/libdemo-dev": _entry(tarfile.SYMTYPE, link="libdemo1"),
                "./usr/share/man/man1/demo.1.gz": b"manual",
                "./usr/share/locale/de/demo.mo": b"deutsch",
            },
            form=form,
        ),
        _deb(
            directory,
            "demo",
            {
                "./bin/": _entry(tarfile.DIRTYPE, 0o755),
                "./bin/demo": _entry(mode=0o4755, content=b"#!/bin/sh\n"),
                "./bin/demo2": _entry(tarfile.LNKTYPE, link="./bin/demo"),
                "./etc/demo.conf": _entry(mode=0o664, content=b"conf"),
                "./etc/secret": _entry(mode=0o640, content=b"s"),
                "./tmp/": _entry(tarfile.DIRTYPE, 0o1777),
                "./var/mail/": _entry(tarfile.DIRTYPE, 0o2775),
                "./usr/share/zoneinfo/Etc/UTC": b"TZif",
                "./usr/share/ca-certificates/mozilla/B.crt": _CERTIFICATE % b"BB",
                "./usr/share/ca-certificates/mozilla/Főtan.crt": (_CERTIFICATE % b"AA").rstrip(b"\n"),
                "./usr/share/base-passwd/passwd.master": b"root:*:0:0:root:/root:/bin/bash\n",
                "./usr/share/" + "long/" * 40 + "name": b"long",
            },
            form=form,
        ),
    ]


@pytest.mark.parametrize("form", ["xz", "gz", "zst", ""])
def test_packages_are_installed_on_a_merged_usr(tmp_path, form):
    files, contents = _layer(tmp_path / "out", _sample(tmp_path, form))
    assert contents["usr/lib/x86_64-linux-gnu/libdemo.so.1.2"] == b"\x7fELF" + _NOISE
    assert files["usr/lib/x86_64-linux-gnu/libdemo.so.1"]["link"] == "libdemo.so.1.2"
    assert files["usr/bin/demo2"]["link"] == "usr/bin/demo"
    assert {path: files[path]["link"] for path in ("bin", "lib", "lib64")} == {
        "bin": "usr/bin",
        "lib": "usr/lib",
        "lib64": "usr/lib64",
    }
    assert "sbin" not in files
    assert contents["usr/share/" + "long/" * 40 + "name"] == b"long"


def test_modes_are_normalised(tmp_path):
    files, _ = _layer(tmp_path / "out", _sample(tmp_path))
    expected = {
        "usr/bin/demo": 0o755,
        "etc/demo.conf": 0o644,
        "etc/secret": 0o640,
        "tmp": 0o1777,
        "var/tmp": 0o1777,
        "var/mail": 0o755,
        "root": 0o700,
        "home/nonroot": 0o700,
    }
    assert {path: files[path]["mode"] for path in expected} == expected


def test_documentation_is_dropped_but_copyright(tmp_path):
    files, contents = _layer(tmp_path / "out", _sample(tmp_path))
    docs = sorted(path for path in files if path.startswith(("usr/share/doc/", "usr/share/man", "usr/share/locale")))
    assert docs == [
        "usr/share/doc/libdemo-dev",
        "usr/share/doc/libdemo1",
        "usr/share/doc/libdemo1/copyright",
    ]
    assert b"changelog" not in contents["var/lib/dpkg/status.d/libdemo1.md5sums"]
    kept, _ = _layer(tmp_path / "kept", _sample(tmp_path), keep_docs=True)
    assert "usr/share/man/man1/demo.1.gz" in kept


def test_scripts_work_is_done(tmp_path):
    files, contents = _layer(tmp_path / "out", _sample(tmp_path))
    bundle = contents["etc/ssl/certs/ca-certificates.crt"]
    assert bundle == _CERTIFICATE % b"BB" + _CERTIFICATE % b"AA"
    assert files["usr/lib/ssl/cert.pem"]["link"] == "/etc/ssl/certs/ca-certificates.crt"
    assert files["etc/localtime"]["link"] == "/usr/share/zoneinfo/Etc/UTC"
    assert contents["etc/passwd"].splitlines() == [
        b"root:*:0:0:root:/root:/bin/bash",
        b"nonroot:*:65532:65532:nonroot:/home/nonroot:/usr/sbin/nologin",
    ]
    assert b"nonroot:*:65532:" in contents["etc/group"]
    assert "etc/shadow" not in files
    status = contents["var/lib/dpkg/status.d/demo"]
    assert status == _control("demo", "amd64")
    assert contents["etc/nsswitch.conf"].startswith(b"passwd: files")


_INSTALLS = (
    "#!/bin/sh\nset -e\nupdate-alternatives --install /usr/lib/x86_64-linux-gnu/libblas.so.3 libblas.so.3 %s %d\n"
)


def test_alternatives_are_linked_as_scripts_would_have_it(tmp_path):
    places = {name: f"/usr/lib/x86_64-linux-gnu/{name}/libblas.so.3" for name in ("blas", "openblas", "atlas")}
    packages = [
        _deb(tmp_path, name, {f".{places[name]}": name.encode()}, postinst=_INSTALLS % (places[name], priority))
        for name, priority in {"blas": 10, "openblas": 100}.items()
    ]
    packages.append(_deb(tmp_path, "none", {"./etc/none": b""}, postinst=_INSTALLS % (places["atlas"], 500)))
    files, _ = _layer(tmp_path / "out", packages)
    assert {path: file["link"] for path, file in files.items() if "libblas.so.3" in path and file.get("link")} == {
        "etc/alternatives/libblas.so.3": places["openblas"],
        "usr/lib/x86_64-linux-gnu/libblas.so.3": "/etc/alternatives/libblas.so.3",
    }


def test_the_loader_has_a_cache_where_libraries_lie_elsewhere(tmp_path):
    odd = {"./etc/ld.so.conf.d/odd.conf": b"/opt/odd/lib\n", "./opt/odd/lib/libodd.so.1": b"\x7fELF"}
    _, contents = _layer(tmp_path / "odd", [*_sample(tmp_path), _deb(tmp_path, "odd", odd)])
    assert b"\0/opt/odd/lib/libodd.so.1\0" in contents["etc/ld.so.cache"]
    assert b"\0/lib/x86_64-linux-gnu/libdemo.so.1\0" in contents["etc/ld.so.cache"]
    _, contents = _layer(tmp_path / "plain", _sample(tmp_path))
    assert "etc/ld.so.cache" not in contents


def _layers(out: Path, packages: list[Path], groups: dict[str, list[str]]) -> list[tuple[str, dict[str, dict]]]:
    """Name and files of each layer, lowest first."""
    names = [str(number) for number in range(len(groups) + 2)]
    outputs = [LayerOutputs(out / f"{name}.blob", out / f"{name}.descriptor", out / f"{name}.files") for name in names]
    layers = write_layers(outputs, lambda writers: add_base_layers(writers, packages, BaseOptions("amd64"), groups))
    return [
        (layer.origin.name, {file["path"]: file for file in json.loads(each.files.read_bytes())})
        for layer, each in zip(layers, outputs, strict=True)
    ]


def test_groups_of_packages_have_layers_of_their_own(tmp_path):
    packages = [*_sample(tmp_path), _deb(tmp_path, "rooted", {"./root/.profile": b"", "./tmp/note": b"n"})]
    found = _layers(tmp_path / "cut", packages, {"small": ["rooted"], "large": ["libdemo1"]})
    assert [name for name, _ in found] == ["debian", "debian/small", "debian/large", "debian/generated"]
    whole, _ = _layer(tmp_path / "whole", packages)
    merged = {path: file for _, files in found for path, file in files.items()}
    assert merged == whole
    for _, files in found:
        assert {path: files[path] for path in files if files[path]["type"] == "dir"} == {
            path: whole[path] for path in files if files[path]["type"] == "dir"
        }
    small = found[1][1]
    assert {path for path in small if small[path]["type"] == "file"} == {
        "root/.profile",
        "tmp/note",
        "var/lib/dpkg/status.d/rooted",
        "var/lib/dpkg/status.d/rooted.md5sums",
    }
    assert "etc/passwd" in found[3][1]


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"a": ["nothing"]}, "layer 'a': there is no package nothing in the base; it has demo, libdemo1"),
        ({"a": ["demo"], "b": ["demo"]}, "layer 'b': package demo is in the layer 'a' already"),
    ],
)
def test_groups_that_do_not_fit_are_refused(tmp_path, groups, message):
    with pytest.raises(DebError, match=message):
        _layers(tmp_path / "out", _sample(tmp_path), groups)
    assert list((tmp_path / "out").iterdir()) == []


_ACROSS = {
    "a file twice": ({"./etc/x": b"2"}, "installs /etc/x, which one installs too"),
    "a file under a link": ({"./srv/x": b"2"}, "'srv/x' lies under 'srv', which is no directory but a symlink"),
    "a directory over a file": ({"./etc/x/": _entry(tarfile.DIRTYPE, 0o755)}, "is there twice"),
}


@pytest.mark.parametrize("case", _ACROSS)
def test_packages_of_different_layers_must_fit_together(tmp_path, case):
    entries, message = _ACROSS[case]
    one = _deb(tmp_path, "one", {"./etc/x": b"1", "./srv": _entry(tarfile.SYMTYPE, link="/opt")})
    with pytest.raises(DebError, match=message):
        _layers(tmp_path / "out", [one, _deb(tmp_path, "two", entries)], {"second": ["two"]})


def test_the_order_of_packages_does_not_matter(tmp_path):
    packages = _sample(tmp_path)
    _layer(tmp_path / "1", packages)
    _layer(tmp_path / "2", packages[::-1])
    assert (tmp_path / "1" / "blob").read_bytes() == (tmp_path / "2" / "blob").read_bytes()


def test_gnu_tar_and_dpkg_agree_on_the_files(tmp_path):
    if not shutil.which("dpkg-deb"):
        pytest.skip("the comparison needs dpkg-deb")
    packages = _sample(tmp_path)
    _, contents = _layer(tmp_path / "out", packages)
    root = tmp_path / "root"
    root.mkdir()
    for link in ("bin", "lib", "lib64"):
        (root / "usr" / link).mkdir(parents=True)
        (root / link).symlink_to(f"usr/{link}")
    for package in packages:
        subprocess.run(
            [
                "sh",
                "-c",
                'dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink -C "$2"',
                "-",
                package,
                root,
            ],
            check=True,
        )
    for path, data in contents.items():
        if not path.startswith(("var/lib/dpkg", "etc/", "stargz")):
            assert (root / path).read_bytes() == data


_BAD_ENTRIES = {
    "device": ({"./dev/x": _entry(tarfile.CHRTYPE)}, "a device or a pipe"),
    "pipe": ({"./x": _entry(tarfile.FIFOTYPE)}, "a device or a pipe"),
    "climbs": ({"./../x": b""}, "climbs out"),
    "absolute": ({"/x": b""}, "absolute"),
    "link out": ({"./x": _entry(tarfile.SYMTYPE, link="../../etc/passwd")}, "points out of the image"),
    "twice": ({"./x": b"1", "./x/": b"2", "./y": b""}, "twice|installs too|named as a directory"),
    "file under a link": ({"./d": _entry(tarfile.SYMTYPE, link="/etc"), "./d/x": b""}, "is no directory"),
    "hard link to nothing": ({"./x": _entry(tarfile.LNKTYPE, link="./y")}, "no file added before"),
    "newline": ({"./a\nb": b""}, "control character"),
    "sparse": ({"./x": _entry(tarfile.GNUTYPE_SPARSE)}, "unknown type b'S'"),
}


@pytest.mark.parametrize("case", _BAD_ENTRIES)
def test_bad_entries_are_refused_by_package(tmp_path, case):
    entries, message = _BAD_ENTRIES[case]
    package = _deb(tmp_path, "bad", entries)
    with pytest.raises(DebError, match=message) as caught:
        _layer(tmp_path / "out", [package])
    assert package.name in str(caught.value)
    assert list((tmp_path / "out").iterdir()) == []


def test_packages_that_do_not_fit_together_are_refused(tmp_path):
    first = _deb(tmp_path, "first", {"./etc/x": b"1"})
    second = _deb(tmp_path, "second", {"./etc/x": b"2"})
    with pytest.raises(DebError, match=r"second_.*installs /etc/x, which first installs too"):
        _layer(tmp_path / "1", [first, second])
    other = _deb(tmp_path, "other", {}, architecture="arm64")
    with pytest.raises(DebError, match=r"other_.*is built for arm64, but the base is for amd64"):
        _layer(tmp_path / "2", [other])
    with pytest.raises(DebError, match="there twice"):
        _layer(tmp_path / "3", [first, first])
    _layer(tmp_path / "4", [_deb(tmp_path, "any", {}, architecture="all")])


_BAD_MEMBERS: dict[str, tuple[dict[str, bytes], str]] = {
    "format": ({"debian-binary": b"3.0\n"}, "format 2"),
    "no tar": ({"data.tar.xz": lzma.compress(b"x" * 700)}, "checksum is wrong|octal"),
    "no xz": ({"data.tar.xz": b"not xz at all"}, "corrupt xz"),
    "cut xz": ({"data.tar.xz": lzma.compress(_tar({"./a": _NOISE}))[:-50]}, "truncated"),
    "bytes after xz": ({"data.tar.xz": lzma.compress(_tar({})) + b"tail"}, "after the end|corrupt"),
    "cut tar": ({"data.tar.xz": lzma.compress(_tar({"./a": _NOISE})[:5000])}, "ends in the middle"),
    "two data": ({"data.tar.gz": gzip.compress(_tar({}))}, "has the members"),
    "unknown form": ({"extra": b""}, "has the members"),
}


@pytest.mark.parametrize("case", _BAD_MEMBERS)
def test_broken_packages_are_refused(tmp_path, case):
    members, message = _BAD_MEMBERS[case]
    package = _deb(tmp_path, "bad", {"./a": b"a"}, **members)
    with pytest.raises(DebError, match=message) as caught:
        _layer(tmp_path / "out", [package])
    assert package.name in str(caught.value)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_tar_header_with_a_wrong_checksum_is_refused(tmp_path):
    tar = bytearray(_tar({"./a": b"a", "./b": b"b"}))
    tar[1024 + 3] ^= 1
    package = _deb(tmp_path, "bad", {}, **{"data.tar.xz": lzma.compress(bytes(tar))})
    with pytest.raises(DebError, match="checksum is wrong"):
        _layer(tmp_path / "out", [package])


def test_truncation_anywhere_is_refused(tmp_path):
    package = _deb(tmp_path, "cut", {"./a": b"a" * 2000})
    data = package.read_bytes()
    for length in range(0, len(data) - 2, 37):
        package.write_bytes(data[:length])
        with pytest.raises(DebError):
            _layer(tmp_path / "out", [package])
    assert list((tmp_path / "out").iterdir()) == []


def test_control_data_are_read(tmp_path):
    with open_package(_deb(tmp_path, "demo", {"./a": b"a"}, form="gz")) as package:
        control = package.control
    assert (control.name, control.version, control.architecture) == ("demo", "1.0-1", "amd64")
    assert control.paragraph == _control("demo", "amd64").decode()
    assert control.md5sums == hashlib.md5(b"a").hexdigest() + "  a\n"


def test_the_modules_of_python_packages_are_compiled_as_their_scripts_would(tmp_path):
    packages = [
        _deb(tmp_path, "libpython3-demo", {"./usr/lib/python3.11/demo.py": b"VALUE = 1\n"}),
        _deb(
            tmp_path,
            "python3-demo",
            {
                "./usr/lib/python3/dist-packages/demo2.py": b"VALUE = 2\n",
                "./usr/lib/python3/dist-packages/old.py": b"print 2\n",
                "./usr/share/demo/script.py": b"VALUE = 3\n",
            },
        ),
    ]
    outputs = LayerOutputs(tmp_path / "blob", tmp_path / "descriptor", tmp_path / "files")
    with BytecodeCompiler(running_version()) as compiler:
        layer = write_layer(outputs, lambda writer: add_base(writer, packages, BaseOptions("amd64"), compiler))
    files = [file["path"] for file in json.loads(outputs.files.read_bytes())]
    first, second = map(bytecode_path, ("usr/lib/python3.11/demo.py", "usr/lib/python3/dist-packages/demo2.py"))
    assert [path for path in files if path.endswith(".pyc")] == [first, second]

    # Each lies among what its own package brought.
    skeleton, one, two = layer.parts
    assert first in files[skeleton.entries : skeleton.entries + one.entries]
    assert second in files[skeleton.entries + one.entries : skeleton.entries + one.entries + two.entries]
