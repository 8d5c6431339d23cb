"""Which versions databases are about, waivers that hold and that ended, and the OpenVEX document."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from chassis.trust.debian_version import is_older
from chassis.trust.vulnerabilities import DatabaseError, find_vulnerabilities, packages_of, reaches
from chassis.trust.waived import WaiverError, openvex_document, read_waivers, waived_by

PURLS = (
    "pkg:pypi/numpy@2.4.6",
    "pkg:deb/debian/zlib1g@1:1.2.13.dfsg-1%2Bb1?arch=amd64&distro=debian-12&upstream=zlib%401:1.2.13.dfsg-1",
    "pkg:deb/debian/libssl3@3.0.20-1~deb12u2?arch=amd64&distro=debian-12&upstream=openssl",
    "pkg:oci/x@sha256%3Aabc",
)
TODAY = datetime.date(2026, 12, 1)


def osv(name: str, events: list[dict[str, str]], ecosystem: str = "PyPI", **more: Any) -> dict[str, Any]:
    affected = {"package": {"ecosystem": ecosystem, "name": name}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}
    return {"id": "X-1", "affected": [affected], "database_specific": {"severity": "HIGH"}} | more


def found(folder: Path, document: Any) -> list[tuple[str, str, str, str]]:
    file = folder / "database.json"
    file.write_text(json.dumps(document))
    packages = packages_of({"components": [{"purl": purl} for purl in PURLS]}, "sbom")
    return [
        (one.identifier, one.package.name, one.severity, one.fixed) for one in find_vulnerabilities(packages, [file])
    ]


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("1.0", "1.1"),
        ("1.9", "1.10"),
        ("1.0~rc1", "1.0"),
        ("1.0", "1.0+b1"),
        ("2.0", "1:1.0"),
        ("1.0-1", "1.0-1+deb12u1"),
        ("3.0.20-1~deb12u2", "3.0.20-1"),
        ("1.0a", "1.0+"),
        ("1.0-1", "1.0.1-1"),
    ],
)
def test_debian_versions_sort_as_dpkg_has_them(older: str, newer: str) -> None:
    assert is_older(older, newer)
    assert not is_older(newer, older)
    assert not is_older(older, older)


@pytest.mark.parametrize(
    ("events", "fixed"),
    [
        ([{"introduced": "0"}, {"fixed": "2.4.7"}], "2.4.7"),
        ([{"introduced": "0"}, {"fixed": "2.4.6"}], None),
        ([{"introduced": "2.4.7"}], None),
        ([{"introduced": "0"}, {"last_affected": "2.4.6"}], ""),
        ([{"introduced": "0"}, {"last_affected": "2.4.5"}], None),
        ([{"introduced": "0"}, {"fixed": "1.0"}, {"introduced": "2.0"}, {"fixed": "2.10"}], "2.10"),
    ],
)
def test_ranges_of_osv(tmp_path: Path, events: list[dict[str, str]], fixed: str | None) -> None:
    expected = [] if fixed is None else [("X-1", "numpy", "high", fixed)]
    assert found(tmp_path, osv("NumPy", events)) == expected


def test_osv_of_debian_goes_by_the_source_package_and_the_release(tmp_path: Path) -> None:
    events = [{"introduced": "0"}, {"fixed": "1:1.2.13.dfsg-2"}]
    assert found(tmp_path, osv("zlib", events, "Debian:12")) == [("X-1", "zlib1g", "high", "1:1.2.13.dfsg-2")]
    assert found(tmp_path, osv("zlib", events, "Debian:11")) == []
    assert found(tmp_path, osv("zlib1g", events, "Debian:12")) == []
    assert found(tmp_path, osv("zlib", events, "Debian:12", withdrawn="2026-01-01T00:00:00Z")) == []


def test_the_tracker_of_debian(tmp_path: Path) -> None:
    def issue(**release: str) -> dict[str, Any]:
        return {"description": "bad", "releases": {"bookworm": {"urgency": "medium**", **release}}}

    document = {
        "openssl": {
            "CVE-1": issue(status="open"),
            "CVE-2": issue(status="resolved", fixed_version="3.0.20-1"),
            "CVE-3": issue(status="resolved", fixed_version="3.0.20-1~deb12u1"),
            "CVE-4": issue(status="resolved", fixed_version="0"),
            "CVE-5": {"releases": {"trixie": {"status": "open"}}},
            "CVE-6": issue(status="undetermined"),
        },
        "other": {"CVE-7": issue(status="open")},
    }
    assert found(tmp_path, document) == [
        ("CVE-1", "libssl3", "medium", ""),
        ("CVE-2", "libssl3", "medium", "3.0.20-1"),
    ]


def test_an_export_is_read_as_a_zip_and_as_a_directory(tmp_path: Path) -> None:
    record = osv("numpy", [{"introduced": "0"}])
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "X-1.json").write_text(json.dumps(record))
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("X-1.json", json.dumps(record))
    packages = packages_of({"components": [{"purl": PURLS[0]}]}, "sbom")
    for database in ("dir", "all.zip"):
        assert len(find_vulnerabilities(packages, [tmp_path / database])) == 1


@pytest.mark.parametrize("text", ["{", "3", "[3]", '[{"id": "X"}]', '{"openssl": 3}', "[" * 50_000])
def test_what_is_no_database_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "database.json"
    file.write_text(text)
    packages = packages_of({"components": [{"purl": purl} for purl in PURLS]}, "sbom")
    with pytest.raises(DatabaseError, match=r"database\.json"):
        find_vulnerabilities(packages, [file])
    with pytest.raises(DatabaseError, match="gone"):
        find_vulnerabilities(packages, [tmp_path / "gone"])


def test_what_is_not_rated_reaches_every_threshold() -> None:
    assert reaches("unknown", "critical")
    assert reaches("high", "medium")
    assert not reaches("low", "medium")


def waivers(folder: Path, text: str) -> list:
    file = folder / "waivers.toml"
    file.write_text(text)
    return read_waivers(file)


def test_a_waiver_holds_to_its_last_day(tmp_path: Path) -> None:
    text = '[[waiver]]\nid = "CVE-9"\npackage = "numpy"\nreason = "not used"\nexpires = 2026-12-01\n'
    (tmp_path / "database.json").write_text(json.dumps(osv("numpy", [{"introduced": "0"}], aliases=["CVE-9"])))
    packages = packages_of({"components": [{"purl": PURLS[0]}]}, "sbom")
    (one,) = find_vulnerabilities(packages, [tmp_path / "database.json"])
    listed = waivers(tmp_path, text)
    assert waived_by(one, listed, TODAY) is listed[0]
    assert waived_by(one, listed, TODAY + datetime.timedelta(1)) is None
    assert waived_by(one, waivers(tmp_path, text.replace("numpy", "scipy")), TODAY) is None
    statement = json.loads(openvex_document([one], listed, "pkg:oci/x@sha256%3Aabc?arch=arm64", TODAY))["statements"][0]
    assert (statement["status"], statement["impact_statement"]) == ("not_affected", "not used")
    open_one = json.loads(openvex_document([one], [], "pkg:oci/x@sha256%3Aabc", TODAY))["statements"][0]
    assert open_one["status"] == "affected"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[[waiver]", "cannot be read"),
        ("waiver = 3", "two brackets"),
        ('[[waiver]]\nid = "a"\nexpires = 2026-01-01', "waiver 1: has no reason"),
        ('[[waiver]]\nid = "a"\nreason = " "\nexpires = 2026-01-01', "has no reason"),
        ('[[waiver]]\nid = "a"\nreason = "b"', "has no day on which it ends"),
        ('[[waiver]]\nid = "a"\nreason = "b"\nexpires = "soon"', "has no day on which it ends"),
        ('[[waiver]]\nid = "a"\nreason = "b"\nexpires = 2026-01-01\nuntil = 1', "its fields are"),
    ],
)
def test_a_waiver_without_reason_or_end_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(WaiverError, match=reason):
        waivers(tmp_path, text)


def run(folder: Path, *flags: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "chassis.tools.vulnerabilities", f"--sbom={folder / 'sbom.json'}", *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment())


def environment() -> dict[str, str]:
    return {"PYTHONPATH": ":".join(path for path in sys.path if path)}


def test_the_program_fails_until_the_vulnerability_is_waived(tmp_path: Path) -> None:
    image = {"metadata": {"component": {"bom-ref": "pkg:oci/x@sha256%3Aabc"}}, "components": [{"purl": PURLS[0]}]}
    (tmp_path / "sbom.json").write_text(json.dumps(image))
    (tmp_path / "db.json").write_text(json.dumps(osv("numpy", [{"introduced": "0"}, {"fixed": "2.5"}])))
    (tmp_path / "w.toml").write_text('[[waiver]]\nid = "X-1"\nreason = "not used"\nexpires = 2026-12-01\n')
    database, waiver = f"--database={tmp_path / 'db.json'}", f"--waivers={tmp_path / 'w.toml'}"
    done = run(tmp_path, database)
    assert (done.returncode, done.stdout) == (1, "FAILS X-1 high numpy 2.4.6, fixed in 2.5\n")
    assert run(tmp_path, database, "--fail-on=critical").returncode == 0
    done = run(tmp_path, database, waiver, "--today=2026-12-01", f"--vex={tmp_path / 'vex.json'}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("waived X-1")
    assert json.loads((tmp_path / "vex.json").read_bytes())["statements"][0]["status"] == "not_affected"
    late = run(tmp_path, database, waiver, "--today=2026-12-02")
    assert late.returncode == 1
    assert "the waiver of X-1 ended on 2026-12-01" in late.stderr
    assert "no database" in run(tmp_path).stderr
