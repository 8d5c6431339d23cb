"""The facts of a layer: what is kept of its files, and that it survives being written and read."""

from __future__ import annotations

import base64
import hashlib
import pickle
from pathlib import Path

import pytest

from chassis.doctor.elf_writer import ElfPlan, write_elf
from chassis.doctor.extraction import extract
from chassis.doctor.facts import BuildPath, Facts, FactsError, LayerFacts, Script, Secret, Start, encode, read_facts
from chassis.doctor.file_checks import check_files
from chassis.doctor.image import Image, ImageTarget
from chassis.oci.descriptor import Origin
from chassis.oci.layer.outputs import LayerOutputs, write_layer
from chassis.oci.layer.writer import LayerWriter

_METADATA = b"Name: X\nVersion: 1.0\nRequires-Dist: y>=2\n  ,<3\nRequires-Dist: z\n\nRequires-Dist: no\n"
_SITE = "opt/venv/lib/python3.11/site-packages"


def _extract(directory: Path, files: dict[str, bytes], kind: str = "code", trusted: bool = True) -> LayerFacts:
    def fill(writer: LayerWriter) -> Origin:
        for path, data in files.items():
            writer.add_bytes(path, data, 0o755 if data.startswith(b"#!") else 0o644)
        return Origin(kind, "x", "1.0")

    blob = directory / "x.layer"
    layer = write_layer(LayerOutputs(blob, directory / "x.json", directory / "x.files"), fill)
    return extract(blob, layer.descriptor, layer.origin, trusted)


_FILES = {
    f"{_SITE}/x/_core.so": write_elf(ElfPlan(needed=("libc.so.6",), requires={"libc.so.6": ("GLIBC_2.17",)})),
    f"{_SITE}/x-1.0.dist-info/METADATA": _METADATA,
    f"{_SITE}/x-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nTag: py3-none-any\n",
    f"{_SITE}/x-1.0.dist-info/variant.json": b'{"variants": {"0a": {"x86_64": {"level": ["v3"]}, "nvidia": {}}}}',
    f"{_SITE}/x.pth": b"import x\n/srv/src\n",
    "opt/venv/bin/x": b"#!/opt/venv/bin/python -I\nprint('/home/me/x/y')\n",
    "opt/venv/pyvenv.cfg": b"home = /usr/bin\nInclude-System-Site-Packages = True\n",
    "app/code/.netrc": b"machine x login y password z\n",
    "app/model/model.pkl": pickle.dumps({"file": "/home/runner/work/model.py", "data": b"\0" * 100}),
    "var/lib/dpkg/status": b"Package: a\nVersion: 1\n\nPackage: python3.11-minimal\nStatus: ok\nVersion: 3.11.2-6\n",
    "empty": b"",
}


def test_facts_are_gathered_from_every_kind_of_file(tmp_path: Path) -> None:
    facts = _extract(tmp_path, _FILES)
    assert [path for path, _ in facts.elves] == [f"{_SITE}/x/_core.so"]
    (distribution,) = facts.distributions
    assert (distribution.name, distribution.version) == ("X", "1.0")
    assert distribution.requires == ("y>=2 ,<3", "z")
    assert distribution.tags == ("py3-none-any",)
    assert distribution.cpu == ("x86_64 :: level :: v3",)
    assert facts.scripts == (Script("opt/venv/bin/x", "/opt/venv/bin/python", "-I"),)
    assert [file.directories for file in facts.path_files] == [("/srv/src",)]
    assert facts.virtual_environments == (("opt/venv", True),)
    assert facts.secrets == (Secret("app/code/.netrc", "netrc credentials"),)
    assert facts.build_paths == (
        BuildPath("opt/venv/bin/x", ("/home/me/x/y",)),
        BuildPath("app/model/model.pkl", ("/home/runner/work/model.py",)),
    )
    assert facts.python == "3.11.2"
    assert facts.libraries is None
    assert str(facts.origin) == "code x 1.0"


def test_facts_are_the_same_however_the_layer_is_read(tmp_path: Path) -> None:
    assert _extract(tmp_path, _FILES, trusted=False) == _extract(tmp_path, _FILES, trusted=True)


def test_facts_survive_being_written(tmp_path: Path) -> None:
    start = Start({"PATH": "/bin"}, ("python",), ("-V",), {"a": "b"})
    facts = Facts((_extract(tmp_path, _FILES),), start)
    path = tmp_path / "facts.json"
    path.write_bytes(encode(facts))
    assert read_facts(path) == facts
    assert encode(read_facts(path)) == path.read_bytes()


@pytest.mark.parametrize("text", ["{}", "[]", '{"form": 0}', '{"form": 2, "layers": [{}], "start": {}}', "no JSON"])
def test_file_that_holds_no_facts_is_an_error_that_names_it(text: str, tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    path.write_text(text)
    with pytest.raises(Exception, match=r"facts\.json") as raised:
        read_facts(path)
    assert isinstance(raised.value, FactsError) or "is not JSON" in str(raised.value)


def test_published_packages_may_show_tokens_but_hold_no_keys(tmp_path: Path) -> None:
    token = b"EXAMPLE = 'ghp_" + b"a1B2" * 9 + b"'\n"
    assert _extract(tmp_path, {"x.py": token}, kind="wheel").secrets == ()
    assert _extract(tmp_path, {"x.py": token}, kind="code").secrets == (Secret("x.py", "a GitHub token"),)


@pytest.mark.parametrize("trusted", [True, False])
def test_large_elf_file_is_read_where_its_tables_are(trusted: bool, tmp_path: Path) -> None:
    library = write_elf(ElfPlan(needed=("libc.so.6",), soname="libx.so.1", padding=40 << 20))
    ((_, elf),) = _extract(tmp_path, {"libx.so": library}, trusted=trusted).elves
    assert (elf.needed, elf.soname, elf.defect) == (("libc.so.6",), "libx.so.1", "")


def _record(files: dict[str, bytes]) -> bytes:
    rows = []
    for path, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
        rows.append(f"{path},sha256={digest},{len(data)}\n")
    return "".join([*rows, "x.dist-info/RECORD,,\n"]).encode()


def test_a_file_that_another_wheel_of_a_shared_layer_hides_is_found(tmp_path: Path) -> None:
    own = {"tests/__init__.py": b"# x\n", "x/__init__.py": b"", "../../../bin/x": b"#!/opt/venv/bin/python\n"}
    files = {
        f"{_SITE}/tests/__init__.py": b"# y\n",
        f"{_SITE}/x/__init__.py": b"",
        "opt/venv/bin/x": own["../../../bin/x"],
        f"{_SITE}/x-1.0.dist-info/METADATA": _METADATA,
        f"{_SITE}/x-1.0.dist-info/RECORD": _record(own),
        f"{_SITE}/y-1.0.dist-info/METADATA": b"Name: Y\nVersion: 1.0\n",
        f"{_SITE}/y-1.0.dist-info/RECORD": _record({"tests/__init__.py": b"# y\n"}),
    }
    facts = _extract(tmp_path, files, kind="wheels")
    assert {item.name: item.hidden for item in facts.distributions} == {"X": (f"{_SITE}/tests/__init__.py",), "Y": ()}
    (tmp_path / "facts.json").write_bytes(encode(Facts((facts,))))
    read = read_facts(tmp_path / "facts.json").layers
    assert read == (facts,)
    found = [
        finding for finding in check_files(Image(ImageTarget("amd64"), Start(), read)) if finding.code == "FILE001"
    ]
    assert [finding.path for finding in found] == [f"{_SITE}/tests/__init__.py"]
    assert "hides the file that X 1.0 has there" in found[0].defect
