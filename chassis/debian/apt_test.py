"""Tests of apt.py: pure logic on tables, and the real apt against an archive on disk."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest

from chassis.debian import apt as apt_module
from chassis.debian.apt import UNVERIFIED, Apt, AptError, Package, closure, parse_stanzas
from chassis.debian.archive_keys import ARCHIVE_KEYS, FINGERPRINTS, trusted_keyrings
from chassis.debian.local_archive import LocalArchive
from chassis.debian.sources import Mirror

_STANZAS = """\
Package: libfoo1
Version: 1:2.0-3+b1
Architecture: arm64
Pre-Depends: libc6 (>= 2.36)
Depends: libbar2:any (<< 3) | libbar-compat,
 libqux [arm64] <!nocheck>
Provides: libfoo (= 2.0), virtual-foo
Description: several
 lines
Filename: pool/main/f/foo/libfoo1_2.0-3+b1_arm64.deb
Size: 1234
SHA256: ABCDEF

Package: plain
Version: 1
Architecture: all
Filename: pool/main/p/plain/plain_1_all.deb
Size: 1
SHA256: 00
"""


def _package(name: str, *depends: str, provides: str = "") -> Package:
    groups = tuple(tuple(group.split("|")) for group in depends)
    return Package(name, "1", "all", f"pool/{name}.deb", 1, "00", groups, tuple(provides.split()))


def test_stanzas_are_read_with_relations_by_name() -> None:
    first, second = parse_stanzas(_STANZAS)
    assert first.depends == (("libc6",), ("libbar2", "libbar-compat"), ("libqux",))
    assert first.provides == ("libfoo", "virtual-foo")
    assert (first.size, first.sha256, first.version) == (1234, "abcdef", "1:2.0-3+b1")
    assert first.filename == "libfoo1_1%3a2.0-3+b1_arm64.deb"
    assert second.depends == ()


def test_a_stanza_without_a_digest_is_an_error_that_names_the_package() -> None:
    with pytest.raises(AptError, match="plain"):
        parse_stanzas(_STANZAS.replace("SHA256: 00", "MD5sum: 00"))


_PACKAGES = (
    _package("app", "lib", "editor", "mta|postfix"),
    _package("lib", "libc"),
    _package("libc", "lib"),
    _package("vim", "runtime", provides="editor"),
    _package("runtime"),
    _package("postfix"),
    _package("unrelated"),
)
_CLOSURES = {
    ("app",): "app lib libc postfix runtime vim",
    ("lib",): "lib libc",
    # Another package has its name now.
    ("editor",): "runtime vim",
    ("vim", "lib"): "lib libc runtime vim",
}


def test_a_closure_takes_alternatives_and_providers_and_ends_on_cycles() -> None:
    for roots, expected in _CLOSURES.items():
        assert " ".join(package.name for package in closure(roots, _PACKAGES)) == expected


def test_an_excluded_package_takes_what_only_it_needs_with_it() -> None:
    found = closure(("app",), _PACKAGES, exclude=("vim", "postfix"))
    assert [package.name for package in found] == ["app", "lib", "libc"]


def test_a_root_that_apt_did_not_choose_is_named() -> None:
    with pytest.raises(AptError, match="package ghost"):
        closure(("ghost",), _PACKAGES)


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalArchive:
    monkeypatch.setenv("CHASSIS_DEBIAN_UNVERIFIED", "1")
    made = LocalArchive(tmp_path / "archive")
    made.add("app", version="1:2.0", Depends="lib (>= 1.0)", Recommends="extra")
    made.add("lib", Depends="base")
    made.add("base")
    made.add("extra")
    made.publish()
    return made


def _apt(archive: LocalArchive, tmp_path: Path) -> Apt:
    return Apt(tmp_path / "apt", archive.mirror, archive.suite, archive.architecture)


def test_real_apt_resolves_without_recommendations(archive: LocalArchive, tmp_path: Path) -> None:
    apt = _apt(archive, tmp_path)
    apt.update()
    found = apt.resolve(["app"])
    assert [package.name for package in found] == ["app", "base", "lib"]
    assert found[0].version == "1:2.0"
    assert apt.version("app") == "1:2.0"
    assert apt.version("ghost") is None


def test_real_apt_says_which_package_it_does_not_find(archive: LocalArchive, tmp_path: Path) -> None:
    apt = _apt(archive, tmp_path)
    apt.update()
    with pytest.raises(AptError, match="ghost"):
        apt.resolve(["ghost"])


def test_another_architecture_than_the_machines_resolves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHASSIS_DEBIAN_UNVERIFIED", "1")
    for architecture in ("amd64", "arm64"):
        archive = LocalArchive(tmp_path / architecture, "bookworm", architecture)
        archive.add("app")
        archive.publish()
        apt = Apt(tmp_path / f"apt-{architecture}", archive.mirror, "bookworm", architecture)
        apt.update()
        assert apt.resolve(["app"])[0].architecture == architecture


def test_what_was_not_checked_is_said(archive: LocalArchive, tmp_path: Path) -> None:
    apt = _apt(archive, tmp_path)
    apt.update()
    assert not apt.verified
    assert apt.signature.startswith("NOT checked")


def test_without_anything_that_checks_signatures_the_index_is_refused(
    archive: LocalArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(UNVERIFIED)
    monkeypatch.setattr(apt_module, "_VERIFIERS", ())
    apt = _apt(archive, tmp_path)
    with pytest.raises(AptError, match=rf"install gpgv, or set {UNVERIFIED}=1"):
        apt.update()
    assert not apt.verified


def test_the_project_has_the_keys_that_it_names() -> None:
    assert _fingerprints(ARCHIVE_KEYS.read_text()) == set(FINGERPRINTS)
    assert trusted_keyrings()[0] == ARCHIVE_KEYS


def _fingerprints(armored: str) -> set[str]:
    """The fingerprints of the primary keys in an armored file (RFC 9580, sections 4.2 and 5.5.4.2)."""
    data = base64.b64decode(armored.partition("\n\n")[2].partition("\n=")[0])
    found = set()
    while data:
        head, data = data[0], data[1:]
        assert head & 0xC0 == 0x80, "packets of the old form, as GnuPG writes keys"
        width = 1 << (head & 3)
        size, data = int.from_bytes(data[:width], "big"), data[width:]
        body, data = data[:size], data[size:]
        if head >> 2 & 0xF == 6:
            found.add(hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body).hexdigest().upper())
    return found


def test_an_index_that_its_release_does_not_vouch_for_is_refused(archive: LocalArchive, tmp_path: Path) -> None:
    index = archive.directory / "dists/forky/main/binary-amd64/Packages"
    index.write_text(index.read_text().replace("Depends: base", "Depends: evil"))
    with pytest.raises(AptError, match=r"(?i)hash|size|unexpected"):
        _apt(archive, tmp_path).update()


def test_a_mirror_that_is_not_there_is_named_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHASSIS_DEBIAN_UNVERIFIED", "1")
    mirror = Mirror(f"copy:{tmp_path}/nowhere", "the one of this test")
    with pytest.raises(AptError) as error:
        Apt(tmp_path / "apt", mirror, "forky", "amd64").update()
    assert "nowhere" in str(error.value)
    assert "CHASSIS_DEBIAN_MIRROR" in str(error.value)


def test_a_machine_without_apt_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AptError, match="apt-get is not on this machine"):
        Apt(tmp_path / "apt", Mirror("copy:/x", ""), "forky", "amd64").update()
