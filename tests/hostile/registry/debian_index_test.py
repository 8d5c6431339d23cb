"""Mirrors of Debian, and what is between, that hand out an index of their own: real apt, with `gpgv` and without it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pysequoia
import pytest
from pysequoia import Cert, SignatureMode, sign

from chassis.debian import apt as apt_module
from chassis.debian.apt import UNVERIFIED, Apt, AptError, Verifier
from chassis.debian.archive_keys import ARCHIVE_KEYS, FINGERPRINTS
from chassis.debian.gpgv_program import write_gpgv
from chassis.debian.local_archive import LocalArchive, SigningKey, path_without_verifiers

# The stand-in everywhere, and the machine's own gpgv if there is one.
_VERIFIERS = ["stand-in", *(["gpgv"] if shutil.which("gpgv") else [])]


@pytest.fixture
def key() -> SigningKey:
    return SigningKey()


@pytest.fixture
def archive(tmp_path: Path, key: SigningKey, monkeypatch: pytest.MonkeyPatch) -> LocalArchive:
    """A signed archive whose key is the only one that is trusted."""
    monkeypatch.delenv(UNVERIFIED, raising=False)
    trusted = key.write(tmp_path / "trusted.asc")
    monkeypatch.setattr(apt_module, "trusted_keyrings", lambda: [trusted])
    made = LocalArchive(tmp_path / "archive")
    made.add("app", Depends="base")
    made.add("base")
    made.publish()
    made.sign(key)
    return made


@pytest.fixture(params=_VERIFIERS)
def update(
    request: pytest.FixtureRequest, archive: LocalArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Apt]:
    """Runs `Apt.update` on the archive, and returns what came of it."""
    brought: list[Verifier] = []

    def bring() -> Verifier:
        modules = Path(pysequoia.__file__).parents[1]
        brought.append(write_gpgv(tmp_path, "stand-in", [modules]))
        return brought[0]

    if request.param == "stand-in":
        monkeypatch.setenv("PATH", path_without_verifiers(tmp_path / "bin"))

    def run() -> Apt:
        place = tmp_path / "a place of apt"
        apt = Apt(place, archive.mirror, archive.suite, archive.architecture, bring, check_dates=True)
        try:
            apt.update()
        finally:
            assert bool(brought) == (request.param == "stand-in")
        return apt

    return run


def test_an_index_that_is_signed_is_taken(update: Callable[[], Apt]) -> None:
    apt = update()
    assert apt.verified
    assert apt.signature.startswith("good (")
    assert [package.name for package in apt.resolve(["app"])] == ["app", "base"]


def test_an_index_that_was_changed_after_it_was_signed_is_refused(
    archive: LocalArchive, update: Callable[[], Apt]
) -> None:
    signed = archive.suite_directory / "InRelease"
    signed.write_text(signed.read_text().replace("Origin: Test", "Origin: Evil"))
    with pytest.raises(AptError, match=UNVERIFIED):
        update()


def test_an_index_that_another_key_signed_is_refused(archive: LocalArchive, update: Callable[[], Apt]) -> None:
    archive.sign(SigningKey())
    with pytest.raises(AptError, match=UNVERIFIED):
        update()


def test_an_index_whose_signature_was_taken_away_is_refused(archive: LocalArchive, update: Callable[[], Apt]) -> None:
    (archive.suite_directory / "InRelease").unlink()
    with pytest.raises(AptError, match=UNVERIFIED):
        update()


def test_a_signature_that_is_none_is_refused(archive: LocalArchive, update: Callable[[], Apt]) -> None:
    signed = archive.suite_directory / "InRelease"
    head, marker, _ = signed.read_text().partition("-----BEGIN PGP SIGNATURE-----\n")
    signed.write_text(f"{head}{marker}\nAAAA\n-----END PGP SIGNATURE-----\n")
    with pytest.raises(AptError):
        update()


def test_what_is_said_before_the_signed_part_does_not_count(archive: LocalArchive, update: Callable[[], Apt]) -> None:
    signed = archive.suite_directory / "InRelease"
    signed.write_text("Origin: Evil\nSuite: forky\n\n" + signed.read_text())
    with pytest.raises(AptError):
        update()


def test_one_good_signature_beside_one_of_a_stranger_is_enough(
    archive: LocalArchive, key: SigningKey, update: Callable[[], Apt]
) -> None:
    """As while the archive moves to a new key."""
    (archive.suite_directory / "InRelease").unlink()
    release = (archive.suite_directory / "Release").read_bytes()
    signatures = [sign(one.secret.signer(), release, mode=SignatureMode.DETACHED) for one in (SigningKey(), key)]
    (archive.suite_directory / "Release.gpg").write_bytes(b"".join(signatures))
    assert update().verified


def test_an_index_that_is_out_of_date_is_refused(
    archive: LocalArchive, key: SigningKey, update: Callable[[], Apt]
) -> None:
    archive.publish(Valid_Until="Fri, 02 Jan 2026 00:00:00 UTC")
    archive.sign(key)
    with pytest.raises(AptError, match="out of date"):
        update()


def test_an_index_of_another_suite_is_refused(
    archive: LocalArchive, key: SigningKey, update: Callable[[], Apt]
) -> None:
    """A mirror that answers with the signed index of an older release."""
    archive.publish(Suite="oldstable", Codename="bullseye")
    archive.sign(key)
    with pytest.raises(AptError, match="bullseye"):
        update()


def test_packages_that_the_signed_index_does_not_vouch_for_are_refused(
    archive: LocalArchive, update: Callable[[], Apt]
) -> None:
    index = archive.suite_directory / "main/binary-amd64/Packages"
    index.write_text(index.read_text().replace("Depends: base", "Depends: evil"))
    with pytest.raises(AptError):
        update()


def test_a_machine_that_lets_apt_take_anything_checks_all_the_same(
    archive: LocalArchive, update: Callable[[], Apt], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As images for CI are set; the machine's settings come before those of the call."""
    lax = tmp_path / "lax.conf"
    lax.write_text('Acquire::AllowInsecureRepositories "true";\nAPT::Get::AllowUnauthenticated "true";\n')
    written = Apt._configuration

    def after_the_machines(self: Apt, verifier: Verifier | None) -> str:
        return lax.read_text() + written(self, verifier)

    monkeypatch.setattr(Apt, "_configuration", after_the_machines)
    (archive.suite_directory / "InRelease").unlink()
    with pytest.raises(AptError, match=UNVERIFIED):
        update()


def test_only_the_one_who_asks_for_it_goes_on_without_a_signature(
    archive: LocalArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (archive.suite_directory / "InRelease").unlink()
    monkeypatch.setenv(UNVERIFIED, "1")
    apt = Apt(tmp_path / "apt", archive.mirror, archive.suite, archive.architecture)
    apt.update()
    assert not apt.verified
    assert apt.signature.startswith("NOT checked")


def test_the_stand_in_reads_the_projects_keys() -> None:
    assert {cert.fingerprint.upper() for cert in Cert.split_file(str(ARCHIVE_KEYS))} == set(FINGERPRINTS)


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ([], 2),
        (["--keyring", "k", "only-one"], 2),
        (["--unknown", "a", "b"], 2),
        (["--keyring=/nonexistent", "a", "b"], 2),
    ],
)
def test_the_stand_in_says_yes_to_nothing_that_it_does_not_understand(
    tmp_path: Path, arguments: list[str], status: int
) -> None:
    modules = Path(pysequoia.__file__).parents[1]
    program = write_gpgv(tmp_path, "stand-in", [modules]).program
    assert program is not None
    assert subprocess.run([program, *arguments], capture_output=True, check=False).returncode == status
