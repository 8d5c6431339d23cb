"""Debian packages made into a base layer."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from chassis.oci.layer.bytecode import BytecodeCompiler, bytecode_path, running_version
from chassis.oci.layer.deb import DebError, open_package
from chassis.oci.layer.debian_base import BaseOptions, add_base, add_base_layers
from chassis.oci.layer.outputs import LayerOutputs, write_layer, write_layers
from chassis.oci.layer.sample_packages import (
    CERTIFICATE,
    NOISE,
    base_layer,
    control_paragraph,
    deb,
    entry,
    sample_packages,
)


@pytest.mark.parametrize("form", ["xz", "gz", "zst", ""])
def test_packages_are_installed_on_a_merged_usr(tmp_path, form):
    files, contents = base_layer(tmp_path / "out", sample_packages(tmp_path, form))
    assert contents["usr/lib/x86_64-linux-gnu/libdemo.so.1.2"] == b"\x7fELF" + NOISE
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
    files, _ = base_layer(tmp_path / "out", sample_packages(tmp_path))
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
    files, contents = base_layer(tmp_path / "out", sample_packages(tmp_path))
    docs = sorted(path for path in files if path.startswith(("usr/share/doc/", "usr/share/man", "usr/share/locale")))
    assert docs == [
        "usr/share/doc/libdemo-dev",
        "usr/share/doc/libdemo1",
        "usr/share/doc/libdemo1/copyright",
    ]
    assert b"changelog" not in contents["var/lib/dpkg/status.d/libdemo1.md5sums"]
    kept, _ = base_layer(tmp_path / "kept", sample_packages(tmp_path), keep_docs=True)
    assert "usr/share/man/man1/demo.1.gz" in kept


def test_scripts_work_is_done(tmp_path):
    files, contents = base_layer(tmp_path / "out", sample_packages(tmp_path))
    bundle = contents["etc/ssl/certs/ca-certificates.crt"]
    assert bundle == CERTIFICATE % b"BB" + CERTIFICATE % b"AA"
    assert files["usr/lib/ssl/cert.pem"]["link"] == "/etc/ssl/certs/ca-certificates.crt"
    assert files["etc/localtime"]["link"] == "/usr/share/zoneinfo/Etc/UTC"
    assert contents["etc/passwd"].splitlines() == [
        b"root:*:0:0:root:/root:/bin/bash",
        b"nonroot:*:65532:65532:nonroot:/home/nonroot:/usr/sbin/nologin",
    ]
    assert b"nonroot:*:65532:" in contents["etc/group"]
    assert "etc/shadow" not in files
    status = contents["var/lib/dpkg/status.d/demo"]
    assert status == control_paragraph("demo", "amd64")
    assert contents["etc/nsswitch.conf"].startswith(b"passwd: files")


_INSTALLS = (
    "#!/bin/sh\nset -e\nupdate-alternatives --install /usr/lib/x86_64-linux-gnu/libblas.so.3 libblas.so.3 %s %d\n"
)


def test_alternatives_are_linked_as_scripts_would_have_it(tmp_path):
    places = {name: f"/usr/lib/x86_64-linux-gnu/{name}/libblas.so.3" for name in ("blas", "openblas", "atlas")}
    packages = [
        deb(tmp_path, name, {f".{places[name]}": name.encode()}, postinst=_INSTALLS % (places[name], priority))
        for name, priority in {"blas": 10, "openblas": 100}.items()
    ]
    packages.append(deb(tmp_path, "none", {"./etc/none": b""}, postinst=_INSTALLS % (places["atlas"], 500)))
    files, _ = base_layer(tmp_path / "out", packages)
    assert {path: file["link"] for path, file in files.items() if "libblas.so.3" in path and file.get("link")} == {
        "etc/alternatives/libblas.so.3": places["openblas"],
        "usr/lib/x86_64-linux-gnu/libblas.so.3": "/etc/alternatives/libblas.so.3",
    }


def test_the_loader_has_a_cache_where_libraries_lie_elsewhere(tmp_path):
    odd = {"./etc/ld.so.conf.d/odd.conf": b"/opt/odd/lib\n", "./opt/odd/lib/libodd.so.1": b"\x7fELF"}
    _, contents = base_layer(tmp_path / "odd", [*sample_packages(tmp_path), deb(tmp_path, "odd", odd)])
    assert b"\0/opt/odd/lib/libodd.so.1\0" in contents["etc/ld.so.cache"]
    assert b"\0/lib/x86_64-linux-gnu/libdemo.so.1\0" in contents["etc/ld.so.cache"]
    _, contents = base_layer(tmp_path / "plain", sample_packages(tmp_path))
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
    packages = [*sample_packages(tmp_path), deb(tmp_path, "rooted", {"./root/.profile": b"", "./tmp/note": b"n"})]
    found = _layers(tmp_path / "cut", packages, {"small": ["rooted"], "large": ["libdemo1"]})
    assert [name for name, _ in found] == ["debian", "debian/small", "debian/large", "debian/generated"]
    whole, _ = base_layer(tmp_path / "whole", packages)
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
        _layers(tmp_path / "out", sample_packages(tmp_path), groups)
    assert list((tmp_path / "out").iterdir()) == []


_ACROSS = {
    "a file twice": ({"./etc/x": b"2"}, "installs /etc/x, which one installs too"),
    "a file under a link": ({"./srv/x": b"2"}, "'srv/x' lies under 'srv', which is not a directory but a symlink"),
    "a directory over a file": ({"./etc/x/": entry(tarfile.DIRTYPE, 0o755)}, "is there twice"),
}


@pytest.mark.parametrize("case", _ACROSS)
def test_packages_of_different_layers_must_fit_together(tmp_path, case):
    entries, message = _ACROSS[case]
    one = deb(tmp_path, "one", {"./etc/x": b"1", "./srv": entry(tarfile.SYMTYPE, link="/opt")})
    with pytest.raises(DebError, match=message):
        _layers(tmp_path / "out", [one, deb(tmp_path, "two", entries)], {"second": ["two"]})


def test_the_order_of_packages_does_not_matter(tmp_path):
    packages = sample_packages(tmp_path)
    base_layer(tmp_path / "1", packages)
    base_layer(tmp_path / "2", packages[::-1])
    assert (tmp_path / "1" / "blob").read_bytes() == (tmp_path / "2" / "blob").read_bytes()


def test_gnu_tar_and_dpkg_agree_on_the_files(tmp_path):
    if not shutil.which("dpkg-deb"):
        pytest.skip("the comparison needs dpkg-deb")
    packages = sample_packages(tmp_path)
    _, contents = base_layer(tmp_path / "out", packages)
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


def test_control_data_are_read(tmp_path):
    with open_package(deb(tmp_path, "demo", {"./a": b"a"}, form="gz")) as package:
        control = package.control
    assert (control.name, control.version, control.architecture) == ("demo", "1.0-1", "amd64")
    assert control.paragraph == control_paragraph("demo", "amd64").decode()
    assert control.md5sums == hashlib.md5(b"a").hexdigest() + "  a\n"


def test_the_modules_of_python_packages_are_compiled_as_their_scripts_would(tmp_path):
    packages = [
        deb(tmp_path, "libpython3-demo", {"./usr/lib/python3.11/demo.py": b"VALUE = 1\n"}),
        deb(
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
