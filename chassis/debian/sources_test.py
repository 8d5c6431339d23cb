"""Tests of sources.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from chassis.debian.sources import Mirror, NoMirrorError, find_mirrors, parse_targets

# Lines of `apt-get indextargets` to the mirrors in them.
_TARGETS = {
    "http://a.test/debian/ bookworm main": ["http://a.test/debian"],
    "http://a.test/debian/ bookworm main\nhttp://a.test/debian/ bookworm-updates main": ["http://a.test/debian"],
    "http://a.test/debian-security/ bookworm-security main": [],
    "http://a.test/node/ nodistro main\nhttp://b.test/debian stable main": ["http://b.test/debian"],
    "http://a.test/ubuntu/ jammy main": [],
    "http://a.test/debian/ sid contrib": [],
    "mirror+file:/etc/apt/mirrors.list trixie main": ["mirror+file:/etc/apt/mirrors.list"],
    "http://a.test/debian/ sid main\nhttp://b.test/debian/ forky main": [
        "http://a.test/debian",
        "http://b.test/debian",
    ],
    "": [],
    "garbage": [],
}


def test_mirrors_are_those_of_debian_suites_each_once() -> None:
    for text, expected in _TARGETS.items():
        assert [mirror.uri for mirror in parse_targets(text)] == expected, text


def test_the_environment_names_the_only_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHASSIS_DEBIAN_MIRROR", "http://mine.test/debian/")
    assert find_mirrors() == [Mirror("http://mine.test/debian", "the one that CHASSIS_DEBIAN_MIRROR names")]


def test_a_machine_without_apt_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHASSIS_DEBIAN_MIRROR", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoMirrorError, match="apt-get is not on this machine"):
        find_mirrors()


def test_an_apt_without_debian_sources_is_told_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHASSIS_DEBIAN_MIRROR", raising=False)
    configuration = tmp_path / "apt.conf"
    configuration.write_text(
        'Dir::Etc::SourceList "/dev/null"; Dir::Etc::SourceParts "/dev/null";'
        'Dir::Etc::Parts "/dev/null"; Dir::Etc::Main "/dev/null";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(configuration))
    with pytest.raises(NoMirrorError, match="CHASSIS_DEBIAN_MIRROR=URL"):
        find_mirrors()
