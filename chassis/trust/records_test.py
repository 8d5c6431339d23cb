"""What is written down of wheels and of Debian packages."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from chassis.errors import ChassisError
from chassis.oci.layer.sample_packages import deb, entry
from chassis.trust.debian_record import debian_records
from chassis.trust.errors import RecordError
from chassis.trust.package_record import PackageRecord, encode_records, read_records
from chassis.trust.sample_records import METADATA, cyclonedx_text, sample_wheel
from chassis.trust.wheel_record import wheel_record

DEP5 = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: somebody
License: GPL-2+

Files: a
License: Expat
 Permission is hereby granted
"""


def test_a_wheel_says_what_it_is_and_brings_its_own_bills_of_materials(tmp_path: Path) -> None:
    text = cyclonedx_text({"type": "library", "name": "libpng", "version": "1.6"})
    wheel = sample_wheel(tmp_path, {"auditwheel.cdx.json": text})
    record = wheel_record(wheel, "//:lock.txt, line 4")
    assert (record.kind, record.name, record.version, record.lock) == (
        "wheel",
        "pictures",
        "2.0",
        "//:lock.txt, line 4",
    )
    assert record.sha256 == hashlib.sha256(wheel.read_bytes()).hexdigest()
    assert record.size == wheel.stat().st_size
    assert record.licences == ("MIT OR Apache-2.0",)
    assert record.homepage == "https://pictures.example/"
    assert [requirement.split(">")[0].split(";")[0] for requirement in record.requires] == ["numbers", "absent"]
    assert [(sbom.path, sbom.text) for sbom in record.sboms] == [("sboms/auditwheel.cdx.json", text)]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("License: BSD\n", ("BSD",)),
        ("License: UNKNOWN\nClassifier: License :: OSI Approved :: MIT License\n", ("MIT License",)),
        ("License: first line\n        second line of a whole text\nClassifier: Typing :: Typed\n", ()),
        ("", ()),
    ],
)
def test_licences_of_older_metadata(tmp_path: Path, lines: str, expected: tuple[str, ...]) -> None:
    old = METADATA.replace("License-Expression: MIT OR Apache-2.0\n", lines)
    assert wheel_record(sample_wheel(tmp_path, metadata=old)).licences == expected


def test_a_bill_of_materials_that_is_not_text_names_the_wheel(tmp_path: Path) -> None:
    wheel = sample_wheel(tmp_path, {"x.json": "é"})
    data = wheel.read_bytes()
    assert wheel_record(wheel).sboms[0].text == "é"
    many = sample_wheel(tmp_path, {f"{number}.json": "{}" for number in range(65)})
    with pytest.raises(RecordError, match=r"pictures-2\.0-py3-none-any\.whl: has 65 files in \.dist-info/sboms"):
        wheel_record(many)
    many.write_bytes(data[:-20])
    with pytest.raises(ChassisError, match=r"pictures-2\.0-py3-none-any\.whl"):
        wheel_record(many)


def test_debian_packages_say_what_they_are(tmp_path: Path) -> None:
    one = deb(tmp_path, "one", {"./usr/share/doc/one/copyright": DEP5.encode()})
    two = deb(tmp_path, "two", {"./usr/share/doc/two": entry(b"2", link="one")})
    plain = deb(tmp_path, "plain", {"./usr/share/doc/plain/copyright": b"You may copy this. License: ask me"})
    records = {record.name: record for record in debian_records([two, one, plain], "@lock//:packages")}
    assert list(records) == ["one", "plain", "two"]
    assert records["one"].licences == ("Expat", "GPL-2+")
    assert records["two"].licences == ("Expat", "GPL-2+")  # its documentation is a link to the other's
    assert records["plain"].licences == ()
    assert records["one"].sha256 == hashlib.sha256(one.read_bytes()).hexdigest()
    assert records["one"].source == "one 1.0-1"


def test_records_are_read_as_they_were_written(tmp_path: Path) -> None:
    records = [wheel_record(sample_wheel(tmp_path, {"a.json": "{}"})), PackageRecord("deb", "libc6", "2.36")]
    file = tmp_path / "records.json"
    file.write_bytes(encode_records(records))
    assert read_records(file) == records
    for damaged in (
        b"[1]",
        b'{"a": 1}',
        b'[{"kind": "deb"}]',
        b'[{"kind": "deb", "name": "a", "version": "1", "b": 2}]',
    ):
        file.write_bytes(damaged)
        with pytest.raises(RecordError, match="build it again"):
            read_records(file)
