"""Uploads: what a client packs is read; what is hostile, cut short or too much is refused."""

import io
import json
import tarfile
import tracemalloc

import pytest

from chassis.declaration.model import ModelMetadata
from chassis.packed_model.model import PackedModel, write_archive
from chassis.service.upload import Limits, UploadError, unpack

_DESCRIPTION = {
    "files": {},
    "format": 1,
    "metadata": {"name": "cats", "model_version": "1"},
    "python": "3.11",
    "requirements": [],
    "signature": "auto",
}


def _archive(*members: tuple[str | tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name) if isinstance(name, str) else name
            if info.isreg():
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _described(**changes: object) -> tuple[str, bytes]:
    return "model.json", json.dumps(_DESCRIPTION | changes).encode()


def _unpack(content: bytes, tmp_path, **limits: int) -> PackedModel:
    return unpack(io.BytesIO(content), tmp_path, Limits(**limits))


_PICKLE = ("model.pkl", b"a pickle")


def test_what_the_sdk_packs_is_read(tmp_path):
    (tmp_path / "names").write_text("cat\n")
    packed = PackedModel(
        ModelMetadata("cats", model_version="1", batch_size=4),
        b"pickle",
        ("numpy==1",),
        "bytes",
        {"a/n.txt": tmp_path / "names"},
    )
    buffer = io.BytesIO()
    write_archive(packed, buffer)
    place = tmp_path / "place"
    place.mkdir()
    model = _unpack(buffer.getvalue(), place)
    assert (model.metadata, model.requirements, model.signature) == (packed.metadata, ("numpy==1",), "bytes")
    assert model.pickle.read_bytes() == b"pickle"
    assert {key: path.read_text() for key, path in model.files.items()} == {"a/n.txt": "cat\n"}


def test_the_pickle_is_never_loaded(tmp_path):
    marker = tmp_path / "was-run"
    bomb = b"cos\nsystem\n(S'touch " + str(marker).encode() + b"'\ntR."
    model = _unpack(_archive(_described(), ("model.pkl", bomb)), tmp_path)
    assert model.pickle.read_bytes() == bomb
    assert not marker.exists()


def _link(name: str, kind: bytes, target: str = "/etc/passwd") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


HOSTILE = {
    "a path that climbs": (("files/../../etc/x", b""), "expected a relative path"),
    "an absolute path": (("/etc/passwd", b""), "expected model.json, model.pkl and files below"),
    "an absolute key": (("files//etc/passwd", b""), "expected a relative path"),
    "a backslash": (("files/a\\..\\b", b""), "expected a relative path"),
    "a file beside": (("MODULE.bazel", b""), "expected model.json"),
    "a BUILD file": (("files/sub/BUILD.bazel", b"x"), "belongs to the build"),
    "a BUILD file in another case": (("files/build", b"x"), "belongs to the build"),
    "a hidden file": (("files/.bazelrc", b"x"), "expected a relative path"),
    "a name with a newline": (("files/a\nb", b"x"), "expected a relative path"),
    "a symbolic link": ((_link("files/x", tarfile.SYMTYPE), b""), "is not a plain file"),
    "a hard link": ((_link("files/x", tarfile.LNKTYPE, "model.pkl"), b""), "is not a plain file"),
    "a device": ((_link("files/x", tarfile.CHRTYPE), b""), "is not a plain file"),
    "a directory": ((_link("files/x", tarfile.DIRTYPE), b""), "is not a plain file"),
    "a second description": (_described(), "is in the archive twice"),
    "a name that differs in case alone": (("files/A", b""), None),
    "a file where a directory must be": (("files/a/b", b""), None),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_archives_are_refused(kind, tmp_path):
    member, message = HOSTILE[kind]
    before = ("files/a", b"x")
    place = tmp_path / "place"
    place.mkdir()
    with pytest.raises(UploadError, match=message or "is in the archive twice|needs a directory"):
        _unpack(_archive(_described(), _PICKLE, before, member), place)
    assert {path.name for path in tmp_path.iterdir()} == {"place"}
    assert all(path.is_relative_to(place) and not path.is_symlink() for path in place.rglob("*"))


def test_an_archive_cut_short_anywhere_is_refused(tmp_path):
    whole = _archive(_described(files={"a": 3000}), _PICKLE, ("files/a", b"x" * 3000))
    content_ends = whole.rindex(b"x") + 1
    for cut in [*range(0, content_ends, 333), content_ends - 1]:
        place = tmp_path / str(cut)
        place.mkdir()
        with pytest.raises(UploadError):
            _unpack(whole[:cut], place)
    place = tmp_path / "whole"
    place.mkdir()
    assert set(_unpack(whole, place).files) == {"a"}


def test_what_is_no_tar_file_is_refused(tmp_path):
    for number, content in enumerate((b"", b"no tar", bytes(10240), b"\x1f\x8b" + bytes(600), b"x" * 2048)):
        place = tmp_path / str(number)
        place.mkdir()
        with pytest.raises(UploadError):
            _unpack(content, place)


def test_sizes_are_bounded(tmp_path):
    content = _archive(_described(), _PICKLE, ("files/a", bytes(5000)), ("files/b", bytes(5000)))
    table = [
        ({"unpacked_bytes": 6000}, "unpacks to more than 6000 bytes"),
        ({"files": 3}, "more than 3 files"),
        ({"name_characters": 3}, "at most 3 lower-case"),
    ]
    for number, (limits, message) in enumerate(table):
        place = tmp_path / str(number)
        place.mkdir()
        with pytest.raises(UploadError, match=message):
            _unpack(content, place, **limits)


def test_a_size_that_lies_is_refused_without_memory(tmp_path):
    info = tarfile.TarInfo("model.pkl")
    info.size = 1 << 50
    with pytest.raises(UploadError, match="unpacks to more than"):
        _unpack(info.tobuf(tarfile.GNU_FORMAT) + bytes(4096), tmp_path)


def test_a_huge_extended_header_is_refused(tmp_path):
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 1 << 30
    with pytest.raises(UploadError, match="extended header of 1073741824 bytes"):
        _unpack(info.tobuf(tarfile.USTAR_FORMAT) + bytes(4096), tmp_path)


def test_descriptions_that_cannot_be_are_refused(tmp_path):
    table = [
        ({"format": 2}, "expected format 1"),
        ({"python": "3.12"}, r"packed with Python 3\.12, and this service has images of 3\.11, 3\.13"),
        ({"signature": "x"}, "signature"),
        ({"extra": 1}, "unknown key 'extra'"),
        ({"files": []}, "files: expected an object"),
        ({"files": {"a": 3}}, "file 'a', which is missing from the archive"),
        ({"metadata": []}, "metadata: expected an object"),
        ({"metadata": {"name": "Cats!", "model_version": "1"}}, "the model's name 'Cats!'"),
        ({"metadata": {"name": "../up", "model_version": "1"}}, "the model's name"),
        ({"metadata": {"name": "cats", "model_version": "a b"}}, "model_version: 'a b' is not a version"),
        ({"metadata": {"name": "cats", "model_version": "1+cu13"}}, "the model's version"),
        ({"metadata": {"name": "cats", "model_version": ""}}, "the model's version"),
        ({"metadata": {"name": "c", "inputs": {"x": {"description": "x" * 20000}}}}, "more than 10000 characters"),
        ({"metadata": {"name": "c", "model_version": "1", "summary": "x" * 20000}}, "more than 10000 characters"),
        ({"metadata": {"name": "c", "model_version": "1", "inputs": {}}}, "a model needs at least one"),
        ({"requirements": "numpy"}, "expected a list of strings"),
        ({"requirements": ["numpy"] * 201}, "201 requirements"),
        ({"requirements": ["numpy @ file:///x"]}, "a URL or a path"),
        ({"requirements": ["numpy==1", "numpy==2"]}, "are both for numpy"),
        ({"requirements": ["--index-url http://x"]}, "options have no place"),
    ]
    for number, (changes, message) in enumerate(table):
        place = tmp_path / str(number)
        place.mkdir()
        with pytest.raises(UploadError, match=message):
            _unpack(_archive(_described(**changes), _PICKLE), place)


def test_halves_of_characters_are_refused(tmp_path):
    for number, change in enumerate(
        (
            {"metadata": {"name": "cats", "model_version": "1", "summary": "\ud800"}},
            {"requirements": ["numpy ; platform_node == '\ud800'"]},
            {"files": {"\ud800": 0}},
        )
    ):
        (tmp_path / str(number)).mkdir()
        with pytest.raises(UploadError, match="is not JSON"):
            _unpack(_archive(_described(**change), _PICKLE), tmp_path / str(number))


def test_deep_json_is_refused(tmp_path):
    with pytest.raises(UploadError, match="is not JSON"):
        _unpack(_archive(("model.json", b"[" * 100_000), _PICKLE), tmp_path)


def test_directories_are_bounded_in_number_and_depth(tmp_path):
    deep = "files/" + "/".join("a" * 17)
    with pytest.raises(UploadError, match="lies in 16 directories"):
        _unpack(_archive(_described(), _PICKLE, (deep, b"")), tmp_path)
    many = [(f"files/{number}/b/c/x", b"") for number in range(40)]
    content = _archive(_described(files={f"{number}/b/c/x": 0 for number in range(40)}), _PICKLE, *many)
    (tmp_path / "many").mkdir()
    with pytest.raises(UploadError, match="more than 100 files and directories"):
        _unpack(content, tmp_path / "many", files=100)
    (tmp_path / "few").mkdir()
    assert len(_unpack(content, tmp_path / "few", files=200).files) == 40


def test_headers_that_the_library_would_keep_are_refused(tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(
        fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "x" * 100}
    ) as archive:
        for name, content in (_described(), _PICKLE):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    with pytest.raises(UploadError, match="an extended header for all of its files"):
        _unpack(buffer.getvalue(), tmp_path)
    members = []
    for number in range(300):
        info = tarfile.TarInfo(f"files/{number}")
        info.pax_headers = {"comment": f"{number}" + "x" * 60_000}
        members.append((info, b""))
    place, archive = tmp_path / "place", io.BytesIO(_archive(_described(), _PICKLE, *members))
    place.mkdir()
    tracemalloc.start()
    try:
        with pytest.raises(UploadError, match="does not name"):
            unpack(archive, place, Limits())
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
